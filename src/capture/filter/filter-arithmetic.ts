/**
 * What stands on either side of a comparison: numbers, `len`, fields such as tcp[13] and calculations with them, in unsigned 32 bits.
 */
import { BPF_MEMORY_WORDS, BPF_X, BpfAlu, BpfClass, type BpfInstruction, BpfMode, bpfStatement } from './bpf-instruction.ts'
import { CaptureFilterError } from './capture-filter-error.ts'
import { all, type Comparison, type FilterCondition, not, test, testX } from './filter-condition.ts'
import type { FrameLayout, HeaderWord } from './frame-layout.ts'

export type Operator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>'
export type Relation = '=' | '==' | '!=' | '<' | '<=' | '>' | '>='

/** A value: known when the filter is compiled, or left in A by `code`, for frames on which `conditions` hold. */
export type FilterValue = KnownValue | ComputedValue

interface KnownValue {
  readonly known: number
}

interface ComputedValue {
  readonly known: null
  readonly conditions: readonly FilterCondition[]
  readonly code: readonly BpfInstruction[]
  /** Words of memory that `code` uses: 0 to this - 1. */
  readonly memory: number
}

const CODES: Record<Operator, number> = {
  '+': BpfAlu.add,
  '-': BpfAlu.sub,
  '*': BpfAlu.mul,
  '/': BpfAlu.div,
  '%': BpfAlu.mod,
  '&': BpfAlu.and,
  '|': BpfAlu.or,
  '^': BpfAlu.xor,
  '<<': BpfAlu.lsh,
  '>>': BpfAlu.rsh
}

/** `number`: any integer; its low 32 bits count. */
export function knownValue(number: number): FilterValue {
  return { known: number >>> 0 }
}

/** The length of the frame. */
export function frameLength(): FilterValue {
  return { known: null, conditions: [], code: [bpfStatement(BpfClass.ld | BpfMode.len)], memory: 0 }
}

/** `bytes` (1, 2 or 4) of a header at an offset, as a big-endian number. */
export function fieldValue(layout: FrameLayout, word: HeaderWord, offset: FilterValue, bytes: number): FilterValue {
  if (offset.known !== null) {
    return { known: null, conditions: layout.headerConditions(word, []), code: layout.headerField(word, offset.known, bytes), memory: 0 }
  }
  const code = [...offset.code, ...layout.headerFieldAtA(word, bytes)]
  return { known: null, conditions: layout.headerConditions(word, offset.conditions), code, memory: offset.memory }
}

export function negative(value: FilterValue): FilterValue {
  if (value.known !== null) return knownValue(-value.known)
  return { ...value, code: [...value.code, bpfStatement(BpfClass.alu | BpfAlu.neg)] }
}

/** Throws CaptureFilterError for what can have no result. `offset`: of the operator in the text. */
export function calculated(left: FilterValue, operator: Operator, right: FilterValue, offset: number): FilterValue {
  if (right.known !== null) {
    if ((operator === '/' || operator === '%') && right.known === 0) throw new CaptureFilterError('this divides by zero', offset)
    if ((operator === '<<' || operator === '>>') && right.known > 31)
      throw new CaptureFilterError('this shifts by more than 31 bits', offset)
    if (left.known !== null) return knownValue(calculate(left.known, operator, right.known))
    return { ...left, code: [...left.code, bpfStatement(BpfClass.alu | CODES[operator], right.known)] }
  }
  const { code, memory } = bothLoaded(left, right, offset)
  // As in libpcap, which asks for the left side's protocol only: len - tcp[12] reads what stands there in any frame.
  return { known: null, conditions: inA(left).conditions, code: [...code, bpfStatement(BpfClass.alu | CODES[operator] | BPF_X)], memory }
}

/** The condition that a comparison is. */
export function compared(left: FilterValue, relation: Relation, right: FilterValue, offset: number): FilterCondition {
  const [comparison, isOpposite] = COMPARISONS[relation]
  if (right.known !== null) {
    const { conditions, code } = inA(left)
    return all(...conditions, isOpposite ? not(test(code, comparison, right.known)) : test(code, comparison, right.known))
  }
  const { code } = bothLoaded(left, right, offset)
  const conditions = distinct([...inA(left).conditions, ...inA(right).conditions])
  return all(...conditions, isOpposite ? not(testX(code, comparison)) : testX(code, comparison))
}

/** A machine that knows ==, > and >= has the others as their opposites. */
const COMPARISONS: Record<Relation, readonly [Comparison, boolean]> = {
  '=': ['eq', false],
  '==': ['eq', false],
  '!=': ['eq', true],
  '>': ['gt', false],
  '<=': ['gt', true],
  '>=': ['ge', false],
  '<': ['ge', true]
}

function inA(value: FilterValue): ComputedValue {
  if (value.known === null) return value
  return { known: null, conditions: [], code: [bpfStatement(BpfClass.ld | BpfMode.imm, value.known)], memory: 0 }
}

/** The left value in A, the right one in X. It waits in the first word of memory that the left one's code leaves alone. */
function bothLoaded(left: FilterValue, right: FilterValue, offset: number): Pick<ComputedValue, 'code' | 'memory'> {
  const [a, x] = [inA(left), inA(right)]
  const word = a.memory
  const memory = Math.max(word + 1, x.memory)
  if (memory > BPF_MEMORY_WORDS) throw new CaptureFilterError(`this needs more than ${BPF_MEMORY_WORDS} intermediate values`, offset)
  const code = [...x.code, bpfStatement(BpfClass.st, word), ...a.code, bpfStatement(BpfClass.ldx | BpfMode.mem, word)]
  return { code, memory }
}

/** What was asked once is known. */
function distinct(conditions: readonly FilterCondition[]): FilterCondition[] {
  const seen = new Set<string>()
  return conditions.filter((condition) => {
    const text = JSON.stringify(condition)
    return !seen.has(text) && seen.add(text)
  })
}

function calculate(a: number, operator: Operator, b: number): number {
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return Math.imul(a, b)
    case '/':
      return Math.floor(a / b)
    case '%':
      return a % b
    case '&':
      return a & b
    case '|':
      return a | b
    case '^':
      return a ^ b
    case '<<':
      return a << b
    default:
      return a >>> b
  }
}
