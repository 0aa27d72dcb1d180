// The whole test run: lint, types (the build), then every test file under test/, each in a process of its own.
//   node scripts/test.mjs [--smoke] [--long-fuzz] [--only TEXT] [--update] [--no-install]
// --smoke leaves out files marked slow by their name (*.slow.test.ts); --only keeps files whose path has TEXT.
// Last line: `N passed, M failed, K skipped`.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean' },
    'long-fuzz': { type: 'boolean' },
    only: { type: 'string' },
    update: { type: 'boolean' },
    'no-install': { type: 'boolean' }
  }
})
const counts = { passed: 0, failed: 0, skipped: 0 }
const skips = []

function step(name, command, args) {
  const result = spawnSync(command, args, { stdio: 'inherit' })
  const ok = result.status === 0
  console.log(`${ok ? '✔' : '✖'} ${name}`)
  counts[ok ? 'passed' : 'failed']++
  return ok
}

function walk(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(dir, entry.name)
    return entry.isDirectory() ? walk(at) : [at]
  })
}

/** Runs files and adds to the counts; resolves when all have ended. */
function runFiles(files, concurrency) {
  return new Promise((resolve) => {
    const stream = run({ files, concurrency })
    stream.on('test:pass', (event) => {
      if (event.details?.type === 'suite') return
      if (event.skip !== undefined && event.skip !== false) {
        counts.skipped++
        skips.push(`${event.name}: ${event.skip === true || event.skip === '' ? 'no reason given' : event.skip}`)
      } else if (!files.includes(event.name)) counts.passed++
    })
    stream.on('test:fail', (event) => {
      if (event.details?.type === 'suite' && event.details.error?.failureType === 'subtestsFailed') return
      counts.failed++
    })
    stream.on('end', resolve)
    stream.compose(new spec()).pipe(process.stdout)
  })
}

const started = performance.now()
if (!options['no-install'] && process.getuid?.() === 0 && existsSync('scripts/install-test-tools')) {
  spawnSync('scripts/install-test-tools', ['--missing'], { stdio: 'inherit' })
}
if (!options.only) step('lint', process.execPath, ['node_modules/@biomejs/biome/bin/biome', 'check', '.'])
if (step('types', process.execPath, ['scripts/build.mjs'])) {
  if (options['long-fuzz']) process.env.NETLOOM_FUZZ = 'long'
  if (options.update) process.env.NETLOOM_UPDATE = '1'
  const files = walk('dist/test')
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => existsSync(file.replace(/^dist\//, '').replace(/\.js$/, '.ts')))
    .filter((file) => !options.only || file.includes(options.only))
    .filter((file) => !options.smoke || !file.endsWith('.slow.test.js'))
    .map((file) => path.resolve(file))
    .sort()
  const system = files.filter((file) => file.includes('/test/system/'))
  const others = files.filter((file) => !file.includes('/test/system/'))
  if (others.length > 0) await runFiles(others, 2)
  if (system.length > 0) await runFiles(system, 1)
}
if (skips.length > 0) console.log(`\nskipped:\n${skips.map((skip) => `  ${skip}`).join('\n')}`)
console.log(`\nran ${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 ? 1 : 0
