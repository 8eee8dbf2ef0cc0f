// What the parts of the stand-in server share.
export const pace = Number(process.env.STUB_PACE ?? 12)
/** How many tokens one event brings. */
export const together = Number(process.env.STUB_TOGETHER ?? 1)
export const scene = process.env.STUB_SCENE ?? 'normal'

let held = scene === 'held'
/** In the scene “held” what is being written stops half-way until `/stub/go` is asked for, or `over` says so. */
export async function hold(over = () => false) {
  while (held && !over()) await new Promise((resolve) => setTimeout(resolve, 20))
}
export const go = () => {
  held = false
}

let serial = 100
export const nextId = (prefix) => `${prefix}${++serial}`
export const now = () => new Date().toISOString()

export class Refusal extends Error {
  constructor(status, message, fix, code = 'invalid') {
    super(message)
    this.status = status
    this.fix = fix
    this.code = code
  }
}
