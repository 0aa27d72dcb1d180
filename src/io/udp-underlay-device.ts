/**
 * UDP underlay: VXLAN by sockets, where no interface of the kernel is to be made.
 *
 *   whole outer frames <-> UdpUnderlayDevice <-> 64 sockets that send, one that receives <-> the host's own stack
 *
 * Outer Ethernet, IP and UDP headers are read and made here, since a socket has only the payload; the kernel makes its own. The fan
 * is there because a socket has one source port, and the flow's entropy is in it (RFC 7348 section 5): the port that the VTEP chose
 * chooses the socket. Super-frames are cut as they leave, by the kernel as far as it can (UDP_SEGMENT); inner TCP segments that come in
 * together are joined (UDP_GRO, then segment by segment), so that an interface behind the VTEP gets super-frames.
 */
import type { FramePool } from '../engine/frame-pool.ts'
import { addressFamily, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import { setMac } from '../wire/ethernet.ts'
import { arenaOf } from './frame-arena.ts'
import { ALL_OFFLOADS, type FrameDevice, noDeviceCounters, TUNNEL_OFFLOADS } from './frame-device.ts'
import { Errno, type NativeArena, type NativeBinding, ReadResult, WriteResult } from './native-binding.ts'

/** Sockets that send; a power of two. */
export const UNDERLAY_SENDERS = 64

/** Frames that one read can bring: a batch of messages with up to 128 datagrams each. */
const FRAMES_PER_READ = 1200
/** Large slots that a read may take. */
const LARGE_PER_READ = 32
/** Places of `station`, see `receiveTunnel`. */
const STATION_LENGTH = 32
const SENDERS_PLACE = 3
/** Of `written`: the three of a write, the number of senders, and what `sendTunnel` remembers of peers. */
const WRITTEN_LENGTH = 68

export interface UdpUnderlayDeviceOptions {
  /** As `openUdpUnderlay` returns them: the one that receives first. */
  readonly sockets: readonly number[]
  /** Of the VTEP, IPv4 or IPv6. */
  readonly address: string
  readonly port: number
  /** The VTEP's station, and the one that its frames go to. */
  readonly mac: string
  readonly nextHopMac: string
  /** Longest outer packet, bytes. */
  readonly mtu: number
}

/** Opens the sockets. Throws SystemCallError: EADDRINUSE when somebody else has the port, EADDRNOTAVAIL for an address that is not the host's. */
export function openUdpUnderlay(native: NativeBinding, netns: number, address: string, port: number): number[] {
  return native.openUdpUnderlay({ netns, address, port, senders: UNDERLAY_SENDERS })
}

/** Owns the sockets. */
export class UdpUnderlayDevice implements FrameDevice {
  readonly kind = 'udp-underlay'
  readonly name: string
  mtu: number
  readonly offloads = ALL_OFFLOADS | TUNNEL_OFFLOADS
  readonly pollFd: number
  readonly counters = noDeviceCounters()
  readonly alive = true
  lastError = 0
  private readonly pool: FramePool
  private readonly native: NativeBinding
  private readonly arena: NativeArena
  private readonly senders: Int32Array
  private readonly station: Uint8Array
  /** Of reads; of writes, see `sendTunnel`. */
  private readonly result = new Int32Array(4)
  private readonly written = new Int32Array(WRITTEN_LENGTH)
  /** Frames that were read, and how many of them were handed out. */
  private readonly waiting = new Int32Array(FRAMES_PER_READ)
  private filled = 0
  private given = 0

  constructor(pool: FramePool, native: NativeBinding, options: UdpUnderlayDeviceOptions) {
    const { sockets, address, port, mtu } = options
    this.pool = pool
    this.native = native
    this.arena = arenaOf(pool, native)
    this.name = `${address}:${port}`
    this.mtu = mtu
    this.pollFd = sockets[0]
    this.senders = Int32Array.from(sockets.slice(1))
    this.station = stationOf(options)
  }

  read(out: Int32Array, max: number): number {
    if (this.given === this.filled) this.receive()
    const count = Math.min(max, this.filled - this.given)
    for (let i = 0; i < count; i++) out[i] = this.waiting[this.given + i]
    this.given += count
    return count
  }

  private receive(): void {
    const { pool, result, waiting, counters } = this
    if (pool.tops[0] < FRAMES_PER_READ || pool.tops[1] < LARGE_PER_READ) pool.reserve(FRAMES_PER_READ, LARGE_PER_READ)
    const count = this.native.receiveTunnel(this.arena, this.pollFd, this.station, waiting, FRAMES_PER_READ, result)
    for (let i = 0; i < count; i++) pool.adopted(waiting[i])
    this.filled = count
    this.given = 0
    counters.rxMalformed += result[ReadResult.malformed]
    counters.rxNoBuffer += result[2]
    // Datagrams that wait without hope of a slot would have the poller report the socket for ever: they end here, counted.
    if (count === 0 && result[ReadResult.errno] === Errno.ENOBUFS) counters.rxNoBuffer += this.native.discardFrames(this.pollFd, 64)
  }

  write(frames: Int32Array, from: number, count: number): number {
    const { written } = this
    written[SENDERS_PLACE] = this.senders.length
    const done = this.native.sendTunnel(this.arena, this.senders, frames, from, count, written)
    if (written[WriteResult.failed] > 0) {
      this.counters.txErrors += written[WriteResult.failed]
      this.lastError = written[WriteResult.lastFailure]
    }
    return done
  }

  close(): void {
    for (; this.given < this.filled; this.given++) this.pool.free(this.waiting[this.given])
    for (const fd of [this.pollFd, ...this.senders]) this.native.closeFd(fd)
  }
}

function stationOf({ mac, nextHopMac, address, port, mtu }: UdpUnderlayDeviceOptions): Uint8Array {
  const station = new Uint8Array(STATION_LENGTH)
  const own = parseMac(mac)
  const other = parseMac(nextHopMac)
  setMac(station, 0, own.hi, own.lo)
  setMac(station, 6, other.hi, other.lo)
  if (addressFamily(address) === 4) put32(station, 24, parseIpv4(address))
  else station.set(parseIpv6(address), 12)
  put16(station, 28, port)
  put16(station, 30, mtu)
  return station
}
