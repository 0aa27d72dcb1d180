/** Which flow a frame belongs to: addresses, protocol and ports behind Ethernet and tags; without IP the MACs and the type. */
import { get32 } from '../../wire/big-endian.ts'
import type { PacketView } from '../../wire/packet-view.ts'

/** A number of 32 bits that packets of one flow and direction share, of a frame that was read; `seed` differs from queue to queue. */
export function flowHash(packet: PacketView, seed: number): number {
  const { bytes, frameAt, etherType, family, protocol, sourcePort, destinationPort } = packet
  let hash = seed
  if (family === 0) {
    for (let i = 0; i < 12; i += 4) hash = mix(hash, get32(bytes, frameAt + i))
    return mix(hash, etherType)
  }
  const { sourceAt, destinationAt, addressLength } = packet
  for (let i = 0; i < addressLength; i += 4) {
    hash = mix(hash, get32(bytes, sourceAt + i))
    hash = mix(hash, get32(bytes, destinationAt + i))
  }
  return mix(mix(hash, protocol), (sourcePort << 16) ^ destinationPort)
}

/** A round of MurmurHash3 with its final mixing. */
function mix(hash: number, word: number): number {
  let value = Math.imul(word, 0xcc9e2d51 | 0)
  value = Math.imul((value << 15) | (value >>> 17), 0x1b873593)
  let mixed = hash ^ value
  mixed = (Math.imul((mixed << 13) | (mixed >>> 19), 5) + (0xe6546b64 | 0)) | 0
  return mixed ^ (mixed >>> 16)
}
