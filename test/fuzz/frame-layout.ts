/**
 * Where the headers of a frame are, as far as its own bytes can be believed: the aim of field-aware mutation. It is no
 * judge: it reads frames that are broken on purpose, and answers -1 where nothing can be aimed at.
 */
export interface FrameLayout {
  /** Offset of the IP header; -1: none. */
  ip: number
  version: 0 | 4 | 6
  /** Offset of the transport header; -1: none, or a later fragment. */
  transport: number
  protocol: number
  /** Offset of an ARP packet; -1: none. */
  arp: number
}

const NEXT_HEADERS = new Set([0, 43, 44, 60])

export function layoutOf(view: DataView, length: number, into: FrameLayout): FrameLayout {
  into.ip = into.transport = into.arp = -1
  into.version = 0
  into.protocol = -1
  let at = 12
  while (at + 6 <= length && (view.getUint16(at) === 0x8100 || view.getUint16(at) === 0x88a8)) at += 4
  if (at + 2 > length) return into
  const type = view.getUint16(at)
  at += 2
  if (type === 0x0806) into.arp = at
  else if (type === 0x0800 && at + 20 <= length) layoutIpv4(view, length, at, into)
  else if (type === 0x86dd && at + 40 <= length) layoutIpv6(view, length, at, into)
  return into
}

function layoutIpv4(view: DataView, length: number, at: number, into: FrameLayout): void {
  into.ip = at
  into.version = 4
  into.protocol = view.getUint8(at + 9)
  const transport = at + 4 * (view.getUint8(at) & 15)
  if (transport + 8 <= length && (view.getUint16(at + 6) & 0x1fff) === 0) into.transport = transport
}

function layoutIpv6(view: DataView, length: number, at: number, into: FrameLayout): void {
  into.ip = at
  into.version = 6
  let next = view.getUint8(at + 6)
  let header = at + 40
  while (NEXT_HEADERS.has(next) && header + 8 <= length) {
    const size = next === 44 ? 8 : 8 * (view.getUint8(header + 1) + 1)
    next = view.getUint8(header)
    header += size
  }
  into.protocol = next
  if (header + 8 <= length) into.transport = header
}

/** Offset from the transport header of its checksum; -1: it has none that is known here. */
export function checksumOffset(protocol: number): number {
  switch (protocol) {
    case 6:
      return 16
    case 17:
      return 6
    case 1:
    case 58:
      return 2
    default:
      return -1
  }
}
