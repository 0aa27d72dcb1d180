/**
 * Packet socket: an interface that exists already, shared with the kernel's own stack (packet(7)).
 *
 *   cable or peer <-> interface NAME in its namespace <-> PacketSocketDevice
 *                              \--> the kernel's stack, unless it is kept quiet (machine-tap.ts)
 *
 * Reads what the interface receives, not what the host itself sends through it. 802.1Q tags are in the frames, though the
 * kernel takes them out. Unfinished checksums and super-frames pass in both directions; the kernel finishes on sending what
 * the interface cannot.
 */
import type { FramePool } from '../engine/frame-pool.ts'
import { arenaOf } from './frame-arena.ts'
import { type FrameDevice, noDeviceCounters, Offload } from './frame-device.ts'
import {
  Errno,
  type NativeArena,
  type NativeBinding,
  type OpenedPacketSocket,
  PacketSocketState,
  ReadResult,
  WriteResult
} from './native-binding.ts'
import { checkInterfaceName } from './tap-device.ts'

export interface PacketSocketOptions {
  /** fd of the network namespace; -1 (default): the caller's own. */
  readonly netns?: number
  /** An Ethernet interface that exists. */
  readonly interface: string
  /** Has the hardware hand over frames to other stations too, as long as the socket is open. Default false. */
  readonly promiscuous?: boolean
}

/**
 * Opens a packet socket on an interface, which may be down. Throws TapError for a name that cannot be and SystemCallError
 * from the kernel: ENODEV without such an interface, EPERM without CAP_NET_RAW in the namespace.
 */
export function openPacketSocket(native: NativeBinding, options: PacketSocketOptions): OpenedPacketSocket {
  checkInterfaceName(options.interface)
  return native.openPacketSocket({
    netns: options.netns ?? -1,
    interface: options.interface,
    promiscuous: options.promiscuous ?? false
  })
}

export interface PacketSocketDeviceOptions {
  readonly fd: number
  readonly name: string
  readonly mtu: number
  readonly vnetHeaderLength: number
}

/** How often the interface's state and the socket's losses are looked at, nanoseconds: no message tells of all changes. */
const LOOK_NS = 100e6

/** Writes after which a frame that finds the interface's queue full is given up: a queue may refuse one for its length, for ever. */
const QUEUE_ATTEMPTS = 20

/** The header length that came with Linux 6.6, which also knows UDP segments (from 6.2 on). */
const LONG_VNET_HEADER = 12

const BASE_OFFLOADS = Offload.csum | Offload.tso4 | Offload.tso6 | Offload.ecn

/** An open packet socket as a FrameDevice; owns the fd. */
export class PacketSocketDevice implements FrameDevice {
  readonly kind = 'packet-socket'
  readonly name: string
  mtu: number
  readonly offloads: number
  readonly pollFd: number
  readonly counters = noDeviceCounters()
  alive = true
  lastError = 0
  /** Not before the first read. */
  nextDue = 0
  /** Up, with a carrier: without, the kernel would take frames and let them vanish. */
  private running = true
  private attempts = 0
  private readonly pool: FramePool
  private readonly native: NativeBinding
  private readonly arena: NativeArena
  private readonly vnetHeaderLength: number
  private readonly result = new Int32Array(4)

  constructor(pool: FramePool, native: NativeBinding, options: PacketSocketDeviceOptions) {
    this.pool = pool
    this.native = native
    this.arena = arenaOf(pool, native)
    this.name = options.name
    this.mtu = options.mtu
    this.pollFd = options.fd
    this.vnetHeaderLength = options.vnetHeaderLength
    this.offloads = options.vnetHeaderLength >= LONG_VNET_HEADER ? BASE_OFFLOADS | Offload.uso4 | Offload.uso6 : BASE_OFFLOADS
  }

  read(out: Int32Array, max: number, now: number): number {
    const { pool, result } = this
    if (this.alive && now >= this.nextDue) this.look(now)
    if (!this.alive) return 0
    if (pool.tops[0] < max || pool.tops[1] < max) pool.reserve(max, max)
    const count = this.native.receiveFrames(this.arena, this.pollFd, this.vnetHeaderLength, out, max, result)
    for (let i = 0; i < count; i++) pool.adopted(out[i])
    this.counters.rxMalformed += result[ReadResult.malformed]
    this.counters.rxTruncated += result[ReadResult.truncated]
    const errno = result[ReadResult.errno]
    // Frames that wait without hope of a slot would have the poller report the device for ever: they end here, counted.
    if (errno === Errno.ENOBUFS) this.counters.rxNoBuffer += this.native.discardFrames(this.pollFd, max - count)
    else if (errno !== 0 && errno !== Errno.EAGAIN) this.look(now)
    if (count > 0) this.running = true // who sends is there, before the kernel's delayed word of it
    return count
  }

  /** ENETDOWN tells of an interface that went down, and nothing of one that was deleted afterwards or came back. */
  private look(now: number): void {
    const { result } = this
    this.native.packetSocketState(this.pollFd, result)
    this.alive = result[PacketSocketState.bound] === 1
    this.running = result[PacketSocketState.running] === 1
    this.counters.rxNoBuffer += result[PacketSocketState.lost]
    this.nextDue = this.alive ? now + LOOK_NS : Number.POSITIVE_INFINITY
  }

  write(frames: Int32Array, from: number, count: number): number {
    if (!this.running || !this.alive) return this.refuse(frames, from, count, Errno.ENETDOWN)
    const { result } = this
    const done = this.native.sendFrames(this.arena, this.pollFd, this.vnetHeaderLength, frames, from, count, result)
    if (result[WriteResult.failed] > 0) {
      this.counters.txErrors += result[WriteResult.failed]
      this.lastError = result[WriteResult.lastFailure]
    }
    if (done > 0) this.attempts = 0
    else if (count > 0 && ++this.attempts === QUEUE_ATTEMPTS) return this.refuse(frames, from, 1, Errno.ENOBUFS)
    return done
  }

  private refuse(frames: Int32Array, from: number, count: number, errno: number): number {
    for (let i = from; i < from + count; i++) frames[i] = ~frames[i]
    this.counters.txErrors += count
    this.lastError = errno
    this.attempts = 0
    return count
  }

  close(): void {
    this.alive = false
    this.native.closeFd(this.pollFd)
  }
}
