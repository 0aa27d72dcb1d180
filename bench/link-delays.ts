/**
 * How well emulated links keep the delay that they are set to: what frames took beyond it, in memory at a million a second and through
 * TAPs at twenty thousand.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCapture } from '../src/capture/read-capture.ts'
import { netemType } from '../src/elements/netem/netem.ts'
import { RealClock } from '../src/engine/clock.ts'
import { type Element, type ElementContext, ElementRegistry, type ElementType } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
import { Lab } from '../src/lab/lab.ts'
import { BenchNamespace } from './system/bench-namespace.ts'
import { CLIENT_ADDRESS, SERVER_ADDRESS, SUBNET } from './system/path-case.ts'

export interface DelayValues {
  /** Microseconds beyond the configured delay. */
  readonly p50: number
  readonly p99: number
  readonly worst: number
  readonly frames: number
}

const DELAY_NS = 10e6

function delayValues(errors: Float64Array): DelayValues {
  const sorted = errors.sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! / 1000
  return { p50: at(0.5), p99: at(0.99), worst: at(1), frames: sorted.length }
}

const MEMORY_RATE = 1e6
const batch = new Int32Array(64)

/** Under the machine's clock, on an engine of this thread that does nothing else. */
export function memoryDelays(seconds: number): DelayValues {
  const clock = new RealClock()
  const errors = new Float64Array(seconds * MEMORY_RATE)
  let arrived = 0
  let sender!: ElementContext
  const type = (name: string, create: (context: ElementContext) => Element): ElementType<never> =>
    ({ type: name, maxPorts: 1, counters: [], create }) as ElementType<never>
  const receive = (context: ElementContext): void => {
    const now = clock.now()
    const { frames } = context
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        if (arrived < errors.length) errors[arrived++] = now - frames.timestamp[frame]! - DELAY_NS
        frames.free(frame)
      }
    }
  }
  const registry = new ElementRegistry().register(
    netemType as ElementType<never>,
    type('sender', (context) => {
      sender = context
      return { push() {} }
    }),
    type('receiver', (context) => ({ push: () => receive(context) }))
  )
  const engine = new Engine({ clock, elements: registry, seed: 1, pool: { maxSmallChunks: 16, maxLargeChunks: 1 } })
  engine.configure({
    elements: {
      a: { type: 'sender' },
      link: { type: 'netem', options: { forward: { delay: { meanNs: DELAY_NS } } } },
      b: { type: 'receiver' }
    },
    links: [
      { a: ['a', 0], b: ['link', 0] },
      { a: ['link', 1], b: ['b', 0] }
    ]
  })
  const run = (frames: number): void => {
    const from = clock.now()
    arrived = 0
    for (let sent = 0; arrived < frames; ) {
      const due = Math.floor(((clock.now() - from) / 1e9) * MEMORY_RATE)
      engine.turn()
      while (sent < due) {
        const count = sender.frames.allocateAll(batch, Math.min(batch.length, due - sent), 64)
        sender.enterAll(batch, count)
        sender.ports[0]!.tx.transmitAll(batch, count)
        sent += count
        engine.turn()
      }
    }
  }
  run(errors.length / 2) // for the compiler
  run(errors.length)
  engine.close()
  return delayValues(errors)
}

const TAP_RATE = 20_000
const DATAGRAM = 64
/** iperf3's datagrams have 4 bytes of seconds, 4 of microseconds and 4 of their number behind 42 bytes of headers. */
const NUMBER_AT = 50
const PORT_AT = 36
const PORT = 5201

/** iperf3's datagrams between two namespaces, timed by the kernel where it gives them to one TAP and takes them from the other. */
export async function tapDelays(seconds: number): Promise<DelayValues> {
  const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
  const [client, server] = [await BenchNamespace.create(), await BenchNamespace.create()]
  const lab = await Lab.create({ seed: 1, upstreams: [] })
  try {
    const network = await lab.network('bench', { subnet: SUBNET })
    await network.attach('client', { path: client.path }, { ip: CLIENT_ADDRESS, link: { out: `delay ${DELAY_NS}ns` } })
    await network.attach('server', { path: server.path }, { ip: SERVER_ADDRESS })
    const files = ['client', 'server'].map((name) => path.join(folder, `${name}.pcap`))
    const tcpdump = ['tcpdump', '-i', 'eth0', '-U', '-B', '65536', '-s', '64', '--time-stamp-precision=nano', '-w']
    const captures = [client, server].map((namespace, end) => namespace.start(...tcpdump, files[end]!, `udp and dst port ${PORT}`))
    for (const capture of captures) await capture.until('capture', () => capture.stderr.includes('listening on'))
    const peer = server.start('iperf3', '-s', '-1')
    await sleep(500)
    const rate = String(TAP_RATE * DATAGRAM * 8)
    await client.start('iperf3', '-u', '-l', String(DATAGRAM), '-b', rate, '-t', String(seconds), '-c', SERVER_ADDRESS).finish(seconds + 20)
    await peer.stop()
    await sleep(500)
    for (const capture of captures) await capture.stop('SIGINT')
    const sent = times(files[0]!)
    const errors = [...times(files[1]!)].flatMap(([number, time]) =>
      sent.has(number) ? [Number(time - sent.get(number)!) - DELAY_NS] : []
    )
    return delayValues(Float64Array.from(errors))
  } finally {
    await lab.close()
    client.close()
    server.close()
    rmSync(folder, { recursive: true })
  }
}

/** When each datagram was seen, nanoseconds, by its number. */
function times(file: string): Map<number, bigint> {
  const seen = new Map<number, bigint>()
  for (const { data, timestampNs } of readCapture(file)) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    if (data.byteLength >= NUMBER_AT + 4 && view.getUint16(PORT_AT) === PORT) seen.set(view.getUint32(NUMBER_AT), timestampNs)
  }
  return seen
}
