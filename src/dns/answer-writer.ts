/**
 * Turns a query into its answer, in place: the header is changed, the question stays, records follow it.
 */
import type { Random } from '../engine/random.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import {
  DNS_ADDITIONALS,
  DNS_ANSWERS,
  DNS_AUTHORITIES,
  DNS_CLASS_IN,
  DNS_FLAGS,
  DNS_HEADER_LENGTH,
  DNS_QUESTIONS,
  DnsFlag,
  DnsType,
  EDNS_UDP_SIZE
} from './dns-format.ts'
import type { DnsQuery } from './dns-query.ts'

/** A compressed name that points to the question's: RFC 1035 4.1.4. */
const QUESTION_NAME = 0xc000 | DNS_HEADER_LENGTH
/** Compressed name, type, class, TTL, length. */
const RECORD_HEADER = 12
const OPT_LENGTH = 11

export class AnswerWriter {
  ttl = 600
  /** Whether an OPT record is answered with one. */
  edns = true
  private readonly random: Random
  private readonly order: number[] = []

  constructor(random: Random) {
    this.random = random
  }

  /**
   * An answer with records of one type, in random order.
   * @param at offset of the message; the question stands at its place behind the header
   * @param data the records' data, `size` bytes each; empty: the name has none of this type
   * @param limit bytes that the message may have: records that do not fit are left out, and the TC bit says so
   * @returns the length of the message
   */
  records(bytes: Uint8Array, at: number, query: DnsQuery, type: number, data: Uint8Array, size: number, limit: number): number {
    const count = data.length / size
    const optLength = query.hasEdns && this.edns ? OPT_LENGTH : 0
    const room = limit - (query.questionEnd - at) - optLength
    const fitting = Math.max(0, Math.min(count, Math.floor(room / (RECORD_HEADER + size))))
    this.header(bytes, at, query, fitting < count ? DnsFlag.truncated : 0, fitting)
    this.shuffle(count)
    let to = query.questionEnd
    for (let i = 0; i < fitting; i++) {
      put16(bytes, to, QUESTION_NAME)
      put16(bytes, to + 2, type)
      put16(bytes, to + 4, DNS_CLASS_IN)
      put32(bytes, to + 6, this.ttl)
      put16(bytes, to + 10, size)
      const from = this.order[i] * size
      for (let j = 0; j < size; j++) bytes[to + RECORD_HEADER + j] = data[from + j]
      to += RECORD_HEADER + size
    }
    return this.opt(bytes, at, query, to, 0)
  }

  /** An answer without records. @returns the length of the message */
  empty(bytes: Uint8Array, at: number, query: DnsQuery, rcode: number): number {
    this.header(bytes, at, query, rcode & 0xf, 0)
    return this.opt(bytes, at, query, query.questionEnd, rcode >> 4)
  }

  private header(bytes: Uint8Array, at: number, query: DnsQuery, flags: number, answers: number): void {
    // A response copies opcode, RD and CD: RFC 1035 4.1.1, RFC 4035 3.2.2.
    const copied = query.flags & (DnsFlag.opcode | DnsFlag.recursionDesired | DnsFlag.checkingDisabled)
    put16(bytes, at + DNS_FLAGS, DnsFlag.response | DnsFlag.recursionAvailable | copied | flags)
    put16(bytes, at + DNS_QUESTIONS, query.questionEnd > at + DNS_HEADER_LENGTH ? 1 : 0)
    put16(bytes, at + DNS_ANSWERS, answers)
    put16(bytes, at + DNS_AUTHORITIES, 0)
    put16(bytes, at + DNS_ADDITIONALS, 0)
  }

  private opt(bytes: Uint8Array, at: number, query: DnsQuery, to: number, extendedRcode: number): number {
    if (!query.hasEdns || !this.edns) return to - at
    put16(bytes, at + DNS_ADDITIONALS, 1)
    bytes[to] = 0
    put16(bytes, to + 1, DnsType.opt)
    put16(bytes, to + 3, EDNS_UDP_SIZE)
    put32(bytes, to + 5, extendedRcode << 24) // version 0, no flags
    put16(bytes, to + 9, 0)
    return to + OPT_LENGTH - at
  }

  /** Fisher and Yates: every order is as likely. */
  private shuffle(count: number): void {
    const { order } = this
    for (let i = 0; i < count; i++) order[i] = i
    for (let i = count - 1; i > 0; i--) {
      const j = this.random.below(i + 1)
      const kept = order[i]
      order[i] = order[j]
      order[j] = kept
    }
  }
}
