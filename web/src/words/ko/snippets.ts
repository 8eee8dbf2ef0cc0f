import type en from '../en/snippets'

const words: typeof en = {
  snippets: {
    title: '코드 조각',
    text: '답변에 나온 코드와 직접 저장한 코드입니다. 다른 사람은 볼 수 없습니다.',
    search: '코드 조각 검색',
    empty: '아직 코드 조각이 없습니다',
    emptyText: '답변에 나온 코드 블록은 지울 때까지 모두 여기에 남습니다.',
    noMatch: (query) => `“${query}”이(가) 나오는 코드 조각이 없습니다.`,
    open: '대화 열기',
    saved: '직접 저장함',
    delete: '코드 조각 삭제',
    clear: '모두 삭제',
    clearTitle: '코드 조각을 모두 삭제할까요?',
    clearText: '대화는 남고 이 목록만 삭제됩니다. 되돌릴 수 없습니다.',
    untitled: '코드 조각',
  },
}

export default words
