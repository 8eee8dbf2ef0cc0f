import type en from '../en/connect'

const words: typeof en = {
  connect: {
    title: '연결',
    text: '편집기, 스크립트, 도구에서 이 서버를 사용하세요. OpenAI 프로토콜을 지원합니다.',
    address: '주소',
    snippets: '바로 붙여 넣기',
    snippetsText: '주소는 이 서버의 주소입니다.',
    snippetsKey: 'YOUR_KEY 자리에 키를 넣으세요.',
    keyFilled: '방금 만든 키가 채워져 있습니다.',
    model: '모델',
  },
}

export default words
