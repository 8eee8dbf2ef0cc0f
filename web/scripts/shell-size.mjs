// Fails the build when what the browser must load before the first page (entry and its static imports) grows past
// the budget. Everything heavy belongs in a lazily loaded chunk.
import fs from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

const budget = 120 * 1024
const out = '../src/codeweft/server/static'
const manifest = JSON.parse(fs.readFileSync(path.join(out, '.vite/manifest.json'), 'utf8'))
const files = new Set()
const visit = (key) => {
  const chunk = manifest[key]
  for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file)
  for (const next of chunk.imports ?? []) visit(next)
}
visit('index.html')
const sizes = [...files].map((file) => [file, gzipSync(fs.readFileSync(path.join(out, file))).length])
const total = sizes.reduce((sum, [, size]) => sum + size, 0)
for (const [file, size] of sizes) console.log(`${(size / 1024).toFixed(1).padStart(7)} KB gzip  ${file}`)
console.log(`${(total / 1024).toFixed(1).padStart(7)} KB gzip  shell (budget ${budget / 1024} KB)`)
if (total > budget) process.exit(1)
