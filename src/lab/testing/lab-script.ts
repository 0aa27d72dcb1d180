/**
 * What a script has set going in its lab beside itself: expectations, and what happens at set times. A failure of either ends the script.
 */
import type { EngineHost } from '../../network/engine-host.ts'
import { NetworkError } from '../../network/network-error.ts'
import type { FrameExpectation } from './expectation.ts'
import { type LabTime, nanoseconds, timeText } from './lab-time.ts'

export class LabScript {
  private readonly engine: EngineHost
  /** Those that are not decided, and those that failed. */
  private readonly expectations = new Set<FrameExpectation<unknown>>()
  private fail: (error: unknown) => void = () => {}
  /** Rejects with the first failure of what `at` was given. */
  private readonly failed: Promise<never>

  constructor(engine: EngineHost) {
    this.engine = engine
    this.failed = new Promise((_, reject) => {
      this.fail = reject
    })
    this.failed.catch(() => {})
  }

  /** Throws NetworkError `invalid` for a time that is none, or past. */
  at(time: LabTime, action: () => unknown): Promise<void> {
    const due = nanoseconds(time, 'at')
    const now = this.engine.now()
    if (due < now) throw new NetworkError('invalid', `at: ${timeText(due)} is past, it is ${timeText(now)}`)
    const done = this.engine.wait(due - now).then(async () => {
      await action()
    })
    done.catch(this.fail)
    return done
  }

  expect<T>(expectation: FrameExpectation<T>): FrameExpectation<T> {
    this.expectations.add(expectation)
    expectation.decided.then(() => {
      if (expectation.failure === null) this.expectations.delete(expectation)
    })
    return expectation
  }

  /** Carries a script out; then waits for what it expects and has not waited for. Rejects with the first failure. */
  async carry<T>(script: () => T | Promise<T>): Promise<T> {
    const result = await Promise.race([(async () => script())(), this.failed])
    for (const expectation of this.expectations) {
      await expectation.decided
      if (expectation.failure !== null && !expectation.isAwaited) throw expectation.failure
    }
    return result
  }
}
