import type { Sampling } from '../api/types'

/** Named starting points. Every field that a preset leaves out is the model's own default. */
export const presets = {
  precise: { temperature: 0 },
  balanced: {},
  creative: { temperature: 0.9, top_p: 0.98 },
} as const satisfies Record<string, Sampling>

export type Preset = keyof typeof presets | 'custom'

export const presetNames = Object.keys(presets) as (keyof typeof presets)[]

const filled = (sampling: Sampling) => Object.entries(sampling).filter(([, value]) => value != null)

/** The preset that `sampling` equals, or `custom`. Length and seed belong to no preset. */
export function presetOf(sampling: Sampling): Preset {
  const { max_tokens: _length, seed: _seed, ...rest } = sampling
  const entries = JSON.stringify(filled(rest).toSorted())
  return presetNames.find((name) => JSON.stringify(filled(presets[name]).toSorted()) === entries) ?? 'custom'
}

export interface Field {
  name: keyof Sampling
  min: number
  max: number
  step: number
  /** What the slider shows while the field is left to the model. */
  rest: number
  slider: boolean
}

/** What the panel offers, with the bounds that the server accepts. */
export const fields: readonly Field[] = [
  { name: 'temperature', min: 0, max: 2, step: 0.05, rest: 0.2, slider: true },
  { name: 'top_p', min: 0.05, max: 1, step: 0.05, rest: 0.95, slider: true },
  { name: 'top_k', min: 1, max: 200, step: 1, rest: 40, slider: true },
  { name: 'max_tokens', min: 1, max: 1_000_000, step: 1, rest: 1024, slider: false },
  { name: 'seed', min: 0, max: 4_294_967_295, step: 1, rest: 0, slider: false },
]
