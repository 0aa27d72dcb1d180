/**
 * A FrameDevice at its place in the graph: one port, to whatever the device is plugged into.
 *
 *   device --read, stamped--> port 0 tx          port 0 rx --finished where the device cannot--> device
 *
 * Moves at most BATCH frames per read and write. Frames that the device does not take at once wait here and are offered
 * again; meanwhile the link fills and drops, as a full queue does.
 */
import { isDeepStrictEqual } from 'node:util'
import { declareDrops, EngineDrop } from '../engine/drop-reason.ts'
import type { Element, ElementContext, Plain } from '../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { completeChecksumView } from '../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.ts'
import { VLAN_TAG_LENGTH } from '../wire/vlan.ts'
import { BATCH, type FrameDevice } from './frame-device.ts'
import { Errno } from './native-binding.ts'
import { offloadNeeds, Segmenter } from './segment.ts'

export const DeviceDrop = declareDrops('device', {
  down: 'The interface at the other end is down.',
  refused: 'The device refused the frame, mostly for headers that contradict the frame.',
  busy: 'The device took no more frames and those waiting for it filled their place.',
  tooLong: 'The packet is longer than the MTU of the interface.',
  badHeaders: 'The device lacks the offload that the frame needs, and its headers do not allow doing it in software.',
  removed: 'The frame waited for a device that was taken away.'
})

/** Names of a device element's counters. The first four count what crosses, as it crosses: a super-frame is one frame. */
export const DEVICE_COUNTERS = [
  'rxFrames',
  'rxBytes',
  'txFrames',
  'txBytes',
  /** Lost in the device before they were frames: see DeviceCounters. */
  'rxMalformed',
  'rxTruncated',
  'rxNoBuffer',
  /** Super-frames cut in software, and the frames made from them. */
  'segmented',
  'segments'
] as const

const RX_FRAMES = 0
const RX_BYTES = 1
const TX_FRAMES = 2
const TX_BYTES = 3
const RX_MALFORMED = 4
const RX_TRUNCATED = 5
const RX_NO_BUFFER = 6
const SEGMENTED = 7
const SEGMENTS = 8

/** After how long a device that took no more is asked again, nanoseconds. */
const RETRY_NS = 50_000

/** Takes a frame that is longer than the MTU; true when it owns the frame now (to answer with an ICMP error, say). */
export type TooLongHook = (frame: FrameHandle) => boolean

export class DeviceElement implements Element {
  private readonly context: ElementContext
  private readonly device: FrameDevice
  private options: Plain
  private readonly tooLong: TooLongHook | null
  private readonly segmenter: Segmenter
  private readonly incoming = new Int32Array(BATCH)
  /** Frames to be written, the first `waiting` of them. */
  private readonly outgoing = new Int32Array(BATCH)
  private waiting = 0
  private announced = false
  private ended = false
  private readonly retry: Timer
  private readonly play: Timer | null

  /** `options` are what `reconfigure` compares with: only an `mtu` in them may change while the device stays. */
  constructor(context: ElementContext, device: FrameDevice, options: Plain = null, tooLong: TooLongHook | null = null) {
    this.context = context
    this.device = device
    this.options = options
    this.tooLong = tooLong
    this.segmenter = new Segmenter(context.frames)
    this.retry = context.timer(() => this.resume())
    this.play = device.nextDue === undefined ? null : context.timer(() => this.pull())
    if (device.pollFd >= 0) context.poll(device.pollFd)
    device.listen?.(() => {
      this.announced = true
      context.schedule()
    })
    this.armPlay()
  }

  pull(): boolean {
    const { context, device, incoming } = this
    const count = device.read(incoming, BATCH, context.now)
    let bytes = 0
    const { length } = context.frames
    for (let i = 0; i < count; i++) bytes += length[incoming[i]]
    context.enterAll(incoming, count)
    const port = context.ports[0]
    if (port) port.tx.transmitAll(incoming, count)
    else for (let i = 0; i < count; i++) context.drop(incoming[i], EngineDrop.unlinked)
    const { counters } = context
    counters[RX_FRAMES] += count
    counters[RX_BYTES] += bytes
    counters[RX_MALFORMED] = device.counters.rxMalformed
    counters[RX_TRUNCATED] = device.counters.rxTruncated
    counters[RX_NO_BUFFER] = device.counters.rxNoBuffer
    if (!device.alive && !this.ended) this.gone()
    this.armPlay()
    // Where frames come faster than one at a time, others have come while these were on their way: to read once in vain is
    // cheaper than to poll for them.
    return count === BATCH || (count > 1 && device.pollFd >= 0)
  }

  push(): void {
    const { context } = this
    if (this.announced) {
      this.announced = false
      if (this.pull()) {
        this.announced = true
        context.schedule()
      }
    }
    if (this.waiting > 0 && !this.flush()) return
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) {
        if (this.waiting === BATCH && !this.flush()) return
        this.admit(rx.receive())
      }
    }
    if (this.waiting > 0) this.flush()
  }

  /** The device did not take everything a while ago: go on with what waits here and in the link. */
  private resume(): void {
    const port = this.context.ports[0]
    if (port && !port.rx.empty) this.context.again(0)
    this.context.schedule()
  }

  /** Adds the frame to those to be written, finished as far as the device cannot do it. */
  private admit(frame: FrameHandle): void {
    const { context, device } = this
    const { frames } = context
    const flags = frames.flags[frame]
    if ((flags & (FrameFlag.gso | FrameFlag.csum)) === 0) {
      if (frames.length[frame] > device.mtu + ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH && this.isTooLong(frame)) return
    } else {
      const missing = offloadNeeds(frames, frame) & ~device.offloads
      if ((flags & FrameFlag.gso) !== 0) {
        // Like the kernel's bridge (is_skb_forwardable), a super-frame is not measured: its segments fit where they came from.
        if (missing !== 0) return this.segment(frame)
      } else {
        if (frames.length[frame] > device.mtu + ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH && this.isTooLong(frame)) return
        if (missing !== 0 && !this.finishChecksum(frame)) return
      }
    }
    this.outgoing[this.waiting++] = frame
  }

  private isTooLong(frame: FrameHandle): boolean {
    if (this.tooLong === null || !this.tooLong(frame)) this.context.drop(frame, DeviceDrop.tooLong)
    return true
  }

  private finishChecksum(frame: FrameHandle): boolean {
    const { frames } = this.context
    const start = frames.start[frame]
    const end = start + frames.length[frame]
    if (!completeChecksumView(frames.view(frame), start, frames.csumStart[frame], frames.csumOffset[frame], end)) {
      this.context.drop(frame, DeviceDrop.badHeaders)
      return false
    }
    frames.flags[frame] &= ~FrameFlag.csum
    return true
  }

  private segment(frame: FrameHandle): void {
    const { context, segmenter } = this
    if (!segmenter.begin(frame)) return context.drop(frame, DeviceDrop.badHeaders)
    context.counters[SEGMENTED]++
    for (let segment = segmenter.next(); segment !== NO_FRAME; segment = segmenter.next()) {
      context.counters[SEGMENTS]++
      if (this.waiting === BATCH && !this.flush()) context.drop(segment, DeviceDrop.busy)
      else if (context.frames.length[segment] <= this.device.mtu + ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH || !this.isTooLong(segment)) {
        this.outgoing[this.waiting++] = segment
      }
    }
    if (segmenter.remaining > 0) context.drop(frame, EngineDrop.poolExhausted)
    else context.frames.free(frame)
  }

  /** Writes what waits; false when the device did not take all of it. */
  private flush(): boolean {
    const { context, device, outgoing } = this
    const { frames, counters } = context
    const done = device.write(outgoing, 0, this.waiting)
    let written = 0
    let bytes = 0
    for (let i = 0; i < done; i++) {
      const frame = outgoing[i]
      if (frame < 0) {
        context.drop(~frame, refusal(device.lastError))
        continue
      }
      outgoing[written++] = frame
      bytes += frames.length[frame]
      if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `write to ${device.kind} ${device.name}`)
    }
    frames.freeAll(outgoing, written)
    counters[TX_FRAMES] += written
    counters[TX_BYTES] += bytes
    if (done < this.waiting) outgoing.copyWithin(0, done, this.waiting)
    this.waiting -= done
    if (this.waiting === 0) return true
    if (!this.retry.armed) this.retry.arm(context.now + RETRY_NS)
    return false
  }

  private armPlay(): void {
    const due = this.device.nextDue
    if (this.play === null || due === undefined || !Number.isFinite(due)) return
    if (!this.play.armed || this.play.at !== due) this.play.arm(due)
  }

  /** What the device stands for has ended: without this its descriptor would report an error for ever. */
  private gone(): void {
    this.ended = true
    if (this.device.pollFd >= 0) this.context.unpoll(this.device.pollFd)
    this.context.emit({ type: 'device-gone', device: this.device.name })
  }

  reconfigure(options: Plain): boolean {
    const { mtu, ...rest } = (options ?? {}) as { mtu?: number }
    const { mtu: _, ...before } = (this.options ?? {}) as { mtu?: number }
    if (!isDeepStrictEqual(rest, before)) return false
    if (mtu !== undefined) this.device.mtu = mtu
    this.options = options
    return true
  }

  close(): void {
    if (this.device.pollFd >= 0) this.context.unpoll(this.device.pollFd)
    for (let i = 0; i < this.waiting; i++) this.context.drop(this.outgoing[i], DeviceDrop.removed)
    this.waiting = 0
    this.device.close()
  }
}

/** The reason for a frame that the device refused with this errno. */
function refusal(errno: number): number {
  switch (errno) {
    case Errno.EIO:
    case Errno.ENETDOWN:
    case Errno.ENXIO:
      return DeviceDrop.down
    case Errno.ENOBUFS:
      return DeviceDrop.busy
    default:
      return DeviceDrop.refused
  }
}
