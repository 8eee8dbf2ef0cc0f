export default {
  snippets: {
    title: 'Snippets',
    text: 'The code of your answers, and what you saved. Nobody else sees it.',
    search: 'Search snippets',
    empty: 'No snippets yet',
    emptyText: 'Every block of code that an answer brings you is kept here until you delete it.',
    noMatch: (query: string) => `No snippet mentions “${query}”.`,
    open: 'Open the conversation',
    saved: 'Saved by you',
    delete: 'Delete snippet',
    clear: 'Delete all',
    clearTitle: 'Delete all snippets?',
    clearText: 'Your conversations stay; only this history is deleted. This cannot be undone.',
    untitled: 'Snippet',
  },
}
