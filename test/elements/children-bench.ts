/** An element with a wire (port 0), the parent's stack (1) and children from port 2 on, each a test port; frames in, who got what. */
import assert from 'node:assert/strict'
import type { ElementType, Plain } from '../../src/engine/element.ts'
import { TestBench } from '../engine/test-bench.ts'
import type { ArrivedFrame, TestFrameFields } from '../engine/test-elements.ts'

export interface ChildrenBenchOptions {
  readonly type: ElementType<never>
  readonly options: Plain
  /** Ports that are connected; default 0 to 4. */
  readonly ports?: readonly number[]
  readonly children: Readonly<Record<string, Plain>>
}

export class ChildrenBench {
  readonly bench: TestBench
  private readonly type: string
  private sent = 0
  private arrived = 0

  constructor({ type, options, ports = [0, 1, 2, 3, 4], children }: ChildrenBenchOptions) {
    this.bench = new TestBench({ types: [type] })
    this.type = type.type
    this.connect(ports, options)
    if (Object.keys(children).length > 0) this.update({ children })
  }

  connect(ports: readonly number[], options: Plain): void {
    this.bench.configure(
      {
        it: { type: this.type, options },
        ...Object.fromEntries(ports.map((port) => [`p${port}`, { type: 'test-port' }]))
      },
      ports.map((port) => ({ a: ['it', port], b: [`p${port}`, 0] }))
    )
  }

  update(change: Plain): void {
    this.bench.engine.patch({ updates: [{ element: 'it', change }] })
  }

  deliver(port: number, bytes: Uint8Array, fields: TestFrameFields = {}): Map<number, ArrivedFrame[]> {
    this.bench.port(`p${port}`).send(bytes, fields)
    this.bench.run()
    this.sent++
    const result = new Map<number, ArrivedFrame[]>()
    for (const [name, to] of this.bench.elements.ports) {
      if (to.arrived.length === 0) continue
      result.set(Number(name.slice(1)), to.arrived)
      this.arrived += to.arrived.length
      to.arrived = []
    }
    return result
  }

  /** Ports that got the frame, ascending, each as often as it did; checked to be the same bytes. */
  send(port: number, bytes: Uint8Array, fields: TestFrameFields = {}): number[] {
    const got = this.deliver(port, bytes, fields)
    for (const frames of got.values()) for (const frame of frames) assert.deepEqual(frame.bytes, bytes)
    return [...got].flatMap(([to, frames]) => frames.map(() => to)).sort((a, b) => a - b)
  }

  drops(reason: string): number {
    return this.bench.total(({ drops }) => drops[reason] ?? 0)
  }

  /** Frames in + copies = frames out + drops, and nothing is held. */
  checkBooks(): void {
    const copies = this.bench.total(({ counters }) => counters['copies'] ?? 0)
    const drops = this.bench.total((counters) => Object.values(counters.drops).reduce((sum, count) => sum + count, 0))
    assert.equal(this.sent + copies, this.arrived + drops, 'frames in + copies = frames out + drops')
    assert.equal(this.bench.engine.frames.inUse, 0, 'no frame is held')
  }
}
