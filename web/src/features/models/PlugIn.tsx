import { Snippet } from '../../components/Snippet'
import { useWords } from '../../lib/i18n'

const endpoint = `base_url: https://llm.example.com/v1
api_key: \${LLM_API_KEY}
model: qwen3-coder-30b
`

/** Three ways to a model that is good enough for work. */
export function PlugIn() {
  const { models: words } = useWords('models')
  const ways = [
    {
      title: words.pull,
      text: words.pullText,
      code: 'codeweft models pull qwen2.5-coder-7b',
      language: 'bash',
    },
    {
      title: words.local,
      text: words.localText,
      code: 'codeweft models pull /path/to/model.gguf',
      language: 'bash',
    },
    { title: words.endpoint, text: words.endpointText, code: endpoint, language: 'yaml' },
  ]
  return (
    <section id="plug" aria-labelledby="plug-title" className="card flex flex-col gap-5 p-5">
      <div>
        <h2 id="plug-title" className="text-lg font-semibold">
          {words.plug}
        </h2>
        <p className="text-sm text-ink-2">{words.plugText}</p>
      </div>
      {ways.map(({ title, text, code, language }) => (
        <div key={title}>
          <h3 className="text-sm font-semibold">{title}</h3>
          <p className="mb-2 text-sm text-ink-2">{text}</p>
          <Snippet code={code} language={language} />
        </div>
      ))}
    </section>
  )
}
