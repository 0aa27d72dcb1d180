import { formatIpv4, formatMac, macAt } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import type { Payload } from './decode-context.ts'
import { printable } from './printable.ts'

/** Offsets of RFC 951 and RFC 2131. */
const YOUR_ADDRESS = 16
const HARDWARE_ADDRESS = 28
const COOKIE = 236
const OPTIONS = 240
const MAGIC = 0x63825363
const Option = { pad: 0, hostName: 12, requestedAddress: 50, message: 53, end: 255 } as const
/** RFC 2132 9.6. */
const MESSAGES = ['', 'Discover', 'Offer', 'Request', 'Decline', 'ACK', 'NACK', 'Release', 'Inform']
const LONGEST_NAME = 63

/** 'BOOTP/DHCP, Request from 02:cc:00:00:00:01, Discover, hostname "web", length 300'. */
export function dhcpText(bytes: Uint8Array, { at, end, length }: Payload): string {
  if (at + COOKIE > end) return 'BOOTP/DHCP, [|bootp]'
  const isRequest = bytes[at] === 1
  const operation = isRequest
    ? `Request from ${formatMac(macAt(bytes, at + HARDWARE_ADDRESS))}`
    : bytes[at] === 2
      ? 'Reply'
      : `operation ${bytes[at]}`
  return `BOOTP/DHCP, ${operation}${detailsText(bytes, at, end, isRequest)}, length ${length}`
}

function detailsText(bytes: Uint8Array, at: number, end: number, isRequest: boolean): string {
  let [message, name, wanted] = ['', '', '']
  if (at + OPTIONS <= end && get32(bytes, at + COOKIE) === MAGIC) {
    for (let option = at + OPTIONS; option + 1 < end && bytes[option] !== Option.end; ) {
      if (bytes[option] === Option.pad) {
        option++
        continue
      }
      const [data, length] = [option + 2, bytes[option + 1]]
      if (data + length > end) break
      if (bytes[option] === Option.message && length === 1) message = `, ${MESSAGES[bytes[data]] ?? `message ${bytes[data]}`}`
      if (bytes[option] === Option.hostName) name = `, hostname "${printable(bytes, data, data + Math.min(length, LONGEST_NAME))}"`
      if (bytes[option] === Option.requestedAddress && length === 4) wanted = `, requested ${formatIpv4(get32(bytes, data))}`
      option = data + length
    }
  }
  const given = isRequest || get32(bytes, at + YOUR_ADDRESS) === 0 ? '' : `, your address ${formatIpv4(get32(bytes, at + YOUR_ADDRESS))}`
  return `${message}${wanted}${given}${name}`
}
