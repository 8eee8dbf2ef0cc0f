/** 1536 → "1.5 KB". */
export function bytes(count: number, language: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']
  const step = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10))
  const value = count / 1024 ** step
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: units[step] ?? 'byte',
    unitDisplay: step ? 'short' : 'long',
    maximumFractionDigits: value < 10 && step ? 1 : 0,
  }).format(value)
}

export const number = (value: number, language: string): string =>
  new Intl.NumberFormat(language).format(value)

/** An amount in US dollars; less than a cent keeps two digits that matter. */
export const dollars = (amount: number, language: string): string =>
  new Intl.NumberFormat(language, {
    style: 'currency',
    currency: 'USD',
    ...(amount > 0 && amount < 0.01 && { maximumSignificantDigits: 2 }),
  }).format(amount)

/** Seconds as "45 s" or "3 min". */
export function duration(seconds: number, language: string): string {
  const minutes = seconds >= 90
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: minutes ? 'minute' : 'second',
    unitDisplay: 'short',
    maximumFractionDigits: 0,
  }).format(minutes ? seconds / 60 : seconds)
}

/** Shares of a whole, largest first, the tail beyond `keep` summed under `other`. */
export function shares(
  counts: Record<string, number>,
  keep: number,
): { name: string | null; share: number }[] {
  const entries = Object.entries(counts).toSorted(([, a], [, b]) => b - a)
  const total = entries.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return []
  const rest = entries.slice(keep).reduce((sum, [, count]) => sum + count, 0)
  return [
    ...entries.slice(0, keep).map(([name, count]) => ({ name, share: count / total })),
    ...(rest ? [{ name: null, share: rest / total }] : []),
  ]
}
