import type en from '../en/access'

const words: typeof en = {
  access: {
    manage: '권한',
    title: (index) => `${index}을(를) 읽을 수 있는 사람`,
    who: '읽을 수 있는 사람',
    everybody: '로그인한 모든 사람',
    some: '고른 팀과 사용자만',
    teams: '팀',
    users: '사용자',
    none: '아직 없습니다. 관리 페이지에서 추가하세요.',
    text: '다른 사람에게는 검색에도 답변에도 이름으로도 이 색인이 없는 것과 같습니다. 관리자는 모두 읽을 수 있습니다.',
    save: '저장',
  },
}

export default words
