import { EditorState } from '@codemirror/state'
import { describe, expect, test } from 'vitest'
import { afterTyping, ghostOf, ghostText, holeOf, showGhost } from './ghost'

const state = (doc: string, cursor = 0) =>
  EditorState.create({ doc, selection: { anchor: cursor }, extensions: ghostText(() => {}) })

describe('the hole', () => {
  test('is the marker wherever the cursor is', () => {
    expect(holeOf(state('a <FILL> b', 0))).toEqual({ from: 2, to: 8, prefix: 'a ', suffix: ' b' })
  })
  test('is the cursor without a marker', () => {
    expect(holeOf(state('ab', 1))).toEqual({ from: 1, to: 1, prefix: 'a', suffix: 'b' })
  })
})

describe('an offer', () => {
  const ghost = { from: 2, to: 2, text: 'return 1' }
  test('shrinks while its own beginning is typed', () => {
    expect(afterTyping(ghost, 2, 2, 're')).toEqual({ from: 4, to: 4, text: 'turn 1' })
  })
  test.each([
    ['other text', 2, 2, 'x'],
    ['another place', 0, 0, 're'],
    ['a deletion', 1, 2, ''],
    ['all of it', 2, 2, 'return 1'],
  ])('ends with %s', (_, from, to, typed) => {
    expect(afterTyping(ghost, from, to, typed)).toBeNull()
  })
  test('follows the document', () => {
    const offered = state('  ', 2).update({ effects: showGhost.of(ghost) }).state
    expect(ghostOf(offered)).toEqual(ghost)
    const typed = offered.update({ changes: { from: 2, insert: 'r' }, selection: { anchor: 3 } }).state
    expect(ghostOf(typed)).toEqual({ from: 3, to: 3, text: 'eturn 1' })
    expect(ghostOf(typed.update({ selection: { anchor: 0 } }).state)).toBeNull()
  })
})
