/**
 * An element around the parts of elements/fragment, on an engine under a virtual clock.
 *
 *   in --> 0 | fragments: Reassembler | [ fragmentIpv4, when there is an MTU ] | 1 --> out
 */
import { fragmentIpv4 } from '../../../src/elements/fragment/fragment-ipv4.ts'
import { fragmentIpv6 } from '../../../src/elements/fragment/fragment-ipv6.ts'
import { Reassembler, type ReassemblerOptions } from '../../../src/elements/fragment/reassembler.ts'
import { declareDrops } from '../../../src/engine/drop-reason.ts'
import type { Element, ElementContext, ElementType } from '../../../src/engine/element.ts'
import { type FrameHandle, type FramePoolOptions, NO_FRAME } from '../../../src/engine/frame-pool.ts'
import { checkIpv4, IpProtocol, ipv4IsFragment } from '../../../src/wire/ipv4.ts'
import { TestBench } from '../../engine/test-bench.ts'
import type { ArrivedFrame, TestFrameFields } from '../../engine/test-elements.ts'

const TestDrop = declareDrops('test', { uncut: 'The packet could not be cut.' })

export interface ReassemblingOptions extends ReassemblerOptions {
  /** Cut what leaves. */
  readonly mtu?: number
  /** The zone of a frame is its traffic class instead of 0. */
  readonly zoneByTos?: boolean
}

export class Reassembling implements Element {
  readonly reassembler: Reassembler
  /** What the last call of fragmentIpv4 returned. */
  pieces = -1
  private readonly context: ElementContext
  private readonly options: ReassemblingOptions

  constructor(context: ElementContext, options: ReassemblingOptions) {
    this.context = context
    this.options = options
    this.reassembler = new Reassembler(context, options)
  }

  push(): void {
    while (this.context.nextReady() >= 0) {
      const { rx } = this.context.ports[0]!
      while (!rx.empty) this.handle(rx.receive())
    }
  }

  private handle(frame: FrameHandle): void {
    const { frames } = this.context
    const at = frames.start[frame] + 14
    const bytes = frames.bytes(frame)
    let whole = frame
    const isIpv6 = bytes[at] >> 4 === 6
    if (isIpv6 ? hasFragmentHeader(bytes, at) : checkIpv4(bytes, at, at - 14 + frames.length[frame]) && ipv4IsFragment(bytes, at)) {
      whole = this.reassembler.add(frame, this.options.zoneByTos === true ? bytes[at + 1] : 0)
    }
    if (whole === NO_FRAME) return
    if (this.options.mtu === undefined) return this.context.transmit(1, whole)
    this.pieces = (isIpv6 ? fragmentIpv6 : fragmentIpv4)(frames, whole, this.options.mtu, (piece) => this.context.transmit(1, piece))
    if (this.pieces === 0) this.context.drop(whole, TestDrop.uncut)
  }

  close(): void {
    this.reassembler.close()
  }
}

/** By the first extension header, which is the fragment header or destination options in these tests. */
function hasFragmentHeader(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 6] === IpProtocol.fragment || bytes[at + 6] === IpProtocol.destinationOptions
}

export class ReassemblyBench extends TestBench {
  element!: Reassembling

  constructor(options: ReassemblingOptions = {}, pool: FramePoolOptions = {}) {
    let made: Reassembling | undefined
    const type: ElementType<ReassemblingOptions> = {
      type: 'reassembling',
      maxPorts: 2,
      counters: [],
      create: (context, given) => (made = new Reassembling(context, given))
    }
    super({ types: [type as ElementType<never>], pool })
    this.configure({ in: { type: 'test-port' }, out: { type: 'test-port' }, unit: { type: 'reassembling', options } }, [
      { a: ['in', 0], b: ['unit', 0] },
      { a: ['unit', 1], b: ['out', 0] }
    ])
    this.element = made!
  }

  /** Sends the frames one after the other and returns what came out. */
  send(...frames: Uint8Array[]): Uint8Array[] {
    return this.sendWith({}, ...frames).map(({ bytes }) => bytes)
  }

  sendWith(fields: TestFrameFields, ...frames: Uint8Array[]): ArrivedFrame[] {
    for (const bytes of frames) this.port('in').send(bytes, fields)
    this.run()
    const { arrived } = this.port('out')
    this.port('out').arrived = []
    return arrived
  }

  /** The same for a frame with these bytes. */
  cutBytes(bytes: Uint8Array, mtu: number): Uint8Array[] {
    const { frames } = this.engine
    const frame = frames.allocate(bytes.length)
    frames.bytes(frame).set(bytes, frames.start[frame])
    return this.cut(frame, mtu)
  }

  /** Cuts a frame without the element. */
  cut(frame: FrameHandle, mtu: number): Uint8Array[] {
    const { frames } = this.engine
    const parts: Uint8Array[] = []
    const isIpv6 = frames.bytes(frame)[frames.start[frame] + 14] >> 4 === 6
    const cut = isIpv6 ? fragmentIpv6 : fragmentIpv4
    cut(frames, frame, mtu, (part) => {
      parts.push(frames.bytes(part).slice(frames.start[part], frames.start[part] + frames.length[part]))
      frames.free(part)
    })
    return parts
  }

  get drops(): Record<string, number> {
    return this.counters('unit').drops
  }
}
