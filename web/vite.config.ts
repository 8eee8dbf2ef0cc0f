import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// `npm run dev` serves the UI and passes /api, /v1 and /signin on to a running server (or to `npm run stub`).
const server = process.env.CODEWEFT_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    outDir: '../src/codeweft/server/static',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 400,
    manifest: true,
  },
  server: { proxy: { '/api': server, '/v1': server, '/signin': server } },
  // A busy machine is slow, not wrong.
  test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
})
