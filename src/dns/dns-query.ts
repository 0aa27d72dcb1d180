/**
 * A query as it stands in a frame or a TCP buffer. One object is used again for every message; nothing is allocated.
 */
import { get16 } from '../wire/big-endian.ts'
import {
  DNS_ADDITIONALS,
  DNS_ANSWERS,
  DNS_AUTHORITIES,
  DNS_FLAGS,
  DNS_HEADER_LENGTH,
  DNS_QUESTIONS,
  DNS_UDP_SIZE,
  DnsFlag,
  DnsType,
  EDNS_UDP_SIZE,
  hashName,
  Rcode
} from './dns-format.ts'

/** `DnsQuery.read`: what stands there is no query and must not be answered, lest two servers answer each other for ever. */
export const NOT_A_QUERY = -1

const RECORDS_MAX = 8
const NAME_MAX = 255

export class DnsQuery {
  id = 0
  flags = 0
  /** Offset of the name in the question, its length with the final 0, and its hash in lower case. */
  nameAt = 0
  nameLength = 0
  hash = 0
  type = 0
  /** Offset after the question; equal to the header's end when the question could not be read. */
  questionEnd = 0
  /** The client sent an OPT record (RFC 6891). */
  hasEdns = false
  /** Bytes that an answer over UDP may have: the client's word, at most EDNS_UDP_SIZE. */
  udpSize = DNS_UDP_SIZE

  /**
   * Reads the message in [at, end).
   * @returns NOT_A_QUERY, or the rcode of the answer as far as it is clear by now: noError when the query is well formed
   */
  read(bytes: Uint8Array, at: number, end: number): number {
    if (at + DNS_HEADER_LENGTH > end) return NOT_A_QUERY
    this.id = get16(bytes, at)
    this.flags = get16(bytes, at + DNS_FLAGS)
    this.questionEnd = at + DNS_HEADER_LENGTH
    this.hasEdns = false
    this.udpSize = DNS_UDP_SIZE
    if ((this.flags & DnsFlag.response) !== 0) return NOT_A_QUERY
    if ((this.flags & DnsFlag.opcode) !== 0) return Rcode.notImplemented
    if (get16(bytes, at + DNS_QUESTIONS) !== 1 || get16(bytes, at + DNS_ANSWERS) !== 0) return Rcode.formatError
    if (!this.readQuestion(bytes, at + DNS_HEADER_LENGTH, end)) return Rcode.formatError
    return this.readRecords(bytes, end, get16(bytes, at + DNS_AUTHORITIES), get16(bytes, at + DNS_ADDITIONALS))
  }

  private readQuestion(bytes: Uint8Array, at: number, end: number): boolean {
    let label = at
    while (label < end && bytes[label] !== 0) {
      // A question has no name before it to point to: RFC 1035 4.1.4.
      if (bytes[label] > 63) return false
      label += 1 + bytes[label]
    }
    const nameEnd = label + 1
    if (nameEnd + 4 > end || nameEnd - at > NAME_MAX) return false
    this.nameAt = at
    this.nameLength = nameEnd - at
    this.hash = hashName(bytes, at, this.nameLength)
    this.type = get16(bytes, nameEnd)
    this.questionEnd = nameEnd + 4
    return true
  }

  /** Looks for the OPT record behind the question. */
  private readRecords(bytes: Uint8Array, end: number, authorities: number, additionals: number): number {
    if (authorities + additionals > RECORDS_MAX) return Rcode.formatError
    let at = this.questionEnd
    let version = 0
    for (let index = 0; index < authorities + additionals; index++) {
      const isRoot = at < end && bytes[at] === 0
      while (at < end && bytes[at] !== 0 && bytes[at] < 64) at += 1 + bytes[at]
      at += at < end && bytes[at] >= 192 ? 2 : 1
      if (at + 10 > end) return Rcode.formatError
      const dataLength = get16(bytes, at + 8)
      if (get16(bytes, at) === DnsType.opt) {
        // RFC 6891 6.1.1: one, at the root, among the additionals.
        if (this.hasEdns || !isRoot || index < authorities) return Rcode.formatError
        this.hasEdns = true
        this.udpSize = Math.min(EDNS_UDP_SIZE, Math.max(DNS_UDP_SIZE, get16(bytes, at + 2)))
        version = bytes[at + 5]
      }
      at += 10 + dataLength
      if (at > end) return Rcode.formatError
    }
    return version === 0 ? Rcode.noError : Rcode.badVersion
  }
}
