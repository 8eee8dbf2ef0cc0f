import { useMutation } from '@tanstack/react-query'
import { keys, queryClient } from '../../api/queries'
import { shelf, shelfKeys } from '../../api/shelf'

/** Everything that a change of the model files or engines shows in. */
export const refreshModels = () =>
  Promise.all(
    [shelfKeys.files, keys.models, keys.system].map((queryKey) =>
      queryClient.invalidateQueries({ queryKey }),
    ),
  )

export const usePull = () => useMutation({ mutationFn: shelf.pull, onSuccess: refreshModels })
