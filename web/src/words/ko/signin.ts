import type en from '../en/signin'

const words: typeof en = {
  signIn: {
    title: '로그인',
    with: (provider) => `${provider}(으)로 로그인`,
    password: '비밀번호',
    passwordText: '복잡한 것보다 긴 것이 낫습니다. 여러 단어를 이어 쓰세요.',
    code: '인증 앱의 코드',
    codeText: '또는 복구 코드 하나.',
    register: '가입',
    noAccount: '계정이 없나요? 가입',
    haveAccount: '계정이 있나요? 로그인',
    waiting: (name) => `${name}(으)로 가입되었습니다.`,
    waitingText: '관리자가 승인하면 비밀번호로 로그인하세요.',
    byLink: '일회용 링크로',
    step: 'Codeweft가 실행되는 컴퓨터에서 입력하세요:',
    after: '15분 동안 한 번만 쓸 수 있는 링크가 출력됩니다. 이 브라우저에서 여세요.',
    first: '첫 링크는 서버를 시작할 때 출력되었습니다.',
    token: '또는 링크를 여기에 붙여 넣으세요',
    open: '링크 열기',
    invalid: '이 서버의 로그인 링크가 아닙니다.',
  },
}

export default words
