// npm leaves optional platform packages out of the lock when its registry cannot resolve them at lock time, and
// `npm ci` on another platform then refuses the lock ("Missing: @x/y-darwin-arm64 from lock file"). This adds the
// missing entries, and removes registry addresses so that the lock works behind any mirror. Run by `npm run lock`.
import fs from 'node:fs'

const file = 'package-lock.json'
const lock = JSON.parse(fs.readFileSync(file, 'utf8'))
const systems = [
  'darwin',
  'win32',
  'linux',
  'android',
  'freebsd',
  'openbsd',
  'netbsd',
  'sunos',
  'aix',
  'openharmony',
]
const processors = [
  'arm64',
  'x64',
  'ia32',
  'riscv64',
  'ppc64',
  's390x',
  'loong64',
  'mips64el',
  'wasm32',
  'arm',
]

const platform = (name) => {
  const os = systems.find((system) => name.includes(system))
  const cpu = processors.find((processor) => name.includes(processor))
  return {
    ...(os && { os: [os] }),
    cpu: [cpu ?? 'none'],
    ...(name.includes('musl') && { libc: ['musl'] }),
    ...(os === 'linux' && (name.includes('gnu') || name.includes('glibc')) && { libc: ['glibc'] }),
  }
}

let added = 0
for (const [path, entry] of Object.entries(lock.packages)) {
  delete entry.resolved
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] || lock.packages[`${path}/${key}`] || !/^\d/.test(version)) continue
    lock.packages[key] = { version, ...(entry.dev && { dev: true }), optional: true, ...platform(name) }
    added += 1
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
fs.writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`package-lock.json: ${added} platform packages added`)
