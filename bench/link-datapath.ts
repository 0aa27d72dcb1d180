/**
 * Emulated links in memory: stations send batches of small frames over links to stations that free them, under a clock that moves on
 * by the frames' spacing, so that a delay holds a known number of frames.
 */
import { type NetemOptions, netemType } from '../src/elements/netem/netem.ts'
import { VirtualClock } from '../src/engine/clock.ts'
import { type Element, type ElementContext, ElementRegistry, type ElementType } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
import type { TopologyElement, TopologyLink } from '../src/engine/topology.ts'

export interface LinkTrial {
  readonly links: number
  /** null: the stations alone. */
  readonly options: NetemOptions | null
  /** To be sent while it is measured, over all links together. */
  readonly frames: number
  /** Frames a second of the clock, over all links together. */
  readonly rate: number
}

export interface LinkValues {
  readonly mpps: number
  readonly nsPerFrame: number
  /** CPU time of this thread: what counts on a busy machine. */
  readonly cpuPerFrame: number
  /** Frames held by links at the end of the measured part. */
  readonly inFlight: number
  readonly rssMiB: number
}

const BATCH = 64
const LENGTH = 64
/** For a million frames under way, and some that rest, so that slots are taken in the order of their place (see RestingSlots). */
const SMALL_CHUNKS = 126

const batch = new Int32Array(BATCH)

/** Sends a batch when it is told to. */
class Sender implements Element {
  private readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  send(): void {
    const { context } = this
    const { frames } = context
    const count = frames.allocateAll(batch, BATCH, LENGTH)
    // As a device has written it: the memory of a slot is there only then.
    for (let i = 0; i < count; i++) frames.words(batch[i])[frames.start[batch[i]] >> 2] = i
    context.enterAll(batch, count)
    context.ports[0]!.tx.transmitAll(batch, count)
  }

  push(): void {}
}

class Receiver implements Element {
  arrived = 0
  private readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const count = rx.receiveAll(batch)
        context.frames.freeAll(batch, count)
        this.arrived += count
      }
    }
  }
}

export function runLinks({ links, options, frames, rate }: LinkTrial): LinkValues {
  const senders: Sender[] = []
  const receivers: Receiver[] = []
  const type = (name: string, create: ElementType['create']): ElementType => ({ type: name, maxPorts: 1, counters: [], create })
  const registry = new ElementRegistry().register(
    netemType as ElementType<never>,
    type('sender', (context) => senders[senders.push(new Sender(context)) - 1]) as ElementType<never>,
    type('receiver', (context) => receivers[receivers.push(new Receiver(context)) - 1]) as ElementType<never>
  )
  const clock = new VirtualClock()
  const engine = new Engine({ clock, elements: registry, seed: 1, pool: { maxSmallChunks: SMALL_CHUNKS, maxLargeChunks: 1 } })
  const elements: Record<string, TopologyElement> = {}
  const cables: TopologyLink[] = []
  for (let i = 0; i < links; i++) {
    elements[`s${i}`] = { type: 'sender' }
    elements[`r${i}`] = { type: 'receiver' }
    if (options === null) cables.push({ a: [`s${i}`, 0], b: [`r${i}`, 0] })
    else {
      elements[`l${i}`] = { type: 'netem', options }
      cables.push({ a: [`s${i}`, 0], b: [`l${i}`, 0] }, { a: [`l${i}`, 1], b: [`r${i}`, 0] })
    }
  }
  engine.configure({ elements, links: cables })
  const step = (BATCH * 1e9) / rate
  let time = 0
  let next = 0
  const run = (count: number): void => {
    for (let sent = 0; sent < count; sent += BATCH) {
      time += step
      clock.advanceTo(Math.round(time))
      senders[next].send()
      next = (next + 1) % links
      while (engine.turn());
    }
  }
  // What is measured begins when as many frames leave the links as enter them, and all code is compiled.
  run(Math.max(frames / 4, 2 * MILLION))
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  run(frames)
  const { user, system } = process.cpuUsage(cpu)
  const nanoseconds = Number(process.hrtime.bigint() - start)
  const values = {
    mpps: (frames * 1e3) / nanoseconds,
    nsPerFrame: nanoseconds / frames,
    cpuPerFrame: ((user + system) * 1e3) / frames,
    inFlight: engine.wheel.size,
    rssMiB: process.memoryUsage.rss() / 2 ** 20
  }
  engine.close()
  if (receivers.reduce((sum, { arrived }) => sum + arrived, 0) === 0) throw new Error('nothing arrived')
  return values
}

const MILLION = 1_000_000
