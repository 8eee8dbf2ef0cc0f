import { useCallback, useEffect, useRef, useState } from 'react'
import { ApiError, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { Problem } from '../../api/types'
import { uploadFile } from '../../api/upload'

/** A file on its way into an index. `share` is how much of it was sent, 0 to 1. */
export interface Upload {
  id: number
  file: File
  state: 'waiting' | 'sending' | 'done' | 'failed'
  share: number
  problem: Problem | null
}

/** As many files at once: more only makes each slower. */
const atOnce = 2
let serial = 0

const made = (file: File): Upload => ({
  id: ++serial,
  file,
  state: 'waiting',
  share: 0,
  problem: null,
})

/** Sends files one by one, each with its own progress and its own failure. */
export function useUploads(initial: readonly File[]) {
  const [uploads, setUploads] = useState<Upload[]>(() => initial.map(made))
  const [busy, setBusy] = useState(false)
  const stopped = useRef(new AbortController())
  useEffect(() => () => stopped.current.abort(), [])

  const change = useCallback(
    (id: number, change: Partial<Upload>) =>
      setUploads((all) => all.map((one) => (one.id === id ? { ...one, ...change } : one))),
    [],
  )

  const add = (files: Iterable<File>) => setUploads((all) => [...all, ...[...files].map(made)])
  const remove = (id: number) => setUploads((all) => all.filter((one) => one.id !== id))

  /** Send what is not there yet; whether all of it arrived. */
  const send = async (index: string): Promise<boolean> => {
    setBusy(true)
    const left = uploads.filter((one) => one.state !== 'done')
    for (const { id } of left) change(id, { state: 'waiting', share: 0, problem: null })
    let failures = 0
    const work = async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        const { id, file } = next
        change(id, { state: 'sending' })
        try {
          await uploadFile(index, file, (share) => change(id, { share }), stopped.current.signal)
          change(id, { state: 'done', share: 1 })
        } catch (error) {
          if (stopped.current.signal.aborted) return
          failures += 1
          change(id, { state: 'failed', problem: asProblem(error) })
          // Whoever is not signed in, or has no server, fails with every other file, too.
          if (error instanceof ApiError && (error.status === 0 || error.status === 401)) left.length = 0
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    if (stopped.current.signal.aborted) return false
    setBusy(false)
    await queryClient.invalidateQueries({ queryKey: keys.indexes })
    return failures === 0
  }

  return { uploads, busy, add, remove, send }
}
