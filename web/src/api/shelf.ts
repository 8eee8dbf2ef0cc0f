import { useQuery } from '@tanstack/react-query'
import { call } from './client'
import type { CatalogueModel, CodeTasks, Engine, Pool, Pull, Shelf } from './types'

const part = encodeURIComponent

/** Model files, engines and pools of this server. */
export const shelf = {
  catalogue: () => call<CatalogueModel[]>('GET', '/models/catalogue'),
  files: () => call<Shelf>('GET', '/models/files'),
  pull: (reference: string) => call<Pull>('POST', '/models/pulls', { body: { reference } }),
  cancel: (name: string) => call<void>('DELETE', `/models/pulls/${part(name)}`),
  remove: (name: string) => call<void>('DELETE', `/models/files/${part(name)}`),
  engine: (name: string, act: EngineAct) => call<Engine>('POST', `/models/${part(name)}/${act}`),
  pools: () => call<Pool[]>('GET', '/pools'),
}

export type EngineAct = 'start' | 'stop' | 'restart'

export const shelfKeys = { catalogue: ['catalogue'], files: ['modelFiles'], pools: ['pools'] } as const

export const useCatalogue = () => useQuery({ queryKey: shelfKeys.catalogue, queryFn: shelf.catalogue })

export const useShelf = () =>
  useQuery({
    queryKey: shelfKeys.files,
    queryFn: shelf.files,
    refetchInterval: (query) =>
      query.state.data?.pulls.some((pull) => pull.state === 'running') ? 700 : 30_000,
  })

export const usePools = () =>
  useQuery({
    queryKey: shelfKeys.pools,
    queryFn: shelf.pools,
    refetchInterval: (query) => (query.state.data?.length ? 5000 : false),
  })

export const useTasks = () =>
  useQuery({
    queryKey: ['tasks'],
    queryFn: () => call<CodeTasks>('GET', '/tasks'),
    staleTime: 300_000,
  })
