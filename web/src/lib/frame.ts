const due = new Set<() => void>()
let asked = false
// Before this moment (of `performance.now()`) nothing is drawn.
let free = 0

function draw(): void {
  asked = false
  const now = [...due]
  due.clear()
  for (const change of now) change()
}

function frame(): void {
  const begun = performance.now()
  if (begun < free) {
    requestAnimationFrame(frame)
    return
  }
  draw()
  // Comes when layout and painting are done. A draw that takes more than half a frame leaves the next frames to the
  // reader, who scrolls and types in them: at most half of the time is spent on drawing.
  setTimeout(() => {
    free = 2 * performance.now() - begun
  })
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
    else requestAnimationFrame(frame)
  }
  return () => due.delete(change)
}

/** Calls back once what is there now was drawn; never in a hidden tab. The function that calls it off. */
export function afterDraw(then: () => void): () => void {
  // The first may come before the layout of what is there now.
  let asked = requestAnimationFrame(() => {
    asked = requestAnimationFrame(then)
  })
  return () => cancelAnimationFrame(asked)
}
