/** One event of a stream: its name and its data as text. */
export interface Message {
  event: string
  data: string
}

/** Cuts a stream of server-sent events into messages, however its bytes were cut on the way. */
export class MessageReader {
  private rest = ''

  /** The messages that `text` completes. */
  push(text: string): Message[] {
    const blocks = `${this.rest}${text}`.replaceAll('\r\n', '\n').split('\n\n')
    this.rest = blocks.pop() ?? ''
    return blocks.flatMap((block) => {
      const message = { event: 'message', data: '' }
      for (const line of block.split('\n')) {
        if (line.startsWith('event: ')) message.event = line.slice(7)
        else if (line.startsWith('data: ')) message.data += (message.data && '\n') + line.slice(6)
      }
      return message.data ? [message] : []
    })
  }
}
