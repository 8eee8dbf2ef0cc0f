import type en from '../en/connect'

const words: typeof en = {
  connect: {
    title: '연결',
    text: '편집기, 스크립트, 도구에서 이 서버를 사용하세요. OpenAI 프로토콜을 지원합니다.',
    address: '주소',
    keys: 'API 키',
    keysText: '프로그램은 키로 로그인합니다. 따로따로 만들어 두면 필요할 때 하나씩 없앨 수 있습니다.',
    keyName: '어디에 쓰나요?',
    keyPlaceholder: '노트북 편집기',
    create: '키 만들기',
    created: '새 키입니다',
    createdText: '지금 복사하세요. 지문만 저장되므로 다시 볼 수 없습니다.',
    noKeys: '아직 키가 없습니다.',
    createdAt: (when) => `${when} 생성`,
    lastUsed: (when) => `${when} 마지막 사용`,
    neverUsed: '사용한 적 없음',
    deleteTitle: (name) => `키 ${name}을(를) 삭제할까요?`,
    deleteText: '이 키를 쓰는 프로그램은 즉시 거부됩니다.',
    snippets: '바로 붙여 넣기',
    snippetsText: '주소는 이 서버의 주소입니다.',
    snippetsKey: 'YOUR_KEY 자리에 키를 넣으세요.',
    keyFilled: '방금 만든 키가 채워져 있습니다.',
    model: '모델',
  },
}

export default words
