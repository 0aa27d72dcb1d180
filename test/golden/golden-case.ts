/**
 * A golden case: a folder of captures/ with a topology, what goes in by its ports, and what must come out (see
 * captures/README.md). `runGolden` gives what the folder's `out.*` and `counters.json` must hold, byte for byte.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { FrameRecord } from '../../src/capture/frame-record.ts'
import { InlineCaptureFile } from '../../src/capture/inline-capture-file.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { readCounters } from '../../src/engine/counters.ts'
import type { ElementType } from '../../src/engine/element.ts'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { TestBench } from '../engine/test-bench.ts'

/** topology.json */
export interface GoldenTopology {
  /** What the case shows. */
  readonly description: string
  readonly elements: Readonly<Record<string, TopologyElement>>
  readonly links: readonly TopologyLink[]
  /** Where frames enter and leave: a name for each open port of an element. */
  readonly ports: Readonly<Record<string, readonly [element: string, port: number]>>
  readonly seed?: number
  /** Seconds that the case runs on after the last frame; default 0. */
  readonly linger?: number
}

interface Input {
  readonly port: string
  /** ns since the first frame of the case. */
  readonly time: number
  readonly bytes: Uint8Array
}

const IN = /^in(?:\.(.+))?\.(?:pcap|pcapng)$/

/** Contents by file name. */
export function runGolden(folder: string): Map<string, Buffer> {
  const topology: GoldenTopology = JSON.parse(readFileSync(path.join(folder, 'topology.json'), 'utf8'))
  const ports = Object.keys(topology.ports)
  const bench = build(topology)
  const outputs = new Map(ports.map((port) => [port, new PortOutput(port, bench.clock.epochNs)]))
  const collect = (): void => {
    bench.run()
    for (const [port, output] of outputs) output.add(bench.port(portElement(port)).take(), bench.clock.now())
  }
  const advance = (time: number): void => {
    for (let next = bench.engine.nextDeadline; next < time; next = bench.engine.nextDeadline) {
      bench.clock.advanceTo(next)
      collect()
    }
    bench.clock.advanceTo(time)
  }
  const inputs = readInputs(folder, ports)
  for (const { port, time, bytes } of inputs) {
    advance(time)
    bench.port(portElement(port)).send(bytes)
    collect()
  }
  advance(bench.clock.now() + (topology.linger ?? 0) * 1e9)
  collect()
  const files = new Map([...outputs].map(([port, output]) => [`out.${port}.pcapng`, output.close()]))
  files.set('counters.json', Buffer.from(`${JSON.stringify(counters(bench, topology), null, 2)}\n`))
  return files
}

/** Names of the folder's files that say what must come out. */
export function expectedFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('out.') || name === 'counters.json')
}

/** Folders of captures/ that are cases. */
export function goldenFolders(captures: string): string[] {
  const folders = readdirSync(captures, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders.map(({ name }) => path.join(captures, name)).filter((folder) => existsSync(path.join(folder, 'topology.json')))
}

function build(topology: GoldenTopology): TestBench {
  const registry = elementRegistry()
  const types = registry.names.map((name) => registry.get(name) as ElementType<never>)
  const bench = new TestBench({ types, seed: topology.seed })
  const elements: Record<string, TopologyElement> = { ...topology.elements }
  const links = [...topology.links]
  for (const [port, end] of Object.entries(topology.ports)) {
    elements[portElement(port)] = { type: 'test-port' }
    links.push({ a: [portElement(port), 0], b: end })
  }
  bench.configure(elements, links)
  return bench
}

function portElement(port: string): string {
  return `port ${port}`
}

/**
 * Every frame of every in-file by time, of equal times by port and place. A frame belongs to the port in its file's name,
 * or in the name of its interface, or to the first port.
 */
function readInputs(folder: string, ports: readonly string[]): Input[] {
  const frames: { port: string; timestamp: bigint; bytes: Uint8Array }[] = []
  for (const name of readdirSync(folder).sort()) {
    const match = IN.exec(name)
    if (match === null) continue
    const reader = readCapture(path.join(folder, name))
    for (const frame of reader) {
      const port = match[1] ?? reader.interfaces[frame.interface].name ?? ports[0]
      if (!ports.includes(port)) throw new Error(`${name}: there is no port '${port}' in topology.json, only ${ports.join(', ')}`)
      frames.push({ port, timestamp: frame.timestampNs, bytes: frame.data })
    }
  }
  if (frames.length === 0) throw new Error(`${folder} has no in.pcap, in.pcapng or in.PORT.pcap with frames`)
  frames.sort((a, b) => Number(a.timestamp - b.timestamp) || ports.indexOf(a.port) - ports.indexOf(b.port))
  return frames.map(({ port, timestamp, bytes }) => ({ port, time: Number(timestamp - frames[0].timestamp), bytes }))
}

/** The capture of what leaves by one port. */
class PortOutput {
  private readonly parts: Buffer[] = []
  private readonly file: InlineCaptureFile

  constructor(port: string, baseTime: bigint) {
    this.file = InlineCaptureFile.into({ write: (bytes) => this.parts.push(Buffer.from(bytes)) }, { baseTime })
    this.file.addInterface({ name: port })
  }

  add(frames: readonly Uint8Array[], timestamp: number): void {
    for (const bytes of frames) {
      this.file.record(Object.assign(new FrameRecord(), { bytes, timestamp, captured: bytes.length, original: bytes.length }))
    }
  }

  close(): Buffer {
    this.file.close()
    return Buffer.concat(this.parts)
  }
}

/** Of the elements in topology.json, in its order, and what must be true of every case: no frame is left over. */
function counters(bench: TestBench, topology: GoldenTopology): Record<string, unknown> {
  const all = readCounters(bench.engine.counters.layout())
  const result: Record<string, unknown> = {}
  for (const name of Object.keys(topology.elements)) {
    const { counters, drops } = all.get(name)!
    result[name] = { counters, drops }
  }
  return { framesInUse: bench.engine.frames.inUse, elements: result }
}
