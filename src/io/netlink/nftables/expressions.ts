/**
 * The expressions that a rule is made of, as the kernel has them: each loads registers, looks at them, or decides
 * (net/netfilter/nft_*.c). Numbers in attributes are big-endian; values in registers are as the packet or the kernel has them.
 *
 *   meta oifname -> register 1 | compare register 1 != "netloom0" | masquerade
 *
 * A comparison that fails ends the rule. `match.ts` has the usual combinations.
 */
import type { MessageWriter } from '../message-writer.ts'
import { DataAttribute, VERDICT_CODE, Verdict, type VerdictName } from './nf-tables.ts'

export interface Expression {
  /** The kernel's name of its kind. */
  readonly name: string
  /** Writes its attributes. */
  readonly fill: (writer: MessageWriter) => void
}

/**
 * Registers. 1 to 4 have 16 bytes each; the same bytes are also 16 registers of 4 bytes, for what looks several values up at once:
 * each value begins a new one.
 */
export const Register = { verdict: 0, first: 1, second: 2, word: (index: number): number => 8 + index } as const

export const MetaKey = { protocol: 1, mark: 3, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16, oifgroup: 22 } as const
export const CompareOperation = { '==': 0, '!=': 1 } as const
export type Comparison = keyof typeof CompareOperation
export const PayloadBase = { network: 1, transport: 2 } as const
/** RTN_ types of addresses, as `fibType` gives them. */
export const AddressType = { unicast: 1, local: 2, broadcast: 3 } as const
/** Bits of `ct state` (NF_CT_STATE_BIT). */
export const ConntrackState = { invalid: 1, established: 2, related: 4, new: 8 } as const

const FIB_DESTINATION = 2
const FIB_TYPE = 3
const SOURCE_NAT = 0
const DESTINATION_NAT = 1
const ICMPX_UNREACHABLE = 2
const NFTA_DUP_SREG_DEV = 2

export function meta(key: keyof typeof MetaKey, register: number): Expression {
  return expression('meta', (writer) => writer.attributeU32Be(1, register).attributeU32Be(2, MetaKey[key]))
}

/** `ct state` as a host-order word. */
export function conntrackState(register: number): Expression {
  return expression('ct', (writer) => writer.attributeU32Be(1, register).attributeU32Be(2, 0))
}

/** `length` bytes from `offset` of the network or transport header; 16 at most into a register of 16. */
export function payload(base: keyof typeof PayloadBase, offset: number, length: number, register: number): Expression {
  return expression('payload', (writer) =>
    writer.attributeU32Be(1, register).attributeU32Be(2, PayloadBase[base]).attributeU32Be(3, offset).attributeU32Be(4, length)
  )
}

/** What kind of address the destination is to this machine: AddressType, a host-order word. */
export function fibType(register: number): Expression {
  return expression('fib', (writer) => writer.attributeU32Be(1, register).attributeU32Be(2, FIB_TYPE).attributeU32Be(3, FIB_DESTINATION))
}

/** `register = register & mask`. */
export function mask(register: number, bits: Uint8Array): Expression {
  return expression('bitwise', (writer) => {
    writer.attributeU32Be(1, register).attributeU32Be(2, register).attributeU32Be(3, bits.length)
    writer.nested(4, () => writer.attribute(DataAttribute.value, bits))
    writer.nested(5, () => writer.attribute(DataAttribute.value, new Uint8Array(bits.length)))
  })
}

export function compare(register: number, operation: Comparison, value: Uint8Array): Expression {
  return expression('cmp', (writer) => {
    writer.attributeU32Be(1, register).attributeU32Be(2, CompareOperation[operation])
    writer.nested(3, () => writer.attribute(DataAttribute.value, value))
  })
}

/** Ends the rule unless the map has the key in `from`; its value goes to `to`. */
export function lookUp(map: string, from: number, to: number): Expression {
  return expression('lookup', (writer) => writer.attributeText(1, map).attributeU32Be(2, from).attributeU32Be(3, to))
}

/** A constant into a register. */
export function immediate(register: number, value: Uint8Array): Expression {
  return expression('immediate', (writer) => {
    writer.attributeU32Be(1, register).nested(2, () => writer.attribute(DataAttribute.value, value))
  })
}

export function verdict(name: VerdictName): Expression {
  return expression('immediate', (writer) => {
    writer.attributeU32Be(1, Register.verdict)
    writer.nested(2, () => writer.nested(DataAttribute.verdict, () => writer.attributeU32Be(VERDICT_CODE, Verdict[name])))
  })
}

/** The address of the interface that the packet leaves by becomes its source. In a postrouting chain of type nat. */
export function masquerade(): Expression {
  return expression('masq', () => {})
}

/** New destination (or source) from registers; `port` absent: it stays. `family`: NFPROTO_IPV4 2, NFPROTO_IPV6 10. */
export function translate(kind: 'dnat' | 'snat', family: number, address: number, port?: number): Expression {
  return expression('nat', (writer) => {
    writer.attributeU32Be(1, kind === 'dnat' ? DESTINATION_NAT : SOURCE_NAT).attributeU32Be(2, family)
    writer.attributeU32Be(3, address)
    if (port !== undefined) writer.attributeU32Be(5, port)
  })
}

/** To a socket of this machine, whatever the destination was: at the port in the register. In a chain of type nat. */
export function redirect(port: number): Expression {
  return expression('redir', (writer) => writer.attributeU32Be(1, port))
}

/**
 * To a transparent socket of this machine at the port in the register; the packet keeps its destination. Needs a mark and a rule
 * that routes it to lo. In a prerouting chain of type filter.
 */
export function transparentProxy(family: number, port: number): Expression {
  return expression('tproxy', (writer) => writer.attributeU32Be(1, family).attributeU32Be(3, port))
}

/** Sets the packet's mark from a register. */
export function setMark(register: number): Expression {
  return expression('meta', (writer) => writer.attributeU32Be(2, MetaKey.mark).attributeU32Be(3, register))
}

/** Drops, and answers ICMP port unreachable of the packet's family. */
export function reject(): Expression {
  const portUnreachable = 1
  return expression('reject', (writer) => writer.attributeU32Be(1, ICMPX_UNREACHABLE).attribute(2, Uint8Array.of(portUnreachable)))
}

/** Out by the interface whose index is in the register, as it is. In an ingress chain of family netdev. */
export function forwardTo(device: number): Expression {
  return expression('fwd', (writer) => writer.attributeU32Be(1, device))
}

/** A copy out by the interface whose index is in the register; the packet goes on. In an ingress chain of family netdev. */
export function duplicateTo(device: number): Expression {
  return expression('dup', (writer) => writer.attributeU32Be(NFTA_DUP_SREG_DEV, device))
}

/** Counts packets and bytes that come this far. */
export function counter(): Expression {
  return expression('counter', () => {})
}

function expression(name: string, fill: (writer: MessageWriter) => void): Expression {
  return { name, fill }
}
