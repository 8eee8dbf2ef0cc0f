export default {
  palette: {
    placeholder: 'Type a page, a command or a conversation…',
    pages: 'Pages',
    commands: 'Commands',
    none: 'Nothing matches.',
  },
  shortcuts: {
    title: 'Keyboard shortcuts',
    palette: 'Go to a page or a conversation',
    newChat: 'New chat',
    send: 'Send the message',
    newLine: 'New line',
    stop: 'Stop the answer',
    editLast: 'Edit the last message (in an empty composer)',
    focus: 'Focus the composer',
    help: 'This list',
    close: 'Close what is open',
  },
}
