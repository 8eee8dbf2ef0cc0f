import type en from '../en/answer'

const words: typeof en = {
  source: {
    references: '참고 코드',
    reference: (number) => `참고 ${number}`,
    notVerified: '원본이 더 이상 이 내용과 같지 않습니다.',
    imageBlocked: '이미지, 불러오지 않음',
    title: '참고 코드',
    open: '파일 열기',
    excerpt: '발췌로 돌아가기',
    repository: '저장소',
    commit: '커밋',
    index: '색인',
    score: '점수',
    why: '선택된 이유',
    copyPath: '경로 복사',
    previous: '앞의 줄',
    next: '다음 줄',
    of: (start, end, total) => `${total}행 중 ${start}–${end}행`,
  },
  checked: {
    verified: (tool) => `${tool} 검증됨`,
    notVerified: (tool) => `${tool}에서 오류 발견`,
    unchecked: '검사 안 함',
    toolSaid: '검사 결과',
    repaired: '첫 결과가 통과하지 못해 고친 결과입니다.',
  },
}

export default words
