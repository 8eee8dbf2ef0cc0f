/** Offer `text` to the user as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  downloadFrom(url, name)
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** Offer what is at `url` as a file, by the name that the server gives it unless `name` is given. */
export function downloadFrom(url: string, name = ''): void {
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
}
