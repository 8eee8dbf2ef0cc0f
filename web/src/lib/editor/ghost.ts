import { type EditorState, type Extension, Prec, StateEffect, StateField } from '@codemirror/state'
import { Decoration, EditorView, keymap, ViewPlugin, type ViewUpdate, WidgetType } from '@codemirror/view'

/** The marker of a hole. Without one the hole is at the cursor. */
export const fill = '<FILL>'

/** Text that is offered in place of `from` to `to`. */
export interface Ghost {
  from: number
  to: number
  text: string
}

export const showGhost = StateEffect.define<Ghost | null>()

/** Where the hole is, and the text around it. */
export function holeOf(state: EditorState): { from: number; to: number; prefix: string; suffix: string } {
  const text = state.doc.toString()
  const at = text.indexOf(fill)
  const from = at === -1 ? state.selection.main.head : at
  const to = at === -1 ? from : at + fill.length
  return { from, to, prefix: text.slice(0, from), suffix: text.slice(to) }
}

/** What is left of an offer after an edit: typing its own beginning keeps the rest of it. */
export function afterTyping(ghost: Ghost, from: number, to: number, typed: string): Ghost | null {
  const goesOn = from === ghost.from && to === ghost.from && ghost.to === ghost.from
  if (!goesOn || typed === '' || !ghost.text.startsWith(typed) || typed === ghost.text) return null
  const at = from + typed.length
  return { from: at, to: at, text: ghost.text.slice(typed.length) }
}

class Text extends WidgetType {
  constructor(readonly text: string) {
    super()
  }
  override eq(other: Text): boolean {
    return other.text === this.text
  }
  override toDOM(): HTMLElement {
    const span = document.createElement('span')
    span.className = 'cm-ghost'
    span.setAttribute('aria-hidden', 'true')
    span.textContent = this.text
    return span
  }
}

const offered = StateField.define<Ghost | null>({
  create: () => null,
  update(ghost, transaction) {
    let next = ghost
    if (ghost && transaction.docChanged) {
      let edits = 0
      transaction.changes.iterChanges((from, to, _start, _end, inserted) => {
        edits += 1
        next = edits === 1 ? afterTyping(ghost, from, to, inserted.toString()) : null
      })
    } else if (ghost && transaction.selection && transaction.selection.main.head !== ghost.from) {
      next = ghost.to > ghost.from ? ghost : null
    }
    for (const effect of transaction.effects) if (effect.is(showGhost)) next = effect.value
    return next
  },
  provide: (field) =>
    EditorView.decorations.from(field, (ghost) =>
      ghost?.text
        ? Decoration.set(Decoration.widget({ widget: new Text(ghost.text), side: 1 }).range(ghost.to))
        : Decoration.none,
    ),
})

export const ghostOf = (state: EditorState): Ghost | null => state.field(offered, false) ?? null

/** Put the offered text into the document. */
export function accept(view: EditorView): boolean {
  const ghost = ghostOf(view.state)
  if (!ghost?.text) return false
  view.dispatch({
    changes: { from: ghost.from, to: ghost.to, insert: ghost.text },
    selection: { anchor: ghost.from + ghost.text.length },
    effects: showGhost.of(null),
    userEvent: 'input.complete',
    scrollIntoView: true,
  })
  return true
}

export function dismiss(view: EditorView): boolean {
  if (!ghostOf(view.state)) return false
  view.dispatch({ effects: showGhost.of(null) })
  return true
}

const marker = Decoration.mark({ class: 'cm-fill' })
const markers = ViewPlugin.define(
  (view) => ({
    marks: marked(view.state),
    update(change: ViewUpdate) {
      if (change.docChanged) this.marks = marked(change.state)
    },
  }),
  { decorations: (plugin) => plugin.marks },
)

function marked(state: EditorState) {
  const at = state.doc.toString().indexOf(fill)
  return at === -1 ? Decoration.none : Decoration.set(marker.range(at, at + fill.length))
}

/** Offers text where the hole is: Tab takes it, Esc sends it away, typing its beginning goes on with the rest. */
export function ghostText(onDismiss: () => void): Extension {
  return [
    offered,
    markers,
    Prec.highest(
      keymap.of([
        { key: 'Tab', run: accept },
        {
          key: 'Escape',
          run: (view) => {
            onDismiss()
            return dismiss(view)
          },
        },
      ]),
    ),
  ]
}
