type Work = () => void

const waiting: Work[] = []
let asked = false

// Safari has no idle time to give.
const later: (run: (deadline?: IdleDeadline) => void) => void =
  typeof requestIdleCallback === 'function'
    ? (run) => requestIdleCallback(run, { timeout: 500 })
    : (run) => setTimeout(run, 30)

function run(deadline?: IdleDeadline): void {
  asked = false
  // One piece of work at least, or a busy page would never get to it.
  do waiting.pop()?.()
  while (waiting.length > 0 && deadline && deadline.timeRemaining() > 4)
  if (waiting.length > 0) ask()
}

function ask(): void {
  if (asked) return
  asked = true
  later(run)
}

/**
 * Does `work` when the page has nothing better to do, what was asked last first (it is nearest to the end, where people
 * read); gives the function that calls it off.
 */
export function whenIdle(work: Work): () => void {
  waiting.push(work)
  ask()
  return () => {
    const at = waiting.indexOf(work)
    if (at !== -1) waiting.splice(at, 1)
  }
}
