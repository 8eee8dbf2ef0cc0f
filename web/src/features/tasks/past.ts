import { useSyncExternalStore } from 'react'
import type { Checked, Reference } from '../../api/types'

/** A task that was run in this browser; the server keeps none. */
export interface Past {
  id: string
  /** When, as ISO 8601. */
  at: string
  task: string
  inputs: Record<string, string>
  model: string
  note: string
  text: string
  references: Reference[]
  checked: Checked | null
}

const key = 'codeweft.tasks'
/** Runs that are remembered, newest first, as far as the browser's storage takes them. */
const most = 25
const longest = 1_500_000

function read(): Past[] {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '[]') as Past[]
  } catch {
    return []
  }
}

let past: Past[] | null = null
const listeners = new Set<() => void>()

/** As many of the newest runs as fit. */
export function fitting(runs: readonly Past[], characters: number): Past[] {
  const kept: Past[] = []
  let used = 0
  for (const run of runs.slice(0, most)) {
    used += JSON.stringify(run).length
    if (used > characters) break
    kept.push(run)
  }
  return kept
}

function keep(runs: Past[]): void {
  past = fitting(runs, longest)
  try {
    localStorage.setItem(key, JSON.stringify(past))
  } catch {
    // A private window may forbid storage; the list then lasts until the tab is closed.
  }
  for (const listener of listeners) listener()
}

const all = (): Past[] => {
  past ??= read()
  return past
}

export const rememberRun = (run: Past): void => keep([run, ...all()])
export const forgetRuns = (): void => keep([])

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

export const usePast = (): Past[] => useSyncExternalStore(subscribe, all)
