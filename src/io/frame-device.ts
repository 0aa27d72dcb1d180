/**
 * Where frames enter and leave an engine: a TAP, an existing interface, a pair in memory, a capture that is played. One
 * suite tests them all (test/io/frame-device-suite.ts).
 */

/** What a device takes on write unfinished; the values are those of TUN_F_ in <linux/if_tun.h>. */
export const Offload = {
  /** Partial checksums. */
  csum: 0x01,
  /** TCP super-frames over IPv4 and IPv6. */
  tso4: 0x02,
  tso6: 0x04,
  /** TCP super-frames with ECN's CWR on the first segment. */
  ecn: 0x08,
  /** UDP super-frames (UDP_L4 segmentation, not fragments). */
  uso4: 0x20,
  uso6: 0x40,
  /** Super-frames inside a UDP tunnel, and a UDP checksum outside them (Linux 6.17). */
  tunnel: 0x80,
  tunnelCsum: 0x100
} as const

/** Without the tunnels', which only an underlay wants. */
export const ALL_OFFLOADS = 0x6f
export const TUNNEL_OFFLOADS = Offload.tunnel | Offload.tunnelCsum
export const NO_OFFLOADS = 0

/** Frames that one read or write moves at most. */
export const BATCH = 64

/** Frames that the device itself lost; they never reached, or never left, the pool. */
export interface DeviceCounters {
  /** The header before the frame contradicts itself or the frame. */
  rxMalformed: number
  /** Longer than the pool's largest slot. */
  rxTruncated: number
  /** The pool was exhausted and could not grow, or the buffer before it was full. */
  rxNoBuffer: number
  /** Frames refused on write. */
  txErrors: number
}

export interface FrameDevice {
  /** 'tap', 'packet-socket', 'memory', 'replay', ... */
  readonly kind: string
  readonly name: string
  /** Longest packet (the frame without its Ethernet header and tags), bytes. */
  mtu: number
  /** Offload bits that `write` takes. */
  readonly offloads: number
  /** The descriptor that is readable when frames wait; -1: none. */
  readonly pollFd: number
  /** False once the thing behind the device has vanished for good (its interface was deleted): stop polling. */
  readonly alive: boolean
  readonly counters: DeviceCounters
  /** errno of the last frame refused on write; 0: none yet. */
  readonly lastError: number
  /**
   * For devices that go by the clock: engine time in nanoseconds at which `read` is to be called though nothing is readable
   * (the next frame of a capture, a look at an interface); Infinity: never again.
   */
  readonly nextDue?: number
  /** Reads at most `max` frames as of `now` (engine time, ns) into `out`. They belong to the caller. Never blocks or throws. */
  read(out: Int32Array, max: number, now: number): number
  /**
   * Writes `frames[from .. from+count)`; returns how many are done, and the rest is to be offered again later. A frame that
   * was refused for good is done as well, and `~handle` then stands in its place. The caller goes on owning all of them.
   */
  write(frames: Int32Array, from: number, count: number): number
  /** Has `onReadable` called when frames wait; only for devices without a pollFd and without nextDue. */
  listen?(onReadable: () => void): void
  close(): void
}

export function noDeviceCounters(): DeviceCounters {
  return { rxMalformed: 0, rxTruncated: 0, rxNoBuffer: 0, txErrors: 0 }
}
