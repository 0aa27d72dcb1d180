/**
 * Super-frames as a device hands them over: one long TCP segment, to be cut into segments of a length, with a partial checksum. Elsewhere
 * in the differential frames are whole and their checksums complete: it happens at the cables.
 */
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { put16 } from '../../src/wire/big-endian.ts'
import { completeChecksum, fold, pseudoHeaderSum } from '../../src/wire/checksum.ts'
import { TCP_CHECKSUM } from '../../src/wire/tcp.ts'
import type { TestFrameFields } from '../engine/test-elements.ts'

const ETHERNET = 14
const TCP = 6
/** virtio_net_hdr: VIRTIO_NET_HDR_GSO_TCPV4. */
const GSO_TCPV4 = 1

/** A whole IPv4 TCP frame as a super-frame with segments of `segment` bytes of payload. Changes the frame's checksum. */
export function toSuperFrame(bytes: Uint8Array, segment: number): Required<TestFrameFields> {
  const csumStart = ETHERNET + 4 * (bytes[ETHERNET] & 15)
  put16(bytes, csumStart + TCP_CHECKSUM, fold(pseudoHeaderSum(bytes, ETHERNET, TCP, bytes.length - csumStart)))
  return {
    flags: FrameFlag.csum | FrameFlag.gso,
    gsoType: GSO_TCPV4,
    gsoSize: segment,
    hdrLen: csumStart + 4 * (bytes[csumStart + 12] >> 4),
    csumStart,
    csumOffset: TCP_CHECKSUM
  }
}

/** What came out, with its checksum completed; the payload of its segments, 0 when it is a frame like others. */
export function fromDevice(bytes: Uint8Array, { flags = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 }: TestFrameFields): number {
  if ((flags & FrameFlag.csum) !== 0) completeChecksum(bytes, 0, csumStart, csumOffset, bytes.length)
  return (flags & FrameFlag.gso) !== 0 ? gsoSize : 0
}
