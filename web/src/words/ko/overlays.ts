import type en from '../en/overlays'

const words: typeof en = {
  palette: {
    placeholder: '페이지, 명령 또는 대화를 입력하세요…',
    pages: '페이지',
    commands: '명령',
    none: '맞는 것이 없습니다.',
  },
  shortcuts: {
    title: '키보드 단축키',
    palette: '페이지나 대화로 이동',
    newChat: '새 대화',
    send: '메시지 보내기',
    newLine: '줄 바꿈',
    stop: '답변 중지',
    editLast: '마지막 메시지 고치기 (입력란이 비어 있을 때)',
    focus: '입력란으로 이동',
    help: '이 목록',
    close: '열린 것 닫기',
  },
}

export default words
