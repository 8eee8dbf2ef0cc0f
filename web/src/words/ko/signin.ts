import type en from '../en/signin'

const words: typeof en = {
  signIn: {
    title: '로그인',
    text: 'Codeweft는 일회용 링크로 로그인합니다. 잊어버릴 비밀번호가 없습니다.',
    steps: '새 링크 받기',
    step: 'Codeweft가 실행되는 컴퓨터에서 입력하세요:',
    after: '15분 동안 한 번만 쓸 수 있는 링크가 출력됩니다. 이 브라우저에서 여세요.',
    first: '첫 링크는 서버를 시작할 때 출력되었습니다.',
    token: '또는 링크를 여기에 붙여 넣으세요',
    open: '링크 열기',
    invalid: '이 서버의 로그인 링크가 아닙니다.',
  },
}

export default words
