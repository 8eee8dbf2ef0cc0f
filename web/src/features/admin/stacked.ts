import type { DayTotal } from '../../api/admin'

/** As many colours as the chart has; the smallest groups share the last one. */
const keep = 5

export interface Stacked {
  /** Midnight (UTC) of each day, in seconds. */
  days: number[]
  /** Largest group first. `tops` are sums with the groups before it, where its bar ends. */
  series: { name: string; values: number[]; tops: number[] }[]
}

/** Rows of a day and a group as bars on top of each other, one for each of the last `count` days up to `now`. */
export function stacked<Row extends Pick<DayTotal, 'day' | 'group' | 'name'>>(
  rows: readonly Row[],
  count: number,
  measure: (row: Row) => number,
  now: Date,
  others: string,
): Stacked {
  const today = Math.floor(now.getTime() / 86_400_000)
  const first = today - count + 1
  const groups = new Map<string, { name: string; values: number[]; sum: number }>()
  for (const row of rows) {
    const at = Math.floor(Date.parse(`${row.day.slice(0, 10)}T00:00:00Z`) / 86_400_000) - first
    if (at < 0 || at >= count) continue
    const found = groups.get(row.group) ?? {
      name: row.name || row.group,
      values: new Array<number>(count).fill(0),
      sum: 0,
    }
    found.values[at] = (found.values[at] ?? 0) + measure(row)
    found.sum += measure(row)
    groups.set(row.group, found)
  }
  const sorted = [...groups.values()].toSorted((a, b) => b.sum - a.sum)
  const shown = sorted.length > keep + 1 ? sorted.slice(0, keep) : sorted
  const rest = sorted.slice(shown.length)
  if (rest.length > 0) {
    const values = Array.from({ length: count }, (_, at) =>
      rest.reduce((sum, group) => sum + (group.values[at] ?? 0), 0),
    )
    shown.push({ name: others, values, sum: 0 })
  }
  const level = new Array<number>(count).fill(0)
  return {
    days: Array.from({ length: count }, (_, at) => (first + at) * 86_400),
    series: shown.map(({ name, values }) => ({
      name,
      values,
      tops: values.map((value, at) => {
        level[at] = (level[at] ?? 0) + value
        return level[at]
      }),
    })),
  }
}
