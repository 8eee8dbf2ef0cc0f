/** Why a result was found: each reason's part, drawn against the largest. */
export function WhyBars({ why }: { why: Record<string, number> }) {
  const reasons = Object.entries(why).toSorted(([, a], [, b]) => b - a)
  const largest = Math.max(...reasons.map(([, value]) => Math.abs(value)), Number.EPSILON)
  return (
    <dl className="grid grid-cols-[minmax(4.25rem,auto)_1fr_auto] items-center gap-x-3 gap-y-1 text-xs">
      {reasons.map(([reason, value]) => (
        <div key={reason} className="contents">
          <dt className="text-ink-2">{reason}</dt>
          <dd className="h-1.5 rounded-full bg-hover" aria-hidden>
            <div
              className={`h-full rounded-full ${value < 0 ? 'bg-danger' : 'bg-accent'}`}
              style={{ width: `${Math.max(2, (100 * Math.abs(value)) / largest)}%` }}
            />
          </dd>
          <dd className="text-ink-3 tabular-nums">{value.toFixed(3)}</dd>
        </div>
      ))}
    </dl>
  )
}
