// Compiles src, test, bench and examples into dist/ with the project's own tsc.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const result = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.json'), ...process.argv.slice(2)], { stdio: 'inherit' })
process.exit(result.status ?? 1)
