/**
 * Capture filters in libpcap's language: the common subset for Ethernet, which README.md lists. One descent over the tokens; conditions are
 * made in the order of the text, because `vlan` changes what all that follows it means, as in libpcap.
 */
import { assembleProgram, tooLong, WHOLE_FRAME } from './assemble-program.ts'
import { BPF_MAX_INSTRUCTIONS, BpfClass, type BpfProgram, bpfStatement } from './bpf-instruction.ts'
import { CaptureFilterError } from './capture-filter-error.ts'
import {
  calculated,
  compared,
  type FilterValue,
  fieldValue,
  frameLength,
  knownValue,
  negative,
  type Operator,
  type Relation
} from './filter-arithmetic.ts'
import { all, any, type FilterCondition, not } from './filter-condition.ts'
import { idCondition, type Qualifiers, unexpected } from './filter-ids.ts'
import { FIELD_VALUES, LIBPCAP_ONLY, PROTOCOL_WORDS, type ProtocolWord } from './filter-names.ts'
import { type FilterToken, FilterTokenCursor, filterTokens } from './filter-tokens.ts'
import { type Direction, FrameLayout } from './frame-layout.ts'

/** Brackets and `not` in each other at most. */
const DEPTH_MAX = 200
/** No frame has a byte there. */
const FIELD_OFFSET_END = 0x20000

const PRIMITIVES =
  'a primitive: [src|dst] host|net|port|portrange ..., ether host|src|dst|proto ..., broadcast, multicast, ip, ip6, arp, tcp, udp, icmp, icmp6, ' +
  'proto N, vlan [ID], less N, greater N, or a comparison such as tcp[tcpflags] & tcp-syn != 0'

const RELATIONS: readonly string[] = ['=', '==', '!=', '<', '<=', '>', '>=']
/** Tightest last; those of one line bind alike, from the left. */
const OPERATORS: readonly (readonly string[])[] = [['|'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/']]
/** libpcap's grammar gives these no place: they take the operand on their left and all that follows on their right. */
const GREEDY: readonly string[] = ['%', '^']

/** A condition, and the qualifiers that an id after `and` or `or` takes over. */
interface Term {
  readonly condition: FilterCondition
  readonly qualifiers: Qualifiers | null
}

/**
 * The program of a filter; that of the empty one takes every frame. Throws CaptureFilterError, which says where and what is understood.
 * Same frames as `tcpdump -ddd -y EN10MB` has for all that the grammar knows.
 */
export function compileFilter(text: string): BpfProgram {
  const tokens = filterTokens(text)
  if (tokens[0].kind === 'end') return [bpfStatement(BpfClass.ret, WHOLE_FRAME)]
  return assembleProgram(new FilterParser(tokens).parse())
}

class FilterParser {
  private readonly tokens: FilterTokenCursor
  private readonly layout = new FrameLayout()
  private depth = 0
  private terms = 0

  constructor(tokens: readonly FilterToken[]) {
    this.tokens = new FilterTokenCursor(tokens)
  }

  parse(): FilterCondition {
    const { condition } = this.expression(null)
    if (this.tokens.peek().kind !== 'end') throw unexpected(this.tokens.peek(), "'and', 'or' or its end")
    return condition
  }

  /** Terms joined by `and` and `or`, which bind alike, from the left. */
  private expression(inherited: Qualifiers | null): Term {
    let { condition, qualifiers } = this.term(inherited)
    for (;;) {
      const join = this.tokens.accept('&&') ? all : this.tokens.accept('||') ? any : null
      if (join === null) return { condition, qualifiers }
      const right = this.term(qualifiers)
      condition = join(condition, right.condition)
      qualifiers = right.qualifiers
    }
  }

  private term(inherited: Qualifiers | null): Term {
    if (++this.terms > BPF_MAX_INSTRUCTIONS) throw tooLong()
    if (this.tokens.accept('!')) {
      const { condition, qualifiers } = this.deeper(() => this.term(inherited))
      return { condition: not(condition), qualifiers }
    }
    const token = this.tokens.peek()
    if (token.text === '(' && !this.isArithmetic()) {
      this.tokens.next()
      const inner = this.deeper(() => this.expression(inherited))
      this.expect(')')
      return { condition: inner.condition, qualifiers: inherited }
    }
    if (this.isArithmetic()) return { condition: this.comparison(), qualifiers: null }
    if (token.kind === 'word' && !this.isId(inherited)) return this.primitive(token)
    if (inherited === null || token.kind === 'sign' || token.kind === 'end') throw unexpected(token, PRIMITIVES)
    return { condition: idCondition(this.layout, this.tokens, inherited), qualifiers: inherited }
  }

  /** Whether the word at hand is an id of the primitive before, as in `port domain or ntp`. */
  private isId(inherited: Qualifiers | null): boolean {
    return inherited !== null && !isKeyword(this.tokens.peek().text)
  }

  /** Whether a comparison begins here and not a primitive or an id. */
  private isArithmetic(): boolean {
    const { kind, text } = this.tokens.peek()
    const after = this.tokens.peek(1)
    if (kind === 'number') return isOperator(after)
    if (kind === 'word') return text === 'len' || after.text === '[' || (Object.hasOwn(FIELD_VALUES, text) && isOperator(after))
    return kind === 'sign' && (text === '-' || (text === '(' && isOperator(this.tokens.afterBrackets())))
  }

  private primitive(token: FilterToken): Term {
    this.tokens.next()
    const alone = (condition: FilterCondition): Term => ({ condition, qualifiers: null })
    switch (token.text) {
      case 'vlan':
        return alone(this.layout.vlan(this.tokens.peek().kind === 'number' ? this.number('a VLAN', 0x0fff) : null))
      case 'less':
        return alone(compared(frameLength(), '<=', knownValue(this.number('a length', 0xffffffff)), token.offset))
      case 'greater':
        return alone(compared(frameLength(), '>=', knownValue(this.number('a length', 0xffffffff)), token.offset))
    }
    const protocol = PROTOCOL_WORDS.find((word) => word === token.text) ?? null
    const next = protocol === null ? token : this.tokens.peek()
    if (protocol !== null && (next.kind !== 'word' || !isQualifier(next.text))) return alone(this.bareProtocol(protocol, token))
    if (!isQualifier(next.text)) throw notUnderstood(token)
    if (protocol !== null) this.tokens.next()
    if (next.text === 'broadcast' || next.text === 'multicast') return alone(this.groupCondition(protocol, next))
    const qualifiers = this.qualifiers(protocol, next)
    return { condition: this.ids(qualifiers), qualifiers }
  }

  private bareProtocol(protocol: ProtocolWord, token: FilterToken): FilterCondition {
    if (protocol === 'ether' || protocol === 'link')
      throw unexpected(this.tokens.peek(), `host, src, dst, proto, broadcast or multicast after '${token.text}'`)
    return this.layout.protocol(protocol)
  }

  private groupCondition(protocol: ProtocolWord | null, { text, offset }: FilterToken): FilterCondition {
    const isEther = protocol === null || protocol === 'ether' || protocol === 'link'
    if (text === 'broadcast') {
      if (isEther) return this.layout.mac({ hi: 0xffff, lo: -1 }, 'dst')
      throw new CaptureFilterError(
        `'${protocol} broadcast' needs the netmask, which is not known here; use ether broadcast or dst host`,
        offset
      )
    }
    if (isEther) return this.layout.macMulticast()
    if (protocol === 'ip') return this.layout.ipv4Multicast()
    if (protocol === 'ip6') return this.layout.ipv6Multicast()
    throw new CaptureFilterError(`'${protocol}' has no group addresses: ether, ip, ip6 or nothing can stand before 'multicast'`, offset)
  }

  /** The direction and type that begin with `first`, which is taken already. */
  private qualifiers(protocol: ProtocolWord | null, first: FilterToken): Qualifiers {
    let direction: Direction | null = null
    let type = first.text
    if (type === 'src' || type === 'dst') {
      direction = this.direction(type)
      type = ['host', 'net', 'port', 'portrange'].find((word) => this.tokens.accept(word)) ?? 'host'
    }
    return { protocol, direction, type: type as Qualifiers['type'] }
  }

  private direction(first: 'src' | 'dst'): Direction {
    const other = first === 'src' ? 'dst' : 'src'
    const join = this.tokens.peek().text
    if ((join !== '||' && join !== '&&') || this.tokens.peek(1).text !== other) return first
    this.tokens.next()
    this.tokens.next()
    return join === '||' ? 'src or dst' : 'src and dst'
  }

  /** One id, or several in brackets: port (53 or 123). */
  private ids(qualifiers: Qualifiers): FilterCondition {
    if (this.tokens.accept('!')) return not(this.deeper(() => this.ids(qualifiers)))
    if (!this.tokens.accept('(')) {
      if (++this.terms > BPF_MAX_INSTRUCTIONS) throw tooLong()
      return idCondition(this.layout, this.tokens, qualifiers)
    }
    return this.deeper(() => {
      let condition = this.ids(qualifiers)
      while (!this.tokens.accept(')')) {
        const join = this.tokens.accept('&&') ? all : this.tokens.accept('||') ? any : null
        if (join === null) throw unexpected(this.tokens.peek(), "'and', 'or' or ')'")
        condition = join(condition, this.ids(qualifiers))
      }
      return condition
    })
  }

  private comparison(): FilterCondition {
    const left = this.value(0)
    const relation = this.tokens.next()
    if (!RELATIONS.includes(relation.text)) throw unexpected(relation, `a comparison (${RELATIONS.join(' ')})`)
    return compared(left, relation.text as Relation, this.value(0), relation.offset)
  }

  /** A value of operators that bind at least as tight as `level`. */
  private value(level: number): FilterValue {
    if (level === OPERATORS.length) return this.operand()
    let left = this.value(level + 1)
    while (this.tokens.peek().kind === 'sign' && OPERATORS[level].includes(this.tokens.peek().text)) {
      const operator = this.tokens.next()
      left = calculated(left, operator.text as Operator, this.value(level + 1), operator.offset)
    }
    return left
  }

  private operand(): FilterValue {
    if (this.tokens.accept('-')) return negative(this.deeper(() => this.operand()))
    const left = this.atom()
    const operator = this.tokens.peek()
    if (operator.kind !== 'sign' || !GREEDY.includes(operator.text)) return left
    this.tokens.next()
    const right = this.deeper(() => this.value(0))
    return calculated(left, operator.text as Operator, right, operator.offset)
  }

  private atom(): FilterValue {
    const token = this.tokens.next()
    if (token.kind === 'number') return knownValue(token.value)
    if (token.text === '(') {
      const value = this.deeper(() => this.value(0))
      this.expect(')')
      return value
    }
    if (token.text === 'len' && token.kind === 'word') return frameLength()
    if (token.kind === 'word' && Object.hasOwn(FIELD_VALUES, token.text)) return knownValue(FIELD_VALUES[token.text])
    const protocol = PROTOCOL_WORDS.find((word) => token.kind === 'word' && word === token.text)
    if (protocol === undefined) {
      throw token.kind === 'word' ? notUnderstood(token) : unexpected(token, 'a number, len, or a field such as ip[8]')
    }
    return this.field(protocol)
  }

  /** protocol[offset] or protocol[offset:size]. */
  private field(protocol: ProtocolWord): FilterValue {
    const start = this.tokens.peek().offset
    this.expect('[')
    const offset = this.deeper(() => this.value(0))
    if (offset.known !== null && offset.known >= FIELD_OFFSET_END) throw new CaptureFilterError('no frame has a byte at this offset', start)
    const size = this.tokens.accept(':') ? this.number('a size of 1, 2 or 4', 4) : 1
    if (size !== 1 && size !== 2 && size !== 4) throw new CaptureFilterError(`${size} bytes cannot be read at once: 1, 2 or 4 can`, start)
    this.expect(']')
    return fieldValue(this.layout, protocol, offset, size)
  }

  private number(what: string, max: number): number {
    const token = this.tokens.next()
    if (token.kind !== 'number' || token.value > max) throw unexpected(token, `${what} (0 to ${max})`)
    return token.value
  }

  private expect(sign: string): void {
    if (!this.tokens.accept(sign)) throw unexpected(this.tokens.peek(), `'${sign}'`)
  }

  private deeper<T>(parse: () => T): T {
    if (++this.depth > DEPTH_MAX)
      throw new CaptureFilterError(`brackets and 'not' are nested more than ${DEPTH_MAX} deep`, this.tokens.peek().offset)
    const parsed = parse()
    this.depth--
    return parsed
  }
}

function isOperator({ kind, text }: FilterToken): boolean {
  return kind === 'sign' && (RELATIONS.includes(text) || GREEDY.includes(text) || OPERATORS.some((level) => level.includes(text)))
}

function isQualifier(text: string): boolean {
  return ['src', 'dst', 'host', 'net', 'port', 'portrange', 'proto', 'broadcast', 'multicast'].includes(text)
}

function isKeyword(text: string): boolean {
  return isQualifier(text) || ['vlan', 'less', 'greater'].includes(text) || (PROTOCOL_WORDS as readonly string[]).includes(text)
}

function notUnderstood(token: FilterToken): CaptureFilterError {
  if (!LIBPCAP_ONLY.has(token.text)) return unexpected(token, PRIMITIVES)
  return new CaptureFilterError(
    `'${token.text}' is understood only where tcpdump is installed; the built-in grammar knows ${PRIMITIVES}`,
    token.offset
  )
}
