import { useEffect, useRef, useSyncExternalStore } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useLanguage } from '../../lib/i18n'
import { useSettings } from '../../lib/settings'
import type { Stacked } from './stacked'

const colours = ['--accent', '--syn-title', '--syn-keyword', '--syn-number', '--syn-attr', '--line-strong']
const colourOf = (at: number) => `var(${colours[Math.min(at, colours.length - 1)]})`
const height = 240

const darkness = matchMedia('(prefers-color-scheme: dark)')
const watchDarkness = (changed: () => void) => {
  darkness.addEventListener('change', changed)
  return () => darkness.removeEventListener('change', changed)
}

interface ChartProps {
  data: Stacked
  write: (value: number) => string
  label: string
}

/** Bars for each day, stacked by group, with a legend. The same figures stand in the table below it. */
export function Chart({ data, write, label }: ChartProps) {
  const host = useRef<HTMLDivElement>(null)
  const language = useLanguage()
  const { theme } = useSettings()
  const dark = useSyncExternalStore(watchDarkness, () => darkness.matches)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas does not follow the theme by itself.
  useEffect(() => {
    const element = host.current
    if (!element) return
    // A canvas knows no variables: an element that has the colour says what it comes to. One that was there before
    // would pass from its last colour to the next, and tell a colour between.
    const resolve = (variable: string) => {
      const probe = element.appendChild(document.createElement('span'))
      probe.style.color = `var(${variable})`
      const { color } = getComputedStyle(probe)
      probe.remove()
      return color
    }
    const day = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', timeZone: 'UTC' })
    const [ink, line] = [resolve('--ink-3'), resolve('--line')]
    const axis = { stroke: ink, grid: { show: false }, ticks: { stroke: line }, font: '12px system-ui' }
    const bars = uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.15 })
    // The highest stack is drawn first, so that every lower one covers its own part.
    const series = data.series.map((one, at) => ({ ...one, at })).toReversed()
    const filled = series.map(({ name, at }) => ({
      label: name,
      fill: resolve(colours[Math.min(at, colours.length - 1)] ?? '--accent'),
      width: 0,
      points: { show: false },
      ...(bars && { paths: bars }),
    }))
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        scales: {
          x: { range: (_, first, last) => [first - 43_200, last + 43_200] },
          y: { range: (_, _least, most) => [0, (most || 1) * 1.08] },
        },
        axes: [
          { ...axis, values: (_, splits) => splits.map((at) => day.format(at * 1000)), space: 70 },
          {
            ...axis,
            grid: { stroke: line, width: 1 },
            size: 72,
            values: (_, splits) => splits.map(write),
          },
        ],
        series: [{}, ...filled],
      },
      [data.days, ...series.map(({ tops }) => tops)],
      element,
    )
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      plot.destroy()
    }
  }, [data, write, language, theme, dark])
  return (
    <figure aria-label={label} className="flex flex-col gap-3">
      <div ref={host} aria-hidden className="min-w-0 overflow-hidden" style={{ height }} />
      <figcaption>
        <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-ink-2">
          {data.series.map(({ name, values }, at) => (
            <li key={name} className="flex items-center gap-1.5">
              <span className="size-2.5 rounded-sm" style={{ background: colourOf(at) }} aria-hidden />
              {name}
              <span className="text-ink-3 tabular-nums">
                {write(values.reduce((all, value) => all + value, 0))}
              </span>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  )
}
