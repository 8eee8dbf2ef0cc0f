// The nouns of the API by their short names. `schema.ts` is generated from openapi.json by `npm run api`.
import type { components } from './schema'

type Schemas = components['schemas']

export type Session = Schemas['SessionView']
export type User = Schemas['UserView']
export type System = Schemas['SystemView']
export type Engine = Schemas['EngineView']
export type Model = Schemas['ModelView']

export type CatalogueModel = Schemas['CatalogueView']
export type ModelFile = Schemas['ModelFileView']
export type Pull = Schemas['PullView']
export type Shelf = Schemas['ShelfView']
export type Pool = Schemas['PoolView']

export type CodeTask = Schemas['TaskView']
export type TaskInput = Schemas['InputView']
export type CodeTasks = Schemas['TasksView']
export type TaskRequest = Partial<Schemas['TaskBody']> & { inputs: Record<string, string> }
export type InfillRequest = Partial<Schemas['InfillBody']> & { prefix: string }

export type Index = Schemas['IndexView']
export type State = Index['state']
export type Job = Schemas['JobView']
export type PathReason = Schemas['FileReason']
export type IndexFile = Schemas['FileView']
export type IndexFiles = Schemas['FilesView']
export type ChunkOfFile = Schemas['ChunkView']
export type NewIndex = Pick<Schemas['NewIndexBody'], 'source'> & Partial<Schemas['NewIndexBody']>
export type Secret = Schemas['SecretView']
export type Summaries = Schemas['SummariesView']
export type SummariesRequest = Partial<Schemas['SummariesBody']>
export type Estimate = Schemas['EstimateView']
export type Spent = Schemas['SpentView']
export type Source = Schemas['SourceView']
export type Reference = Schemas['ReferenceView']

/** Where to look; of several names any may match. */
export type Narrowing = Partial<Pick<Schemas['SearchBody'], 'index' | 'languages' | 'kinds' | 'paths'>>
export type SearchRequest = Partial<Schemas['SearchBody']> & { query: string }
export type SearchType = Schemas['SearchBody']['search_type']
export type SearchAnswer = Schemas['SearchView']
export type Explanation = Schemas['ExplanationView']
export type Place = Schemas['PlaceView']
export type Places = Schemas['PlacesView']
export type Hit = Schemas['HitView']
export type Hits = Schemas['HitsView']

export type Conversation = Schemas['ConversationView']
export type ConversationWithTurns = Schemas['ConversationWithTurns']
export type Turn = Schemas['TurnView']
export type Usage = Schemas['UsageView']
export type Sampling = Partial<Schemas['SamplingBody']>
export type Timings = Turn['timings']
export type Rating = Turn['rating']
export type Ask = Partial<Schemas['AskBody']>
export type Asked = Schemas['AskedView']

/** Something an agent did before it answered: a tool it called, and what came of it. */
export type Step = Schemas['StepView']
/** Whether the code of an answer stood its check, and what the tool said. `tool` is empty when nothing could check it. */
export type Checked = Schemas['CheckedView']

export type Attachment = Schemas['AttachmentView']
export type Snippet = Schemas['SnippetView']

/** How an answer came about. Candidates with a number were shown to the model. */
export type Explained = Schemas['ExplainedView']
export type Candidate = Schemas['CandidateView']

export type ApiKey = Schemas['KeyView']
export type NewKey = Schemas['NewKeyView']

/** What went wrong and what to do about it, from the server or from this UI. */
export interface Problem {
  message: string
  fix?: string | null
  code?: string | null
  param?: string | null
}
