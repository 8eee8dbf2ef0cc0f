// What only the pages of administration, of one's account and of the first run ask the server.
import { call, url } from './client'
import type { components } from './schema'
import type { ApiKey, NewKey, Session } from './types'

type Schemas = components['schemas']

export type Person = Schemas['PersonView']
export type Role = NonNullable<Schemas['ChangePersonBody']['role']>
export type PersonChange = Partial<Schemas['ChangePersonBody']>
export type Team = Schemas['TeamView']
export type Limit = Schemas['LimitView']
export type LimitBody = Partial<Schemas['LimitBody']>
export type Access = Schemas['AccessView']
export type Total = Schemas['UsageTotalView']
export type DayTotal = Schemas['UsageOfDayView']
export type BreakEvenBody = Partial<Schemas['BreakEvenBody']> &
  Pick<Schemas['BreakEvenBody'], 'machine_usd_per_hour' | 'machine_tokens_per_second'>
export type BreakEven = Schemas['BreakEvenView']
export type Change = Schemas['ChangeView']
export type Feedback = Schemas['FeedbackView']
export type Setup = Schemas['SetupView']
export type FittingModel = Schemas['FittingModelView']
export type Endpoint = Schemas['EndpointView']
export type Endpoints = Schemas['EndpointsView']
export type EndpointBody = Partial<Schemas['EndpointBody']>
export type TrialBody = Partial<Schemas['TrialBody']>
export type Trial = Schemas['TrialView']
export type AuditQuery = { actor?: string; action?: string; since?: string; until?: string; q?: string }
export type Client = Schemas['ClientView']
export type Setting = Schemas['SettingView']
export type Settings = Schemas['SettingsView']
export type Me = Schemas['MeView']
export type NewTotp = Schemas['NewTotpView']
export type OwnSession = Schemas['OwnSessionView']
export type Scope = ApiKey['scopes'][number]

export const groups = ['model', 'user', 'team', 'key', 'app'] as const
export type Group = (typeof groups)[number]
export type Who = 'me' | 'everyone'

const part = encodeURIComponent

export const admin = {
  users: () => call<Person[]>('GET', '/users'),
  addUser: (body: { name: string; role: Role; team: string | null }) =>
    call<Person>('POST', '/users', { body }),
  changeUser: (id: string, body: PersonChange) => call<Person>('PATCH', `/users/${part(id)}`, { body }),
  deleteUser: (id: string) => call<void>('DELETE', `/users/${part(id)}`),
  signinLink: (id: string) => call<{ path: string }>('POST', `/users/${part(id)}/signin`),
  endUserSessions: (id: string) => call<{ ended: number }>('DELETE', `/users/${part(id)}/sessions`),
  removeUserTotp: (id: string) => call<void>('DELETE', `/users/${part(id)}/totp`),
  removeUserPassword: (id: string) => call<void>('DELETE', `/users/${part(id)}/password`),
  linkIdentity: (id: string, subject: string) =>
    call<void>('PUT', `/users/${part(id)}/identity`, { body: { subject } }),
  teams: () => call<Team[]>('GET', '/teams'),
  addTeam: (name: string) => call<Team>('POST', '/teams', { body: { name } }),
  deleteTeam: (id: string) => call<void>('DELETE', `/teams/${part(id)}`),
  limits: () => call<Limit[]>('GET', '/limits'),
  setLimit: (kind: string, subject: string, body: LimitBody) =>
    call<void>('PUT', `/limits/${kind}/${part(subject || 'all')}`, { body }),
  removeLimit: (kind: string, subject: string) =>
    call<void>('DELETE', `/limits/${kind}/${part(subject || 'all')}`),
  access: (index: string) => call<Access>('GET', `/indexes/${part(index)}/access`),
  setAccess: (index: string, body: Access) => call<Access>('PUT', `/indexes/${part(index)}/access`, { body }),
  usage: (by: Group, days: number, who: Who) => call<Total[]>('GET', '/usage', { query: { by, days, who } }),
  usageByDay: (by: Group, days: number, who: Who) =>
    call<DayTotal[]>('GET', '/usage/by-day', { query: { by, days, who } }),
  breakEven: (body: BreakEvenBody) => call<BreakEven>('POST', '/cost/break-even', { body }),
  audit: (query: AuditQuery, before?: string) =>
    call<Change[]>('GET', '/audit', { query: { ...query, limit: 100, before } }),
  auditNames: () => call<Schemas['AuditNamesView']>('GET', '/audit/names'),
  keys: () => call<ApiKey[]>('GET', '/keys', { query: { who: 'everyone' } }),
  feedback: (rating: string, before?: string) =>
    call<Feedback[]>('GET', '/feedback', { query: { rating, before, limit: 50 } }),
  settings: () => call<Settings>('GET', '/settings'),
  changeSettings: (values: Record<string, unknown>) =>
    call<Settings>('PATCH', '/settings', { body: { values } }),
  endpoints: () => call<Endpoints>('GET', '/endpoints'),
  saveEndpoint: (name: string, body: EndpointBody) =>
    call<Endpoints>('PUT', `/endpoints/${part(name)}`, { body }),
  removeEndpoint: (name: string) => call<Endpoints>('DELETE', `/endpoints/${part(name)}`),
  testEndpoint: (body: TrialBody) => call<Trial>('POST', '/endpoints/test', { body }),
}

/** Where the feedback is downloaded from. */
export const feedbackUrl = (format: 'jsonl' | 'csv', rating: string): string =>
  url('/feedback/export', { format, rating })

export const setup = {
  state: () => call<Setup>('GET', '/setup'),
  clients: () => call<Client[]>('GET', '/setup/clients'),
}

export const account = {
  me: () => call<Me>('GET', '/me'),
  signIn: (body: { name: string; password: string; code: string | null }) =>
    call<Session>('POST', '/session', { body }),
  register: (body: { name: string; password: string }) =>
    call<Schemas['RegistrationView']>('POST', '/registration', { body }),
  setPassword: (body: { password: string; current: string | null }) =>
    call<Session>('PUT', '/me/password', { body }),
  beginTotp: () => call<NewTotp>('POST', '/me/totp'),
  confirmTotp: (code: string) =>
    call<{ recovery_codes: string[] }>('POST', '/me/totp/confirm', { body: { code } }),
  removeTotp: (code: string) => call<void>('POST', '/me/totp/remove', { body: { code } }),
  renewCodes: (code: string) =>
    call<{ recovery_codes: string[] }>('POST', '/me/totp/recovery-codes', { body: { code } }),
  sessions: () => call<OwnSession[]>('GET', '/me/sessions'),
  endSession: (id: string) => call<void>('DELETE', `/me/sessions/${part(id)}`),
  endSessions: () => call<{ ended: number }>('DELETE', '/me/sessions'),
  createKey: (body: { name: string; expires_in_days: number | null; scopes: Scope[] }) =>
    call<NewKey>('POST', '/keys', { body }),
  rotateKey: (id: string) => call<NewKey>('POST', `/keys/${part(id)}/rotate`),
}
