import path from 'node:path'

/**
 * Counts the events of node:test's run() so that the sum can be trusted:
 * - suites, and tests that hold sub-tests, are not counted beside what they hold: a failure inside is one failure;
 * - run() also reports each file, but only when it crashed, timed out, or held no test: those are failures;
 * - a test that began and was never reported means that its file ended early with exit code 0 (process.exit()): a failure;
 * - a `todo` never fails a run: it is listed with the skipped.
 */
export class TestTally {
  passed = 0
  failed = 0
  /** One line for each: 'file: name: reason'. */
  skips = []
  /** One line for each failure that the reporter does not print. */
  problems = []
  /** file -> 'place name' -> how many have begun and not ended. */
  #running = new Map()
  /** Files that held something to count. */
  #counted = new Set()
  /** file -> for each nesting level, whether something was reported there since the last report one level up. */
  #levels = new Map()

  /** Counts what `stream` (of run()) tells about `files` (absolute paths); resolves at its end. */
  follow(stream, files) {
    const isFile = (event) => event.nesting === 0 && files.includes(event.name)
    stream.on('test:dequeue', (event) => {
      if (!isFile(event)) this.#began(event)
    })
    stream.on('test:pass', (event) => {
      if (isFile(event)) return
      const holdsTests = this.#ended(event)
      if (isSet(event.skip)) this.#skip(event, event.skip, 'no reason given')
      else if (isSet(event.todo)) this.#skip(event, event.todo, 'todo')
      else if (event.details?.type !== 'suite' && !holdsTests) this.#count(event, true)
    })
    stream.on('test:fail', (event) => {
      if (!isFile(event)) this.#ended(event)
      if (isSet(event.todo)) this.#skip(event, event.todo, 'todo')
      else if (event.details?.error?.failureType === 'subtestsFailed') return
      else if (isFile(event)) this.#problem(`${event.name}: ${describeFileFailure(event.details?.error)}`)
      else this.#count(event, false)
    })
    return new Promise((resolve, reject) => {
      stream.on('error', reject)
      stream.on('end', () => {
        for (const file of files) this.#checkEnd(file)
        resolve()
      })
    })
  }

  /** A step that is no test of node:test: lint, types. */
  count(ok) {
    if (ok) this.passed++
    else this.failed++
  }

  #count(event, ok) {
    this.count(ok)
    this.#counted.add(event.file)
  }

  #skip(event, reason, otherwise) {
    this.#counted.add(event.file)
    const file = path.basename(event.file ?? '').replace(/\.test\.m?js$/, '')
    this.skips.push(`${file}: ${event.name}: ${typeof reason === 'string' && reason !== '' ? reason : otherwise}`)
  }

  #problem(text) {
    this.failed++
    this.problems.push(text)
  }

  #began(event) {
    const running = this.#running.get(event.file) ?? new Map()
    this.#running.set(event.file, running)
    running.set(key(event), (running.get(key(event)) ?? 0) + 1)
  }

  /** Returns whether it held tests: within a file they are reported just before it. */
  #ended(event) {
    const running = this.#running.get(event.file)
    const left = (running?.get(key(event)) ?? 1) - 1
    if (left > 0) running.set(key(event), left)
    else running?.delete(key(event))

    const levels = this.#levels.get(event.file) ?? []
    this.#levels.set(event.file, levels)
    const holdsTests = levels[event.nesting + 1] === true
    levels[event.nesting + 1] = false
    levels[event.nesting] = true
    return holdsTests
  }

  #checkEnd(file) {
    // A file that crashed or hung has been counted already.
    if (this.problems.some((problem) => problem.startsWith(`${file}: `))) return
    const [unfinished] = this.#running.get(file)?.keys() ?? []
    if (unfinished !== undefined) this.#problem(`${file}: it ended in the middle of '${unfinished.split('\t')[1]}'`)
    else if (!this.#counted.has(file)) this.#problem(`${file}: it ran no test`)
  }
}

function isSet(value) {
  return value !== undefined && value !== false
}

function key(event) {
  return `${event.nesting}:${event.line}:${event.column}\t${event.name}`
}

function describeFileFailure(error) {
  if (error?.failureType === 'testTimeoutFailure') return `${error.message}: a test hangs, or something keeps the process alive`
  const how = error?.signal ? `by ${error.signal}` : `with exit code ${error?.exitCode}`
  return `it ended ${how}: a crash, a syntax error, or an error outside of any test`
}
