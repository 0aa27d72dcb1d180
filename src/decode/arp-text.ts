import { formatIpv4, formatMac, macAt } from '../wire/address.ts'
import { ARP_LENGTH, ARP_SENDER_MAC, ARP_TARGET_MAC, ArpOperation, arpOperation, arpSenderIp, arpTargetIp, checkArp } from '../wire/arp.ts'

/** 'ARP, Request who-has 192.0.2.2 tell 192.0.2.4, length 28'. `length`: bytes behind the Ethernet header, with padding. */
export function arpText(bytes: Uint8Array, at: number, end: number, length: number): string {
  if (at + ARP_LENGTH > end) return 'ARP, [|arp]'
  if (!checkArp(bytes, at, end)) return `ARP, not of IPv4 over Ethernet, length ${length}`
  return `ARP, ${operationText(bytes, at)}, length ${length}`
}

function operationText(bytes: Uint8Array, at: number): string {
  const [sender, target] = [formatIpv4(arpSenderIp(bytes, at)), formatIpv4(arpTargetIp(bytes, at))]
  const senderMac = formatMac(macAt(bytes, at + ARP_SENDER_MAC))
  switch (arpOperation(bytes, at)) {
    case ArpOperation.request: {
      const mac = macAt(bytes, at + ARP_TARGET_MAC)
      const known = mac.hi === 0 && mac.lo === 0 ? '' : ` (${formatMac(mac)})`
      return `Request who-has ${target}${known} tell ${sender}`
    }
    case ArpOperation.reply:
      return `Reply ${sender} is-at ${senderMac}`
    default:
      return `operation ${arpOperation(bytes, at)}, ${sender} (${senderMac}) to ${target}`
  }
}
