export type Day = 'today' | 'yesterday' | 'week' | 'month' | 'older'

const startOfDay = (time: Date): number =>
  new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime()

/** Which heading something of `then` belongs under, counted in calendar days of the reader's time zone. */
export function dayOf(then: Date, now: Date): Day {
  const days = Math.round((startOfDay(now) - startOfDay(then)) / 86_400_000)
  if (days <= 0) return 'today'
  if (days === 1) return 'yesterday'
  if (days < 7) return 'week'
  if (days < 30) return 'month'
  return 'older'
}

/** `items`, newest first, under the headings that have any. */
export function groupByDay<T>(items: readonly T[], time: (item: T) => string, now: Date): [Day, T[]][] {
  const sorted = items.toSorted((a, b) => time(b).localeCompare(time(a)))
  const groups = new Map<Day, T[]>()
  for (const item of sorted) {
    const day = dayOf(new Date(time(item)), now)
    groups.set(day, [...(groups.get(day) ?? []), item])
  }
  return [...groups]
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** "3 hours ago" in `language`; under a minute "now". */
export function ago(then: Date, now: Date, language: string): string {
  const seconds = (now.getTime() - then.getTime()) / 1000
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  for (const [unit, size] of steps)
    if (seconds >= size) return format.format(-Math.floor(seconds / size), unit)
  return format.format(0, 'second')
}
