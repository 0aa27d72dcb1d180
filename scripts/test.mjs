// The whole test run: lint, types (the build), then every test file, each in a process of its own. Last line:
// `N passed, M failed, K skipped`; exit code 1 when anything failed or nothing ran.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TestTally } from './test-tally.mjs'

/** More than these that fail are no chance: none is repeated then. */
const MOST_REPEATED = 2

const USAGE = `node scripts/test.mjs [options]
  --smoke         leave out the files marked slow by their name (*.slow.test.ts)
  --only TEXT     only files whose path has TEXT; no lint
  --update        write golden files anew (sets NETLOOM_UPDATE=1 for the tests)
  --long-fuzz     ten times the random frames (sets NETLOOM_FUZZ=long)
  --timeout S     seconds for one file, default 600
  --no-install    do not look for missing test tools
  --dir FOLDER    run the compiled test files of FOLDER and nothing else: for tests of this program`

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const options = readOptions()
const tally = new TestTally()
/** 'file: names': what failed beside other files and not alone. */
const repeated = []
const reporter = new spec()
reporter.pipe(process.stdout, { end: false })
const started = performance.now()

if (options.dir !== undefined) {
  await runFiles(testFiles(options.dir), 1)
} else {
  process.chdir(root)
  installTools()
  if (!options.only) step('lint', ['node_modules/@biomejs/biome/bin/biome', 'check', '.'])
  if (step('types', ['scripts/build.mjs'])) await runAllFiles()
  else console.log('the tests were not run: they could not be compiled')
}
// The reporter prints its list of failures at the end; ours is the last line.
reporter.end()
await finished(reporter)
report()

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        smoke: { type: 'boolean' },
        only: { type: 'string' },
        update: { type: 'boolean' },
        'long-fuzz': { type: 'boolean' },
        timeout: { type: 'string', default: '600' },
        'no-install': { type: 'boolean' },
        dir: { type: 'string' },
        help: { type: 'boolean', short: 'h' }
      }
    })
    if (!(Number(values.timeout) > 0)) throw new Error(`--timeout '${values.timeout}' is no number of seconds above 0`)
    if (values.help) {
      console.log(USAGE)
      process.exit(0)
    }
    return values
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    process.exit(2)
  }
}

/** System tests need them; without them each such test is skipped with its reason. Only root can install. */
function installTools() {
  if (options['no-install'] || process.getuid?.() !== 0) return
  spawnSync('scripts/install-test-tools', ['--missing'], { stdio: ['ignore', 'inherit', 'inherit'] })
}

function step(name, args) {
  const ok = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
  console.log(`${ok ? '✔' : '✖'} ${name}`)
  tally.count(ok)
  return ok
}

/** Several files at once: system tests mostly wait, for pings without an answer and for time-outs. They share no name and no port. */
async function runAllFiles() {
  if (options['long-fuzz']) process.env.NETLOOM_FUZZ = 'long'
  if (options.update) process.env.NETLOOM_UPDATE = '1'
  const files = testFiles('dist/test').filter(hasSource)
  // Those that take minutes first, so that no lane is left with one of them alone at the end.
  const weight = (file) => (/\.slow\.test\.m?js$/.test(file) ? 0 : file.includes('/dist/test/system/') ? 1 : 2)
  await runFiles(
    files.sort((a, b) => weight(a) - weight(b)),
    os.availableParallelism()
  )
}

/** Absolute paths of the files that were asked for, sorted. */
function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((file) => /\.test\.m?js$/.test(file))
    .map((file) => path.resolve(folder, file))
    .filter((file) => !options.only || path.relative(root, file).includes(options.only))
    .filter((file) => !options.smoke || !/\.slow\.test\.m?js$/.test(file))
    .sort()
}

/** The compiler leaves the output of removed sources behind. */
function hasSource(file) {
  return existsSync(path.join('test', path.relative('dist/test', file)).replace(/\.js$/, '.ts'))
}

/**
 * Each file by a run() of its own: its events then are known to be its own, whichever module its tests are written in. What
 * failed beside others is repeated at the end, alone, and both outputs are shown: what fails again has failed.
 */
async function runFiles(files, concurrency) {
  const waiting = [...files]
  const suspects = []
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const events = await eventsOf(file)
      if (failures(file, events).length > 0) suspects.push({ file, events })
      else settle(file, events)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  const mayBeChance = files.length > 1 && suspects.length <= MOST_REPEATED
  for (const { file, events } of suspects) settle(file, mayBeChance ? await again(file, events) : events)
}

async function eventsOf(file) {
  const events = []
  for await (const event of run({ files: [file], concurrency: 1, timeout: Number(options.timeout) * 1000 })) events.push(event)
  return events
}

/** What the tally would count: names of tests, or what is wrong with the file as a whole. */
function failures(file, events) {
  const own = new TestTally()
  own.countFile(file, events)
  return [...own.failures, ...own.problems]
}

/** The events of one more run, after the first's were shown. */
async function again(file, events) {
  console.log(`\n${file} failed beside others:`)
  const shown = new spec()
  shown.pipe(process.stdout, { end: false })
  show(events, shown)
  shown.end()
  await finished(shown)
  console.log('\nonce more, alone:')
  const second = await eventsOf(file)
  if (failures(file, second).length === 0) repeated.push(`${file}: ${failures(file, events).join(', ')}`)
  return second
}

function settle(file, events) {
  tally.countFile(file, events)
  show(events, reporter)
}

/** Without the sums that run() makes for each file. */
function show(events, to) {
  for (const event of events) if (event.type !== 'test:diagnostic' || event.data.file !== undefined) to.write(event)
}

function report() {
  const { passed, failed, skips, problems } = tally
  if (skips.length > 0) console.log(`\nskipped:\n${skips.map((skip) => `  ${skip}`).join('\n')}`)
  if (problems.length > 0) console.log(`\nfiles that failed as a whole:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  if (repeated.length > 0) console.log(`\nfailed beside other files, and passed alone:\n${repeated.map((line) => `  ${line}`).join('\n')}`)
  const nothing = passed + failed + skips.length === 0
  if (nothing) console.log(`\nno test file was found${options.only ? ` whose path has '${options.only}'` : ''}`)
  console.log(`\nran ${((performance.now() - started) / 1000).toFixed(0)} s`)
  console.log(`${passed} passed, ${failed} failed, ${skips.length} skipped`)
  process.exitCode = failed > 0 || nothing ? 1 : 0
}
