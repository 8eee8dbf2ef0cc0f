import { useSyncExternalStore } from 'react'
import type { Sampling } from '../api/types'

export interface Settings {
  theme: 'system' | 'light' | 'dark'
  /** null: the first that the browser's user reads. */
  language: string | null
  /** null: the server's default model, or the app's default index. */
  model: string | null
  index: string | null
  sampling: Sampling
  wrap: boolean
  /** Whether answers are asked how they came about. */
  explain: boolean
  /** Whether apps let the model look things up in steps. */
  agent: boolean
}

const initial: Settings = {
  theme: 'system',
  language: null,
  model: null,
  index: null,
  sampling: {},
  wrap: false,
  explain: true,
  agent: false,
}

const key = 'codeweft.settings'
const listeners = new Set<() => void>()

function read(): Settings {
  try {
    return { ...initial, ...(JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Settings>) }
  } catch {
    return initial
  }
}

let settings = typeof localStorage === 'undefined' ? initial : read()

/** What this browser remembers for its user. */
export const getSettings = (): Settings => settings

export function changeSettings(change: Partial<Settings>): void {
  settings = { ...settings, ...change }
  try {
    localStorage.setItem(key, JSON.stringify(settings))
  } catch {
    // A private window may forbid storage; the choice then lasts until the tab is closed.
  }
  if (change.theme) applyTheme()
  for (const listener of listeners) listener()
}

function applyTheme(): void {
  if (settings.theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = settings.theme
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

export const useSettings = (): Settings => useSyncExternalStore(subscribe, getSettings)
