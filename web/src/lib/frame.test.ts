import { beforeEach, expect, test, vi } from 'vitest'

/** A browser's frames, one every 16 ms of a clock that only they and the work in them move. */
function frames() {
  let asked: (() => void)[] = []
  let now = 0
  const after: (() => void)[] = []
  vi.stubGlobal('document', { hidden: false })
  vi.stubGlobal('performance', { now: () => now })
  vi.stubGlobal('requestAnimationFrame', (then: () => void) => asked.push(then))
  vi.stubGlobal('setTimeout', (then: () => void) => after.push(then))
  const turn = () => {
    const [due, begun] = [asked, now]
    asked = []
    for (const then of due) then()
    for (const then of after.splice(0)) then()
    now = Math.max(now, begun + 16)
  }
  return {
    work: (ms: number) => {
      now += ms
    },
    turn,
  }
}

beforeEach(() => {
  vi.resetModules()
  vi.unstubAllGlobals()
})

async function drawn(cost: number, turns: number): Promise<number> {
  const browser = frames()
  const { onFrame } = await import('./frame')
  let draws = 0
  const change = () => {
    draws += 1
    browser.work(cost)
  }
  for (let at = 0; at < turns; at++) {
    onFrame(change)
    browser.turn()
  }
  return draws
}

test('what is cheap is drawn with every frame', async () => {
  expect(await drawn(5, 12)).toBe(12)
})

test('what takes most of a frame leaves the next one free', async () => {
  expect(await drawn(12, 12)).toBe(6)
})

test('changes of one frame are drawn together, and one that was called off is not', async () => {
  const browser = frames()
  const { onFrame } = await import('./frame')
  const seen: string[] = []
  onFrame(() => seen.push('one'))
  const off = onFrame(() => seen.push('two'))
  onFrame(() => seen.push('three'))
  off()
  browser.turn()
  expect(seen).toEqual(['one', 'three'])
})
