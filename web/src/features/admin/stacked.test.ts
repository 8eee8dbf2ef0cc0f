import { expect, test } from 'vitest'
import { stacked } from './stacked'

const now = new Date('2026-11-21T10:00:00Z')
const row = (day: string, group: string, value: number) => ({ day, group, name: group.toUpperCase(), value })
const value = (one: { value: number }) => one.value

test('bars stand on each other, the largest group at the bottom, days without any are empty', () => {
  const rows = [row('2026-11-19', 'small', 1), row('2026-11-19', 'big', 5), row('2026-11-21', 'big', 2)]
  const { days, series } = stacked(rows, 3, value, now, 'Others')
  expect(days.map((day) => new Date(day * 1000).toISOString().slice(0, 10))).toEqual([
    '2026-11-19',
    '2026-11-20',
    '2026-11-21',
  ])
  expect(series.map(({ name, tops }) => [name, tops])).toEqual([
    ['BIG', [5, 0, 2]],
    ['SMALL', [6, 0, 2]],
  ])
})

test('what is older than the chart is left out', () => {
  expect(stacked([row('2026-10-01', 'old', 9)], 3, value, now, 'Others').series).toEqual([])
})

test('the smallest of many groups are summed', () => {
  const rows = Array.from({ length: 9 }, (_, at) => row('2026-11-21', `g${at}`, 9 - at))
  const { series } = stacked(rows, 1, value, now, 'Others')
  expect(series.map(({ name }) => name)).toEqual(['G0', 'G1', 'G2', 'G3', 'G4', 'Others'])
  expect(series.at(-1)).toMatchObject({ values: [4 + 3 + 2 + 1], tops: [45] })
})
