/**
 * Name servers outside, as a recording heard of them: what was forwarded then is answered as it was then, when it was then.
 *
 * Answers are found among what endpoints got from port 53 over UDP and IPv4, by their id and question (RFC 1035 4.1). Those in fragments are
 * not, nor those over TCP.
 */
import { DNS_HEADER_LENGTH, DNS_PORT, DNS_QUESTIONS } from '../dns/dns-format.ts'
import { get16 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import { checkIpv4, IpProtocol, ipv4End, ipv4IsFragment, ipv4Payload, ipv4Protocol } from '../wire/ipv4.ts'
import { checkUdp, UDP_HEADER_LENGTH, udpLength, udpSourcePort } from '../wire/udp.ts'
import type { RecordedPort } from './recording.ts'

export interface RecordedAnswer {
  /** When it came to who had asked, ns since 1970. */
  readonly timeNs: bigint
  readonly message: Uint8Array
}

/** Class, type and the end of the name. */
const QUESTION_TAIL = 5

export class RecordedNames {
  /** By endpoint, id and question: oldest first. */
  private readonly answers = new Map<string, RecordedAnswer[]>()

  constructor(ports: readonly RecordedPort[]) {
    for (const { label, outputs, outputTimes } of ports) {
      for (const [index, frame] of outputs.entries()) {
        const message = dnsMessage(frame)
        const key = message === null ? null : keyOf(label, message)
        if (key === null) continue
        const list = this.answers.get(key) ?? []
        if (list.length === 0) this.answers.set(key, list)
        list.push({ timeNs: outputTimes[index]!, message: message! })
      }
    }
  }

  /**
   * The answer that a question got, once; null: it got none. A question that netloom's own names answer is not asked here.
   * @param label who asks, as the recording calls it: `lan/web`
   */
  take(label: string, query: Uint8Array): RecordedAnswer | null {
    return this.answers.get(keyOf(label, query) ?? '')?.shift() ?? null
  }
}

/** null: none, or not over UDP and IPv4 from the port of name servers. */
function dnsMessage(frame: Uint8Array): Uint8Array | null {
  const at = ETHERNET_HEADER_LENGTH
  if (frame.length < at || get16(frame, ETHERNET_TYPE) !== EtherType.ipv4 || !checkIpv4(frame, at, frame.length)) return null
  const [udp, end] = [ipv4Payload(frame, at), ipv4End(frame, at)]
  if (ipv4Protocol(frame, at) !== IpProtocol.udp || ipv4IsFragment(frame, at) || !checkUdp(frame, udp, end)) return null
  if (udpSourcePort(frame, udp) !== DNS_PORT) return null
  return frame.slice(udp + UDP_HEADER_LENGTH, udp + udpLength(frame, udp))
}

/** Who, id and question; null without exactly one question. */
function keyOf(label: string, message: Uint8Array): string | null {
  if (message.length < DNS_HEADER_LENGTH || get16(message, DNS_QUESTIONS) !== 1) return null
  const name = message.indexOf(0, DNS_HEADER_LENGTH)
  if (name < 0 || name + QUESTION_TAIL > message.length) return null
  const question = Buffer.from(message.subarray(DNS_HEADER_LENGTH, name + QUESTION_TAIL)).toString('latin1')
  return `${label} ${get16(message, 0)} ${question}`
}
