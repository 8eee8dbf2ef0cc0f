const due = new Set<() => void>()
let asked = false

function draw(): void {
  asked = false
  const now = [...due]
  due.clear()
  for (const change of now) change()
}

/**
 * Changes what is shown with the next frame: all changes of a frame are drawn at once. The function that calls it off.
 * A hidden tab gets no frames; a timer keeps its state moving there.
 */
export function onFrame(change: () => void): () => void {
  due.add(change)
  if (!asked) {
    asked = true
    if (document.hidden) setTimeout(draw, 250)
    else requestAnimationFrame(draw)
  }
  return () => due.delete(change)
}
