import { useMutation } from '@tanstack/react-query'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { Index } from '../../api/types'
import { Confirm } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

/** Deletes every uploaded file and keeps the index. */
export function ClearIndex({ index, onClose }: { index: Index; onClose: () => void }) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  const clear = useMutation({
    mutationFn: () => api.deleteAllFiles(index.name),
    onSuccess: async () => {
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: ['files', index.name] }),
        queryClient.invalidateQueries({ queryKey: keys.indexes }),
      ])
      onClose()
    },
  })
  return (
    <Confirm
      title={words.clearTitle(number(index.files, language))}
      text={words.clearText(index.name)}
      action={words.clear}
      busy={clear.isPending}
      error={clear.error && asProblem(clear.error)}
      onConfirm={() => clear.mutate()}
      onClose={onClose}
    />
  )
}
