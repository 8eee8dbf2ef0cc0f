import { ApiError } from './client'
import type { Problem } from './types'

const problemOf = (request: XMLHttpRequest): Problem => {
  try {
    const { error } = JSON.parse(request.responseText) as { error?: Problem }
    if (error?.message) return error
  } catch {
    // Not JSON: fall through.
  }
  return { message: `HTTP ${request.status} ${request.statusText}`.trim() }
}

/** Put one file into an index. `onProgress` gets the sent part (0 to 1), which `fetch` cannot tell. */
export function uploadFile(
  index: string,
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const body = new FormData()
    body.append('files', file, file.webkitRelativePath || file.name)
    request.open('POST', `/api/indexes/${encodeURIComponent(index)}/files`)
    request.setRequestHeader('X-Codeweft', '1')
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0)
    request.onload = () =>
      request.status < 300 ? resolve() : reject(new ApiError(request.status, problemOf(request)))
    request.onerror = () =>
      reject(new ApiError(0, { message: 'The server does not answer.', code: 'offline' }))
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'))
    signal.addEventListener('abort', () => request.abort())
    request.send(body)
  })
}
