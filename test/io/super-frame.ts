// Frames for tests, built byte by byte so that they share nothing with the code under test, and a checksum of their own.
import { FrameFlag, type FrameHandle, type FramePool } from '../../src/engine/frame-pool.ts'

export interface SuperFrameOptions {
  readonly transport: 'tcp' | 'udp'
  readonly family: 4 | 6
  readonly payload: Uint8Array
  /** Payload bytes of a segment; 0: an ordinary frame with a partial checksum. */
  readonly gsoSize: number
  readonly tags?: number
  /** Bytes of TCP options, multiple of 4. */
  readonly tcpOptions?: number
  readonly tcpFlags?: number
  readonly sequence?: number
  readonly ipId?: number
  readonly ipOptions?: number
}

export interface SuperFrame {
  readonly bytes: Buffer
  readonly flags: number
  readonly gsoType: number
  readonly gsoSize: number
  readonly hdrLen: number
  readonly csumStart: number
  readonly csumOffset: number
}

const MAC_A = [2, 0xcc, 0, 0, 0, 1]
const MAC_B = [2, 0xcc, 0, 0, 0, 2]

/** 16-bit ones-complement sum the slow way. */
export function slowSum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum = (sum + bytes[i] * 256 + (bytes[i + 1] ?? 0)) % 65535
  return sum
}

export function superFrame(options: SuperFrameOptions): SuperFrame {
  const { transport, family, payload, gsoSize, tags = 0, tcpOptions = 0, ipOptions = 0 } = options
  const isTcp = transport === 'tcp'
  const tag = Array.from({ length: tags }, (_, i) => [i + 1 < tags ? 0x88 : 0x81, i + 1 < tags ? 0xa8 : 0x00, 0x00, 0x2a + i]).flat()
  const ethernet = Buffer.from([...MAC_B, ...MAC_A, ...tag, ...(family === 4 ? [0x08, 0x00] : [0x86, 0xdd])])
  const header = isTcp ? Buffer.alloc(20 + tcpOptions, 1) : Buffer.alloc(8)
  header.writeUInt16BE(40_000, 0)
  header.writeUInt16BE(9, 2)
  if (isTcp) {
    header.writeUInt32BE(options.sequence ?? 1000, 4)
    header.writeUInt32BE(77, 8)
    header[12] = ((20 + tcpOptions) / 4) << 4
    header[13] = options.tcpFlags ?? 0x10
    header.writeUInt16BE(500, 14)
    header.writeUInt32BE(0, 16)
  } else {
    header.writeUInt16BE(8 + payload.length, 4)
  }
  const length = header.length + payload.length
  const protocol = isTcp ? 6 : 17
  const ip = Buffer.alloc(family === 4 ? 20 + ipOptions : 40, 1)
  let pseudo: Buffer
  if (family === 4) {
    ip[0] = 0x40 | ((20 + ipOptions) / 4)
    ip[1] = 0
    ip.writeUInt16BE(ip.length + length, 2)
    ip.writeUInt16BE(options.ipId ?? 4242, 4)
    ip.writeUInt16BE(0x4000, 6)
    ip.set([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2], 8)
    ip.writeUInt16BE(65535 - slowSum(ip), 10)
    pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, protocol, length >> 8, length & 255])])
  } else {
    ip.fill(0)
    ip[0] = 0x60
    ip.writeUInt16BE(length, 4)
    ip[6] = protocol
    ip[7] = 64
    for (const at of [8, 24]) ip.set([0x20, 0x01, 0x0d, 0xb8], at)
    ip[23] = 1
    ip[39] = 2
    pseudo = Buffer.concat([ip.subarray(8, 40), Buffer.from([0, 0, length >> 8, length & 255, 0, 0, 0, protocol])])
  }
  const csumOffset = isTcp ? 16 : 6
  header.writeUInt16BE(slowSum(pseudo), csumOffset) // partial: the pseudo-header's sum, not complemented
  const csumStart = ethernet.length + ip.length
  return {
    bytes: Buffer.concat([ethernet, ip, header, payload]),
    flags: FrameFlag.csum | (gsoSize > 0 ? FrameFlag.gso : 0),
    gsoType: gsoSize === 0 ? 0 : isTcp ? (family === 4 ? 1 : 4) : 5,
    gsoSize,
    hdrLen: csumStart + header.length,
    csumStart,
    csumOffset
  }
}

/** Puts a frame with its offload fields into a pool. */
export function place(pool: FramePool, frame: SuperFrame): FrameHandle {
  const handle = pool.allocate(frame.bytes.length)
  pool.bytes(handle).set(frame.bytes, pool.start[handle])
  pool.flags[handle] = frame.flags
  pool.gsoType[handle] = frame.gsoType
  pool.gsoSize[handle] = frame.gsoSize
  pool.hdrLen[handle] = frame.hdrLen
  pool.csumStart[handle] = frame.csumStart
  pool.csumOffset[handle] = frame.csumOffset
  return handle
}

export function bytesOfFrame(pool: FramePool, frame: FrameHandle): Buffer {
  return Buffer.from(pool.bytes(frame).slice(pool.start[frame], pool.start[frame] + pool.length[frame]))
}

/** A frame of a pool with its offload fields. */
export function frameAt(pool: FramePool, frame: FrameHandle): SuperFrame {
  return {
    bytes: bytesOfFrame(pool, frame),
    flags: pool.flags[frame],
    gsoType: pool.gsoType[frame],
    gsoSize: pool.gsoSize[frame],
    hdrLen: pool.hdrLen[frame],
    csumStart: pool.csumStart[frame],
    csumOffset: pool.csumOffset[frame]
  }
}

/** `length` bytes that differ from place to place. */
export function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7) & 255)
}

/** A classic pcap of these frames, for tshark. */
export function pcapOf(frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt32LE(0x00040002, 4)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(1, 20)
  const records = frames.map((frame, index) => {
    const record = Buffer.alloc(16)
    record.writeUInt32LE(1, 0)
    record.writeUInt32LE(index, 4)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    return Buffer.concat([record, frame])
  })
  return Buffer.concat([header, ...records])
}
