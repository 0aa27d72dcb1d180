/**
 * What a filter asks of a frame, as a tree: tests of single values and what joins them. The right side is looked at only when the left has
 * not decided, in the order of the text, as in libpcap: it shows where a frame ends too early, since such a load refuses the whole frame.
 */
import { BPF_X, BpfAlu, BpfClass, type BpfInstruction, BpfJump, BpfMode, BpfSize, bpfStatement } from './bpf-instruction.ts'

export type FilterCondition = FilterTest | FilterNot | FilterJoin | FilterChoice

/** `code` leaves a value in A (and what it is compared with in X, when `jump` has BPF_X); `jump` is the code of a conditional jump. */
export interface FilterTest {
  readonly kind: 'test'
  readonly code: readonly BpfInstruction[]
  readonly jump: number
  readonly k: number
}

export interface FilterNot {
  readonly kind: 'not'
  readonly of: FilterCondition
}

export interface FilterJoin {
  readonly kind: 'all' | 'any'
  readonly of: readonly FilterCondition[]
}

/** The same as `any` of "the bytes at `offset` are `value`, and `rest`", where no two values are the same: one look decides. */
export interface FilterChoice {
  readonly kind: 'choice'
  readonly offset: number
  readonly bytes: number
  readonly cases: readonly { readonly value: number; readonly rest: FilterCondition }[]
}

export function not(of: FilterCondition): FilterCondition {
  return of.kind === 'not' ? of.of : { kind: 'not', of }
}

export function all(...of: FilterCondition[]): FilterCondition {
  return of.length === 1 ? of[0] : { kind: 'all', of }
}

export function any(...of: FilterCondition[]): FilterCondition {
  return of.length === 1 ? of[0] : { kind: 'any', of }
}

/** Loads 1, 2 or 4 bytes at an offset in the frame. */
export function loadAt(offset: number, bytes: number): BpfInstruction {
  return bpfStatement(BpfClass.ld | sizeCode(bytes) | BpfMode.abs, offset)
}

/** Loads 1, 2 or 4 bytes at X + offset. */
export function loadBehind(offset: number, bytes: number): BpfInstruction {
  return bpfStatement(BpfClass.ld | sizeCode(bytes) | BpfMode.ind, offset)
}

/** X = the length of the IPv4 header that begins at an offset in the frame. */
export function loadHeaderLength(offset: number): BpfInstruction {
  return bpfStatement(BpfClass.ldx | BpfSize.byte | BpfMode.msh, offset)
}

function sizeCode(bytes: number): number {
  return bytes === 4 ? BpfSize.word : bytes === 2 ? BpfSize.half : BpfSize.byte
}

export type Comparison = 'eq' | 'gt' | 'ge' | 'set'

const JUMPS: Record<Comparison, number> = { eq: BpfJump.jeq, gt: BpfJump.jgt, ge: BpfJump.jge, set: BpfJump.jset }

/** Whether what `code` leaves in A equals, is greater than, is at least, or shares a bit with `k` (unsigned, 32 bits). */
export function test(code: readonly BpfInstruction[], comparison: Comparison, k: number): FilterTest {
  return { kind: 'test', code, jump: BpfClass.jmp | JUMPS[comparison], k: k >>> 0 }
}

/** The same with X in place of `k`. */
export function testX(code: readonly BpfInstruction[], comparison: Comparison): FilterTest {
  return { kind: 'test', code, jump: BpfClass.jmp | JUMPS[comparison] | BPF_X, k: 0 }
}

/** Whether the bytes at an offset, under a mask, are `value`. Without a mask: all of them. */
export function bytesAre(offset: number, bytes: number, value: number, mask = 0xffffffff): FilterTest {
  const code = [loadAt(offset, bytes)]
  if (mask >>> 0 !== 0xffffffff) code.push(bpfStatement(BpfClass.alu | BpfAlu.and, mask))
  return test(code, 'eq', value)
}
