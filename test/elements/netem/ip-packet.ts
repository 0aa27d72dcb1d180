/** UDP packets of a flow, no more of them than queues look at. */

export interface Packet {
  readonly family: 4 | 6
  readonly port: number
  /** Of the whole frame. */
  readonly length: number
  readonly tos?: number
}

/** From `port` to port 9. */
export function ipPacket({ family, port, length, tos = 0 }: Packet): Uint8Array {
  const bytes = Buffer.alloc(length)
  bytes.set([2, 0xcc, 0, 0, 0, 2, 2, 0xcc, 0, 0, 0, 1, ...(family === 4 ? [8, 0] : [0x86, 0xdd])])
  const ipLength = family === 4 ? 20 : 40
  if (family === 4) {
    bytes.set([0x45, tos, (length - 14) >> 8, (length - 14) & 255, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2], 14)
    let sum = 0
    for (let at = 14; at < 34; at += 2) sum += bytes.readUInt16BE(at)
    bytes.writeUInt16BE(65535 - ((sum & 0xffff) + (sum >>> 16)), 24)
  } else {
    bytes.set([0x60 | (tos >> 4), (tos & 15) << 4, 0, 0, (length - 54) >> 8, (length - 54) & 255, 17, 64], 14)
    bytes[37] = 1
    bytes[53] = 2
  }
  bytes.writeUInt16BE(port, 14 + ipLength)
  bytes.writeUInt16BE(9, 14 + ipLength + 2)
  bytes.writeUInt16BE(length - 14 - ipLength, 14 + ipLength + 4)
  return bytes
}
