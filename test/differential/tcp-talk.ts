/** Writes the steps of a TCP conversation; knows both ends' sequence numbers. */
import type { Random } from '../../src/engine/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import type { Party, Step, TcpBody } from './stream.ts'

const { fin, syn, rst, psh, ack } = TcpFlag

export class TcpTalk {
  readonly steps: Step[] = []
  /** Next to be sent by each end. */
  readonly next: Record<Party, number>
  private readonly random: Random
  private readonly flow: number
  private readonly takeId: () => number
  private readonly scaled: boolean

  constructor(random: Random, flow: number, takeId: () => number) {
    this.random = random
    this.flow = flow
    this.takeId = takeId
    this.next = { client: random.int32() >>> 0, server: random.int32() >>> 0 }
    this.scaled = random.below(2) === 0
  }

  /** One segment. `change` stands above what it would be; sequence space is used up unless `change` has a seq of its own. */
  send(from: Party, flags: number, length = 0, change: Partial<TcpBody> = {}, about: Partial<Step> = {}): void {
    const other = from === 'client' ? 'server' : 'client'
    const seq = this.next[from]
    const body: TcpBody = {
      kind: 'tcp',
      flags,
      seq,
      ack: (flags & ack) !== 0 ? this.next[other] : 0,
      ...((flags & syn) !== 0 && { options: this.scaled ? '020405b4010303070402' + '0101' : '020405b4' }),
      length,
      ...change
    }
    this.steps.push({ flow: this.flow, from, body, id: this.takeId(), dontFragment: length <= 1300, ...about })
    if (change.seq === undefined) this.next[from] = (seq + length + ((flags & (syn | fin)) !== 0 ? 1 : 0)) >>> 0
  }

  open(): void {
    this.send('client', syn)
    this.send('server', syn | ack)
    this.send('client', ack)
  }

  /** A few segments of data with their acknowledgements. */
  talk(segments: number): void {
    for (let i = 0; i < segments; i++) {
      const from = this.party()
      this.send(from, psh | ack, 1 + this.random.below(this.random.below(8) === 0 ? 1400 : 200))
      if (this.random.below(2) === 0) this.send(from === 'client' ? 'server' : 'client', ack)
    }
  }

  close(from: Party): void {
    const other = from === 'client' ? 'server' : 'client'
    this.send(from, fin | ack)
    if (this.random.below(2) === 0) this.send(other, ack)
    if (this.random.below(3) === 0) this.send(other, psh | ack, 20)
    this.send(other, fin | ack)
    this.send(from, ack)
  }

  reset(from: Party): void {
    this.send(from, this.random.below(2) === 0 ? rst : rst | ack, 0, { seq: this.next[from] })
  }

  /** The last segment once more. */
  repeat(): void {
    const last = this.steps.at(-1)
    if (last !== undefined) this.steps.push({ ...last, id: this.takeId() })
  }

  /** Anything, in or near the window, or far from it. */
  wild(): void {
    const { random } = this
    const from = this.party()
    const flags = random.below(4) === 0 ? random.below(256) : WILD_FLAGS[random.below(WILD_FLAGS.length)]
    const length = random.below(3) === 0 ? random.below(100) : 0
    const other = from === 'client' ? 'server' : 'client'
    const change: { -readonly [K in keyof TcpBody]?: TcpBody[K] } = {}
    if (random.below(3) === 0) change.seq = (this.next[from] + this.offset()) >>> 0
    if (random.below(3) === 0) change.ack = (this.next[other] + this.offset()) >>> 0
    if (random.below(8) === 0) change.window = random.below(65_536)
    this.send(from, flags, length, change)
  }

  party(): Party {
    return this.random.below(2) === 0 ? 'client' : 'server'
  }

  private offset(): number {
    const reach = OFFSETS[this.random.below(OFFSETS.length)]
    return this.random.below(2 * reach + 1) - reach
  }
}

const WILD_FLAGS = [
  syn,
  syn,
  syn | ack,
  syn | ack,
  ack,
  ack,
  ack,
  psh | ack,
  fin | ack,
  fin | ack,
  rst,
  rst | ack,
  fin,
  syn | fin,
  0,
  syn | rst
]
/** Within a segment, a window, a scaled window, and anywhere. */
const OFFSETS = [1, 2, 1500, 66_000, 9_000_000, 0x7fffffff]
