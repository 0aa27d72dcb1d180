/**
 * TAP: an Ethernet interface of the kernel whose cable ends in this process (Documentation/networking/tuntap.rst).
 *
 *   kernel network stack <-> interface NAME in its namespace <-> fd <-> TapDevice
 *
 * With a virtio_net_hdr before each frame, checksums and segmentation are left undone in both directions: a 64 KiB TCP
 * super-frame crosses as one.
 */
import type { FramePool } from '../engine/frame-pool.ts'
import { arenaOf } from './frame-arena.ts'
import { ALL_OFFLOADS, type FrameDevice, NO_OFFLOADS, noDeviceCounters, Offload, TUNNEL_OFFLOADS } from './frame-device.ts'
import { Errno, Joins, type NativeArena, type NativeBinding, type OpenedTap, ReadResult, WriteResult } from './native-binding.ts'

/** virtio_net_hdr_v1: what netloom puts before each frame. */
export const VNET_HEADER_LENGTH = 12
/** virtio_net_hdr_v1_hash_tunnel: what it takes to tell of super-frames in tunnels. */
export const TUNNEL_VNET_HEADER_LENGTH = 24

export class TapError extends Error {
  readonly code = 'ERR_TAP_OPTION'
}

export interface TapOptions {
  /** fd of the network namespace; -1 (default): the caller's own. */
  readonly netns?: number
  /** 1 to 15 bytes; '%d' in it is a number that the kernel chooses. */
  readonly name: string
  /** False: no virtio_net_hdr, so every frame is finished and at most an MTU long. Default true. */
  readonly vnetHeader?: boolean
  /** Offload bits that the kernel may use towards us. Default: ALL_OFFLOADS. */
  readonly offloads?: number
  /** The interface outlives its last fd. Default false. */
  readonly persist?: boolean
  /** A user who may open it without CAP_NET_ADMIN. */
  readonly ownerUid?: number
  /** Layer 3: packets without Ethernet header. Default false. */
  readonly tun?: boolean
}

/** Opens or creates a TAP. Throws TapError for a bad option and SystemCallError (EPERM, ENOENT, EBUSY) from the kernel. */
export function openTap(native: NativeBinding, options: TapOptions): OpenedTap {
  checkInterfaceName(options.name)
  const offloads = options.offloads ?? ALL_OFFLOADS
  const longHeader = (offloads & TUNNEL_OFFLOADS) === 0 ? VNET_HEADER_LENGTH : TUNNEL_VNET_HEADER_LENGTH
  const vnetHeaderLength = (options.vnetHeader ?? true) ? longHeader : 0
  if (!Number.isInteger(offloads) || (offloads & ~(ALL_OFFLOADS | TUNNEL_OFFLOADS)) !== 0)
    throw new TapError(`offloads ${offloads}: unknown bits`)
  const ownerUid = options.ownerUid ?? -1
  if (!Number.isInteger(ownerUid) || ownerUid < -1) throw new TapError(`ownerUid ${ownerUid} is not a user id`)
  return native.openTap({
    netns: options.netns ?? -1,
    name: options.name,
    tun: options.tun ?? false,
    vnetHeaderLength,
    offloads: vnetHeaderLength > 0 ? offloads : NO_OFFLOADS,
    persist: options.persist ?? false,
    ownerUid
  })
}

/** The kernel's rule (dev_valid_name, net/core/dev.c): 1 to 15 bytes, no slash, colon or white space, not '.' or '..'. */
export function checkInterfaceName(name: string): void {
  const length = Buffer.byteLength(name)
  if (length < 1 || length > 15) throw new TapError(`interface name '${name}' must have 1 to 15 bytes, not ${length}`)
  if (/[/:\s\0]/.test(name) || name === '.' || name === '..') {
    throw new TapError(`interface name '${name}' must have no slash, colon or white space`)
  }
}

export interface TapDeviceOptions {
  readonly fd: number
  readonly name: string
  readonly mtu: number
  readonly vnetHeaderLength: number
  /** Offload bits granted when it was opened. */
  readonly offloads: number
  /**
   * Somebody else opened it as well and decides when the device goes. Nobody waits for that at this end then: the descriptor is
   * closed in the background. Default false.
   */
  readonly shared?: boolean
}

/** An open TAP as a FrameDevice; owns the fd. */
export class TapDevice implements FrameDevice {
  readonly kind = 'tap'
  readonly name: string
  mtu: number
  readonly offloads: number
  readonly pollFd: number
  readonly counters = noDeviceCounters()
  alive = true
  lastError = 0
  private readonly pool: FramePool
  private readonly native: NativeBinding
  private readonly arena: NativeArena
  private readonly vnetHeaderLength: number
  private readonly isShared: boolean
  private readonly joins: number
  private readonly result = new Int32Array(4)

  constructor(pool: FramePool, native: NativeBinding, options: TapDeviceOptions) {
    this.pool = pool
    this.native = native
    this.arena = arenaOf(pool, native)
    this.name = options.name
    this.mtu = options.mtu
    this.pollFd = options.fd
    this.vnetHeaderLength = options.vnetHeaderLength
    this.isShared = options.shared === true
    this.offloads = writeOffloads(options)
    this.joins = (this.offloads & Offload.uso4 ? Joins.ipv4 : 0) | (this.offloads & Offload.uso6 ? Joins.ipv6 : 0)
  }

  read(out: Int32Array, max: number): number {
    const { pool, result } = this
    if (!this.alive) return 0
    if (pool.tops[0] < max || pool.tops[1] < max) pool.reserve(max, max)
    const count = this.native.readFrames(this.arena, this.pollFd, this.vnetHeaderLength, out, max, result)
    for (let i = 0; i < count; i++) pool.adopted(out[i])
    this.counters.rxMalformed += result[ReadResult.malformed]
    this.counters.rxTruncated += result[ReadResult.truncated]
    const errno = result[ReadResult.errno]
    if (errno !== 0 && errno !== Errno.EAGAIN) this.failedRead(errno, max - count)
    return count
  }

  private failedRead(errno: number, rest: number): void {
    // Frames that wait without hope of a slot would have the poller report the device for ever: they end here, counted.
    if (errno === Errno.ENOBUFS) this.counters.rxNoBuffer += this.native.discardFrames(this.pollFd, rest)
    else if (errno === Errno.EBADFD) this.alive = false
  }

  write(frames: Int32Array, from: number, count: number): number {
    const { result } = this
    const done = this.native.writeFrames(this.arena, this.pollFd, this.vnetHeaderLength, frames, from, count, result, this.joins)
    if (result[WriteResult.failed] > 0) {
      this.counters.txErrors += result[WriteResult.failed]
      this.lastError = result[WriteResult.lastFailure]
    }
    return done
  }

  close(): void {
    this.alive = false
    if (this.isShared) this.native.closeFdInBackground(this.pollFd)
    else this.native.closeFd(this.pollFd)
  }
}

/**
 * The grant is about frames towards us. What the kernel takes from us needs only the header, except UDP segments, which it
 * understands when it also grants them (both came with Linux 6.2), and those in tunnels, which it refuses otherwise.
 */
function writeOffloads({ vnetHeaderLength, offloads }: TapDeviceOptions): number {
  if (vnetHeaderLength === 0) return NO_OFFLOADS
  return Offload.csum | Offload.tso4 | Offload.tso6 | Offload.ecn | (offloads & (Offload.uso4 | Offload.uso6 | TUNNEL_OFFLOADS))
}
