/**
 * Plays frames of a capture through a `replay` element: which ones, with what addresses, when.
 *
 *   source -> select -> Ethernet -> batch: checksum, addresses, time -> engine (at most DEPTH batches ahead)
 *
 * An answer for each batch is the back-pressure: a source that could be endless is read as fast as it is played.
 */
import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import type { FrameFilter } from '../capture/filter/filter-function.ts'
import { type LinkAddresses, toEthernet } from '../capture/to-ethernet.ts'
import { LARGE_CAPACITY } from '../engine/frame-pool.ts'
import { ReplayBatchBuilder } from '../io/replay-batch.ts'
import type { EngineHost } from '../network/engine-host.ts'
import type { AddressMap } from './address-map.ts'
import type { ReplaySource } from './replay-source.ts'
import { rewriteFrame } from './rewrite-frame.ts'
import { completeUndoneChecksum } from './undone-checksum.ts'

export interface FramePlayerOptions {
  /** 2 plays twice as fast as recorded; Infinity as fast as the engine takes frames. Default 1. */
  readonly speed?: number
  /** Frames to be sent at most. */
  readonly limit?: number
  /** Frames that are to be played; default all. */
  readonly select?: (frame: CapturedFrame, info: CaptureInterface) => boolean
  /** Of these, the ones that are wanted as Ethernet frames, under the addresses of the capture. */
  readonly filter?: FrameFilter
  readonly map?: AddressMap
  /** For packets that were captured without an Ethernet header. */
  readonly addresses: LinkAddresses
  /** The time stamp, ns since 1970, that stands for the start; by default that of the first frame. */
  readonly originNs?: bigint
}

/** How far a replay is, and at the end what became of it. */
export interface ReplayStatus {
  /** Frames that came into the engine. */
  readonly sent: number
  /** Their bytes. */
  readonly bytes: number
  /** Frames that were not sent, by the reason in words. */
  readonly refused: Readonly<Record<string, number>>
  /** Of those sent, the ones that ended in the engine, by the reason's name. */
  readonly dropped: Readonly<Record<string, number>>
  /** Bytes of the capture that have been played. */
  readonly position: number
}

/** Batches that the engine has before one more is sent. */
const DEPTH = 3
/** A batch is this many frames or bytes at most, or one frame. */
const BATCH_FRAMES = 1024
const BATCH_BYTES = 256 * 1024

const TOO_LONG = `longer than ${LARGE_CAPACITY} bytes`
const NO_SLOT = 'the memory for frames was used up'

export class FramePlayer {
  private readonly engine: EngineHost
  private readonly element: string
  private readonly options: FramePlayerOptions
  private readonly speed: number
  private readonly batch = new ReplayBatchBuilder()
  private readonly underWay: Promise<boolean>[] = []
  private readonly refusals = new Map<string, number>()
  private readonly counted = { sent: 0, bytes: 0, noSlot: 0 }
  private origin: bigint | undefined
  /** Of the frame before, nanoseconds since the start. */
  private due = 0
  private taken = 0
  private played = 0
  private isEnded = false
  private stopping = false

  /** @param element a `replay` element that is there as long as the player plays */
  constructor(engine: EngineHost, element: string, options: FramePlayerOptions) {
    this.engine = engine
    this.element = element
    this.options = options
    this.speed = options.speed ?? 1
    this.origin = options.originNs
  }

  /**
   * Resolves when the last frame has come into the engine; false: the element went before. May be called again, for another round behind
   * the one before. Rejects with what the source rejects with, when the frames before have been played.
   */
  async play(source: ReplaySource): Promise<boolean> {
    const { limit = Number.POSITIVE_INFINITY } = this.options
    this.origin = this.options.originNs
    const before = this.due
    try {
      for await (const group of source.frames()) {
        for (const frame of group) {
          if (this.taken >= limit || this.hasEnded) break
          // One that was dropped: it stands there as it came in, too.
          if (frame.verdict !== undefined) continue
          this.take(frame, source.interfaces()[frame.interface], before)
          if (this.batch.frames >= BATCH_FRAMES || this.batch.bytes >= BATCH_BYTES) await this.send(source.position())
        }
        // What comes next may be long in coming.
        await this.send(source.position())
        if (this.taken >= limit || this.hasEnded) break
      }
    } finally {
      while (this.underWay.length > 0) await this.next()
    }
    // Answers come at the beginning of the turn in which the last frames go their way: one more question, and that turn is over.
    await this.engine.framesInUse()
    return !this.isEnded
  }

  /** Sends nothing more; what the engine has is its own. */
  stop(): void {
    this.stopping = true
  }

  status(): ReplayStatus {
    const { counters = {}, ingressDrops = {} } = this.engine.elementCounters(this.element) ?? {}
    const { rxFrames: sent = 0, rxBytes: bytes = 0, rxNoBuffer: noSlot = 0 } = counters
    // Kept: the element may be gone when somebody asks.
    if (sent >= this.counted.sent) Object.assign(this.counted, { sent, bytes, noSlot })
    const refused = Object.fromEntries(this.refusals)
    if (this.counted.noSlot > 0) refused[NO_SLOT] = this.counted.noSlot
    return { sent: this.counted.sent, bytes: this.counted.bytes, refused, dropped: { ...ingressDrops }, position: this.played }
  }

  private get hasEnded(): boolean {
    return this.isEnded || this.stopping
  }

  private take(frame: CapturedFrame, info: CaptureInterface, roundStart: number): void {
    const { select, filter, map, addresses } = this.options
    if (select !== undefined && !select(frame, info)) return
    const bytes = toEthernet(frame, info, addresses)
    if (typeof bytes === 'string') return this.refuse(bytes)
    if (filter !== undefined && filter(bytes, 0, bytes.length) === 0) return
    if (bytes.length > LARGE_CAPACITY) return this.refuse(TOO_LONG)
    this.due = this.dueTime(frame.timestampNs, roundStart)
    const copy = this.batch.add(bytes, this.due)
    completeUndoneChecksum(copy)
    if (map !== undefined && !map.isEmpty) rewriteFrame(copy, map)
    this.taken++
  }

  /** Time stamps may go back, and a simple packet has none: frames keep their order. */
  private dueTime(timestampNs: bigint, roundStart: number): number {
    if (this.speed === Number.POSITIVE_INFINITY) return 0
    if (timestampNs === 0n) return this.due
    this.origin ??= timestampNs
    return Math.max(this.due, roundStart + Math.round(Number(timestampNs - this.origin) / this.speed))
  }

  private async send(position: number): Promise<void> {
    if (this.batch.frames === 0) return
    while (this.underWay.length >= DEPTH) await this.next()
    const answer = this.engine.command(this.element, 'play', this.batch.take()).then(
      (isPlayed) => {
        if (isPlayed === true) this.played = position
        else this.isEnded = true
        return isPlayed === true
      },
      // The element is not there any more.
      () => {
        this.isEnded = true
        return false
      }
    )
    this.underWay.push(answer)
  }

  private async next(): Promise<void> {
    await this.underWay.shift()
  }

  private refuse(reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1)
  }
}
