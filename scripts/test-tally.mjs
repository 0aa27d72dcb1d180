import path from 'node:path'

/**
 * Counts the events of node:test's run(), one file at a time, so that the sum can be trusted:
 * - suites, and tests that hold sub-tests, are not counted beside what they hold: a failure inside is one failure;
 * - run() also reports the file itself, but only when it crashed, hung, or held no test: those are failures;
 * - a test that began and was never reported means that its file ended early with exit code 0 (process.exit()): a failure;
 * - a `todo` never fails a run: it is listed with the skipped.
 */
export class TestTally {
  passed = 0
  failed = 0
  /** Names of the tests that failed. */
  failures = []
  /** One line for each: 'file: name: reason'. */
  skips = []
  /** One line for each file that failed as a whole. */
  problems = []

  /** A step that is no test of node:test: lint, types. */
  count(ok) {
    if (ok) this.passed++
    else this.failed++
  }

  /** `events`: all that run() told of this file (an absolute path), in order. */
  countFile(file, events) {
    const before = this.passed + this.failed + this.skips.length
    const running = new Map()
    /** For each nesting level, whether something was reported there since the last report one level up. */
    const levels = []
    let crash
    for (const { type, data } of events) {
      if (type === 'test:dequeue' && !isFile(data, file)) running.set(key(data), (running.get(key(data)) ?? 0) + 1)
      if (type !== 'test:pass' && type !== 'test:fail') continue
      if (isFile(data, file)) {
        if (type === 'test:fail') crash = data.details.error
        continue
      }
      running.set(key(data), (running.get(key(data)) ?? 1) - 1)
      const holdsTests = levels[data.nesting + 1] === true
      levels[data.nesting + 1] = false
      levels[data.nesting] = true
      this.#countReport(type === 'test:pass', data, holdsTests, file)
    }
    const unfinished = [...running].find(([, count]) => count > 0)?.[0].split('\t')[1]
    const counted = this.passed + this.failed + this.skips.length - before
    if (crash !== undefined && crash.failureType !== 'subtestsFailed') this.#problem(file, describeCrash(crash))
    else if (unfinished !== undefined) this.#problem(file, `it ended in the middle of '${unfinished}'`)
    else if (counted === 0) this.#problem(file, 'it ran no test')
  }

  #countReport(ok, data, holdsTests, file) {
    const skip = (reason, otherwise) => {
      const name = path.basename(file).replace(/\.test\.m?js$/, '')
      this.skips.push(`${name}: ${data.name}: ${typeof reason === 'string' && reason !== '' ? reason : otherwise}`)
    }
    if (isSet(data.skip)) skip(data.skip, 'no reason given')
    else if (isSet(data.todo)) skip(data.todo, 'todo')
    else if (ok ? data.details?.type !== 'suite' && !holdsTests : data.details?.error?.failureType !== 'subtestsFailed') {
      this.count(ok)
      if (!ok) this.failures.push(data.name)
    }
  }

  #problem(file, text) {
    this.failed++
    this.problems.push(`${file}: ${text}`)
  }
}

function isFile(data, file) {
  return data.nesting === 0 && data.name === file
}

function isSet(value) {
  return value !== undefined && value !== false
}

/** `file` here is where the test was written, which may be a suite that many files share. */
function key(data) {
  return `${data.nesting}:${data.file}:${data.line}:${data.column}\t${data.name}`
}

function describeCrash(error) {
  if (error.failureType === 'testTimeoutFailure') return `${error.message}: a test hangs, or something keeps the process alive`
  const how = error.signal ? `by ${error.signal}` : `with exit code ${error.exitCode}`
  return `it ended ${how}: a crash, a syntax error, or an error outside of any test`
}
