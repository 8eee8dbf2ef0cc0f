import type en from '../en/models'

const words: typeof en = {
  models: {
    title: '모델',
    text: '여기서 답할 수 있는 것들입니다. 앱은 내 코드와 처리 방법을 더한 모델입니다.',
    apps: '앱',
    embedded: '이 서버의 모델',
    upstream: '엔드포인트',
    context: (tokens) => `컨텍스트 ${tokens}토큰`,
    default: '기본',
    use: '채팅에서 사용',
    engine: {
      stopped: '중지됨',
      starting: '시작 중',
      ready: '준비됨',
      failed: '실패',
      restarting: '재시작 중',
    },
    slots: (busy, slots) => `슬롯 ${slots}개 중 ${busy}개 사용 중`,
    waiting: (count) => `${count}개 대기`,
    memory: '메모리',
    machine: '이 컴퓨터',
    cores: (cores) => `코어 ${cores}개`,
    memoryFree: (size) => `메모리 ${size}`,
    disk: (size) => `디스크 여유 ${size}`,
    home: '상태 폴더',
    skills: {
      completion: '완성',
      infilling: '채우기',
      chat: '채팅',
      python: 'Python',
      tools: '도구',
      vision: '이미지',
      embeddings: '임베딩',
    },
    plug: '실제 모델 연결하기',
    plugText:
      '스타터 모델은 작동 방식을 보여 줍니다. 실제 작업에는 실제 모델이 필요합니다. 세 가지 방법이 있습니다.',
    pull: '내려받기',
    pullText: '엄선한 코드 모델 표에서 고르세요. 이 컴퓨터에 맞는지도 알려 줍니다.',
    local: '가지고 있는 GGUF 파일 사용',
    localText: 'llama.cpp가 읽을 수 있는 모든 GGUF 파일.',
    endpoint: '엔드포인트 사용',
    endpointText:
      'OpenAI 프로토콜을 쓰는 모든 서버. 이 세 줄을 상태 폴더의 codeweft.yaml(또는 시작할 때 지정한 파일)에 넣고 다시 시작하세요.',
    none: '사용할 수 있는 모델이 없습니다.',
  },
}

export default words
