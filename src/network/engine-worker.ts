/**
 * The engine thread. It blocks in a poll and has no event loop: no promise, timer or socket of JavaScript works here.
 *
 * Requests wait in the message port, from which `receiveMessageOnPort` takes them without an event loop; the sender wakes the
 * poll. Answers and events leave by `postMessage`, which needs a loop only on the other side.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Engine, RealClock } from '../engine/index.ts'
import { loadNative, tryLoadNative } from '../io/load-native.ts'
import { elementRegistry } from './element-registry.ts'
import type { EngineFailure, EngineMessage, EngineRequest, EngineStart, NumberedRequest } from './engine-protocol.ts'
import { RealtimePoller } from './realtime-poller.ts'
import { traceFrames } from './trace-frames.ts'
import { Call, createPoller, POLL_MAX_NS, takeCalls } from './wake-poller.ts'

const start = workerData as EngineStart
const port = parentPort!
const post = (message: EngineMessage): void => port.postMessage(message)
const clock = new RealClock(start.clock)
let poller = createPoller(start.wake, tryLoadNative())
const engine = new Engine({
  clock,
  elements: elementRegistry(),
  seed: start.seed,
  pool: start.pool,
  poller,
  onEvent: (element, event) => post({ kind: 'event', element, event })
})

/** Blocks come and go with patches; those of ingress drops are made by the first frame. */
function announceCounters(): void {
  const change = engine.counters.takeChange()
  if (change !== null) post({ kind: 'counters', change })
}

/** Structured clone keeps an error's text but neither its class nor its code. */
function describe(error: Error & { code?: string; fix?: string }): EngineFailure {
  return { name: error.name, message: error.message, code: error.code, fix: error.fix, stack: error.stack }
}

function carryOut(number: number, request: EngineRequest): boolean {
  const answer = (error: Error | null, value?: unknown): void => {
    announceCounters()
    post({ kind: 'answer', number, error: error && describe(error), value })
  }
  try {
    switch (request.kind) {
      case 'configure':
        engine.configure(request.topology)
        answer(null)
        break
      case 'patch':
        answer(
          null,
          engine.patch(request.patch).map((error) => describe(error as Error))
        )
        break
      case 'share':
        engine.share(request.name, request.value)
        answer(null)
        break
      case 'command':
        engine.command(request.element, request.verb, request.argument, answer)
        break
      case 'frames-in-use':
        answer(null, engine.frames.inUse)
        break
      case 'trace':
        traceFrames(engine, request.request)
        answer(null)
        break
      case 'traced':
        answer(null, engine.tracer.drain(request.session, clock.now()))
        break
      case 'make-realtime':
        if (!(poller instanceof RealtimePoller)) poller = new RealtimePoller(poller, loadNative(), clock)
        answer(null)
        break
      case 'stop':
        engine.close()
        answer(null)
        break
    }
  } catch (error) {
    answer(error as Error)
  }
  return request.kind !== 'stop'
}

/** Nanoseconds to the next timer. The clock is read only when it matters: no wait is longer than POLL_MAX_NS. */
function untilDeadline(): number {
  const sinceTurn = engine.nextDeadline - engine.now
  return sinceTurn > 2 * POLL_MAX_NS ? POLL_MAX_NS : Math.max(0, engine.nextDeadline - clock.now())
}

/** Turns that a poll may be late while there is work: a poll costs as much as a frame. */
const TURNS_PER_POLL = 4

/** What comes now must not hide the error that ended the thread. */
function closeQuietly(close: () => void): void {
  try {
    close()
  } catch {}
}

function run(): void {
  const ready = new Int32Array(256)
  const word = new Int32Array(start.wake.word)
  let busy = false
  let unpolled = 0
  for (;;) {
    // While there is work the devices that had frames are asked again, and the others are looked for now and then only.
    const isPolled = !busy || ++unpolled === TURNS_PER_POLL
    if (isPolled) unpolled = 0
    const count = isPolled ? poller.wait(ready, busy ? 0 : untilDeadline()) : 0
    for (let calls = takeCalls(word); calls !== 0; calls = takeCalls(word)) {
      if (calls & Call.leave) return
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        const { number, request } = next.message as NumberedRequest
        if (!carryOut(number, request)) return
      }
    }
    busy = engine.turn(ready, count)
    announceCounters()
  }
}

try {
  run()
} finally {
  // Also when an element threw: descriptors belong to the process and would outlive this thread.
  closeQuietly(() => engine.close())
  closeQuietly(() => poller.close())
}
// The port would keep the thread alive.
port.unref()
port.close()
