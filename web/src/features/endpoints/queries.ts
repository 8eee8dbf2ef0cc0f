import { useMutation, useQuery } from '@tanstack/react-query'
import { admin, type EndpointBody, type Endpoints } from '../../api/admin'
import { keys, queryClient } from '../../api/queries'
import { shelfKeys } from '../../api/shelf'

const key = ['endpoints']

export const useEndpoints = () => useQuery({ queryKey: key, queryFn: admin.endpoints })

/** Shows what the server made of a change, here and wherever else models are shown. */
const onSuccess = (made: Endpoints) => {
  queryClient.setQueryData(key, made)
  return Promise.all(
    [keys.models, keys.system, shelfKeys.pools, ['setup'], ['settings'], ['audit']].map((queryKey) =>
      queryClient.invalidateQueries({ queryKey }),
    ),
  )
}

export const useSaveEndpoint = () =>
  useMutation({
    mutationFn: ({ name, body }: { name: string; body: EndpointBody }) => admin.saveEndpoint(name, body),
    onSuccess,
  })

export const useRemoveEndpoint = () => useMutation({ mutationFn: admin.removeEndpoint, onSuccess })
