export interface Snippet {
  name: string
  /** The file it belongs into, or what runs it. */
  where: string
  language: string
  code: string
}

interface Target {
  origin: string
  key: string
  model: string
  /** A model that fills in the middle, for completion while typing. */
  infill: string
}

/** Settings and calls for this server, one for each program that people connect. */
export function snippets({ origin, key, model, infill }: Target): Snippet[] {
  const base = `${origin}/v1`
  return [
    {
      name: 'curl',
      where: 'shell',
      language: 'bash',
      code: `curl ${base}/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "stream": true,
       "messages": [{"role": "user", "content": "Write a function that reverses a linked list"}]}'
`,
    },
    {
      name: 'Python',
      where: 'pip install openai',
      language: 'python',
      code: `from openai import OpenAI

client = OpenAI(base_url="${base}", api_key="${key}")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Write a function that reverses a linked list"}],
)
print(answer.choices[0].message.content)
for reference in answer.references:
    print(reference["number"], reference["path"], reference["start_line"])
`,
    },
    {
      name: 'Continue',
      where: '~/.continue/config.yaml',
      language: 'yaml',
      code: `name: Codeweft
version: 0.0.1
schema: v1
models:
  - name: Codeweft
    provider: openai
    model: ${model}
    apiBase: ${base}
    apiKey: ${key}
    roles: [chat, edit, apply]
  - name: Codeweft completion
    provider: openai
    model: ${infill}
    apiBase: ${base}
    apiKey: ${key}
    roles: [autocomplete]
`,
    },
    {
      name: 'llm',
      where: '~/.config/io.datasette.llm/extra-openai-models.yaml, then: llm keys set codeweft',
      language: 'yaml',
      code: `- model_id: codeweft
  model_name: ${model}
  api_base: "${base}"
  api_key_name: codeweft
`,
    },
    {
      name: 'aider',
      where: 'shell',
      language: 'bash',
      code: `export OPENAI_API_BASE=${base}
export OPENAI_API_KEY=${key}
aider --model openai/${model}
`,
    },
    {
      name: 'Codeweft CLI',
      where: 'shell',
      language: 'bash',
      code: `codeweft ask "Write a function that reverses a linked list"
codeweft search "where are settings read" -k 5
`,
    },
  ]
}
