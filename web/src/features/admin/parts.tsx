import { useMutation } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { queryClient } from '../../api/queries'

/** A change that makes what was asked under `stale` be asked again. */
export const useChange = <Given, Made>(change: (given: Given) => Promise<Made>, ...stale: string[]) =>
  useMutation({
    mutationFn: change,
    onSuccess: () =>
      Promise.all([...stale, 'audit'].map((key) => queryClient.invalidateQueries({ queryKey: [key] }))),
  })

/** What stands where a list would be: what belongs here, and how it comes here. */
export function Empty({
  icon,
  title,
  text,
  children,
}: {
  icon: ReactNode
  title: string
  text: string
  children?: ReactNode
}) {
  return (
    <div className="card flex flex-col items-center gap-2 border-dashed! px-6 py-10 text-center [&>svg]:size-7 [&>svg]:text-ink-3">
      {icon}
      <p className="font-semibold">{title}</p>
      <p className="max-w-md text-sm text-ink-2">{text}</p>
      {children}
    </div>
  )
}

interface SectionProps {
  title: string
  text?: string
  actions?: ReactNode
  children: ReactNode
}

export function Section({ title, text, actions, children }: SectionProps) {
  return (
    <section aria-label={title} className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end gap-3">
        <div className="min-w-0 flex-[1_1_16rem]">
          <h2 className="text-lg font-semibold">{title}</h2>
          {text && <p className="text-sm text-ink-2">{text}</p>}
        </div>
        {actions}
      </div>
      {children}
    </section>
  )
}
