// Runs before the first paint, from a file because the content policy forbids inline script.
try {
  const settings = JSON.parse(localStorage.getItem('codeweft.settings') ?? '{}')
  if (settings.theme === 'light' || settings.theme === 'dark')
    document.documentElement.dataset.theme = settings.theme
  if (settings.language) document.documentElement.lang = settings.language
} catch {
  // Storage may be forbidden; the system theme is used then.
}
