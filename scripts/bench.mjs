// Builds, then runs the benchmarks: npm run bench -- --suite micro|datapath|gateway|system (see bench/README.md).
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const steps = [[path.join(root, 'scripts/build.mjs')], [path.join(root, 'dist/bench/run.js'), ...process.argv.slice(2)]]
for (const step of steps) {
  const { status } = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
