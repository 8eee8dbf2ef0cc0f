import type { Sampling } from '../../api/types'

/** What this browser remembers of the playground. `model` and `index` null are the server's defaults. */
export interface Choices {
  text: string
  language: string
  model: string | null
  index: string | null
  live: boolean
  sampling: Sampling
}

const key = 'codeweft.playground'

export const example = `def fibonacci(n: int) -> list[int]:
    """The first \`n\` Fibonacci numbers."""
    <FILL>
    return numbers


print(fibonacci(10))
`

export const firstChoices: Choices = {
  text: example,
  language: 'python',
  model: null,
  index: null,
  live: true,
  sampling: { max_tokens: 64, temperature: 0 },
}

export function readChoices(): Choices {
  try {
    return { ...firstChoices, ...(JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Choices>) }
  } catch {
    return firstChoices
  }
}

export function keepChoices(choices: Choices): void {
  try {
    localStorage.setItem(key, JSON.stringify(choices))
  } catch {
    // A private window may forbid storage, and a long text may not fit; both last until the tab is closed.
  }
}
