/**
 * FQ-CoDel, RFC 8290: flows are hashed to queues, each under CoDel of its own; queues send in turns by deficit round robin, those that
 * have just begun before the others. When there is no room, the longest queue loses from its head.
 */
import { type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { Codel, type CodelSettings } from './codel.ts'
import { flowHash } from './flow-hash.ts'
import { FrameFifo, type LinkQueue, type QueueLimits } from './link-queue.ts'

/** RFC 8290 sections 5.2.2 and 5.2.4. */
export const FQ_FLOWS = 1024
export const FQ_QUANTUM = 1514

interface Flow {
  readonly fifo: FrameFifo
  readonly codel: Codel
  deficit: number
  isListed: boolean
}

const packet = new PacketView()

export class FlowQueue implements LinkQueue {
  private readonly frames: FramePool
  private readonly limits: QueueLimits
  private readonly settings: CodelSettings
  private readonly quantum: number
  private readonly seed: number
  /** Made when a flow is first hashed there. */
  private readonly flows: (Flow | undefined)[]
  private readonly newFlows: Flow[] = []
  private readonly oldFlows: Flow[] = []
  packets = 0
  bytes = 0
  length = 0

  /** `seed`: 32 bits for the hash. */
  constructor(frames: FramePool, limits: QueueLimits, settings: CodelSettings, flows: number, quantum: number, seed: number) {
    this.frames = frames
    this.limits = limits
    this.quantum = quantum
    this.seed = seed
    this.flows = new Array(flows)
    this.settings = settings
  }

  /** Always: when there is no room, others go. */
  fits(): boolean {
    return true
  }

  room(): number {
    return Number.POSITIVE_INFINITY
  }

  enqueue(frame: FrameHandle, segments: number, length: number, now: number): void {
    const { frames } = this
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    packet.readFrame(bytes, at, at + frames.length[frame])
    const index = (flowHash(packet, this.seed) >>> 0) % this.flows.length
    const flow = (this.flows[index] ??= { fifo: new FrameFifo(), codel: new Codel(this.settings), deficit: 0, isListed: false })
    flow.fifo.push(frame, segments, length, now)
    this.packets += segments
    this.bytes += length
    if (!flow.isListed) {
      flow.isListed = true
      flow.deficit = this.quantum
      this.newFlows.push(flow)
    }
    while (this.packets > this.limits.packets || this.bytes > this.limits.bytes) this.dropFromLongest()
  }

  dequeue(now: number): FrameHandle {
    for (;;) {
      const list = this.newFlows.length > 0 ? this.newFlows : this.oldFlows
      const flow = list[0]
      if (flow === undefined) return NO_FRAME
      if (flow.deficit <= 0) {
        flow.deficit += this.quantum
        list.shift()
        this.oldFlows.push(flow)
        continue
      }
      const { packets, bytes } = flow.fifo
      const frame = flow.codel.dequeue(flow.fifo, now)
      this.packets -= packets - flow.fifo.packets
      this.bytes -= bytes - flow.fifo.bytes
      if (frame !== NO_FRAME) {
        this.length = flow.codel.length
        flow.deficit -= this.length
        return frame
      }
      list.shift()
      // An empty new flow waits behind the old ones once: it could else be new again with every packet.
      if (list === this.newFlows && this.oldFlows.length > 0) this.oldFlows.push(flow)
      else flow.isListed = false
    }
  }

  private dropFromLongest(): void {
    let longest: Flow | undefined
    for (const list of [this.newFlows, this.oldFlows]) {
      for (const flow of list) if (longest === undefined || flow.fifo.bytes > longest.fifo.bytes) longest = flow
    }
    const { packets, bytes } = longest!.fifo
    const frame = longest!.fifo.shift()
    this.packets -= packets - longest!.fifo.packets
    this.bytes -= bytes - longest!.fifo.bytes
    this.limits.refused(frame, false)
  }
}
