/**
 * Classic BPF into JavaScript: a program becomes one function, which V8 compiles as it does any other.
 *
 * Jumps only go forward, so each target is the end of a labelled block that began at the top:
 *
 *   l9: { l4: { if (A !== 2048) break l4; ... break l9 } ...instruction 4 } ...instruction 9
 *
 * A jump to a return is that return. Programs with more targets than the parser may nest run as a switch in a loop, with the same cases.
 * The semantics are those of libpcap's own interpreter (bpf_filter.c): unsigned 32 bits, and a load past the end, or a division by an X of
 * zero, returns 0.
 */
import {
  BPF_ANCILLARY,
  BPF_RET_A,
  BPF_TXA,
  BPF_X,
  BpfAlu,
  BpfAncillary,
  BpfClass,
  BpfJump,
  BpfMode,
  type BpfProgram,
  BpfSize
} from './bpf-instruction.ts'
import { checkProgram } from './check-program.ts'

/**
 * Bytes to keep of the frame (0..2^32-1, mostly far more than it has); 0: it is not wanted. `bytes` is the chunk, the frame is
 * [at, at + length). Allocates nothing, never throws.
 */
export type FrameFilter = (bytes: Uint8Array, at: number, length: number) => number

/** Blocks in blocks at most: V8's parser is recursive. */
const NESTING_MAX = 128

/** Throws CaptureFilterError when `checkProgram` does. */
export function filterFunction(program: BpfProgram): FrameFilter {
  checkProgram(program)
  // Nothing but checked numbers goes into the text.
  return new Function('bytes', 'at', 'length', functionBody(program)) as FrameFilter
}

/** The text of the function, for who wants to read it. */
export function functionBody(program: BpfProgram): string {
  const targets = jumpTargets(program)
  const memory = [...new Set(program.filter(usesMemory).map(({ k }) => `M${k} = 0`))]
  const head = `"use strict"; let ${['A = 0', 'X = 0', ...memory].join(', ')};\n`
  return head + (targets.length <= NESTING_MAX ? nestedBlocks(program, targets) : switchInLoop(program, targets))
}

function usesMemory({ code }: { code: number }): boolean {
  const kind = code & 7
  return kind === BpfClass.st || kind === BpfClass.stx || (kind <= BpfClass.ldx && (code & 0xe0) === BpfMode.mem)
}

/** The instructions that are jumped to, other than returns and the next one; ascending. */
function jumpTargets(program: BpfProgram): number[] {
  const targets = new Set<number>()
  for (const [at, { code, jt, jf, k }] of program.entries()) {
    if ((code & 7) !== BpfClass.jmp) continue
    for (const skip of (code & 0xf0) === BpfJump.ja ? [k] : [jt, jf]) {
      if (skip > 0 && (program[at + 1 + skip].code & 7) !== BpfClass.ret) targets.add(at + 1 + skip)
    }
  }
  return [...targets].sort((a, b) => a - b)
}

function nestedBlocks(program: BpfProgram, targets: readonly number[]): string {
  const blockEnds = new Set(targets)
  let text = targets
    .map((target) => `l${target}: {`)
    .reverse()
    .join(' ')
  for (let at = 0; at < program.length; at++) {
    text += `${blockEnds.has(at) ? '}' : ''}\n${statement(program, at, (target) => `break l${target};`)}`
  }
  return text
}

function switchInLoop(program: BpfProgram, targets: readonly number[]): string {
  const cases = new Set(targets)
  let text = 'let next = 0; for (;;) switch (next) { case 0:'
  for (let at = 0; at < program.length; at++) {
    text += `${cases.has(at) ? ` case ${at}:` : ''}\n${statement(program, at, (target) => `{ next = ${target}; continue; }`)}`
  }
  return `${text} }`
}

type WriteJump = (target: number) => string

function statement(program: BpfProgram, at: number, jump: WriteJump): string {
  const { code, k } = program[at]
  switch (code & 7) {
    case BpfClass.ld:
      return load('A', code, k)
    case BpfClass.ldx:
      return load('X', code, k)
    case BpfClass.st:
      return `M${k} = A;`
    case BpfClass.stx:
      return `M${k} = X;`
    case BpfClass.alu:
      return calculation(code, k)
    case BpfClass.jmp:
      return jumps(program, at, jump)
    case BpfClass.ret:
      return (code & 0x18) === BPF_RET_A ? 'return A >>> 0;' : `return ${k};`
    default:
      return code & BPF_TXA ? 'A = X;' : 'X = A;'
  }
}

/** Registers are int32 in the text; what depends on the sign says `>>> 0`. */
function load(register: string, code: number, k: number): string {
  switch (code & 0xe0) {
    case BpfMode.imm:
      return `${register} = ${k | 0};`
    case BpfMode.mem:
      return `${register} = M${k};`
    case BpfMode.len:
      return `${register} = length;`
    case BpfMode.msh:
      return `if (${k} >= length) return 0; ${register} = (bytes[at + ${k}] & 15) << 2;`
    case BpfMode.abs:
      return k >= BPF_ANCILLARY
        ? ancillary(k - BPF_ANCILLARY)
        : `if (${k + sizeOf(code)} > length) return 0; A = ${bytesAt(code, `at + ${k}`)};`
    default:
      // As in libpcap, the sum of X and k has 32 bits.
      return `{ const i = (X + ${k | 0}) >>> 0; if (i + ${sizeOf(code)} > length) return 0; const o = at + i; A = ${bytesAt(code, 'o')}; }`
  }
}

/** No frame here has a tag beside its bytes. */
function ancillary(what: number): string {
  if (what !== BpfAncillary.protocol) return 'A = 0;'
  return `if (14 > length) return 0; A = ${bytesAt(BpfSize.half, 'at + 12')};`
}

function sizeOf(code: number): number {
  const size = code & 0x18
  return size === BpfSize.word ? 4 : size === BpfSize.half ? 2 : 1
}

/** Big-endian. */
function bytesAt(code: number, offset: string): string {
  const byte = (index: number, shift: number): string => {
    const read = `bytes[${offset}${index === 0 ? '' : ` + ${index}`}]`
    return shift === 0 ? read : `${read} << ${shift}`
  }
  const size = sizeOf(code)
  return Array.from({ length: size }, (_, index) => byte(index, 8 * (size - 1 - index))).join(' | ')
}

function calculation(code: number, k: number): string {
  const isX = (code & BPF_X) !== 0
  const operand = isX ? 'X' : `${k | 0}`
  const unsigned = isX ? '(X >>> 0)' : `${k}`
  switch (code & 0xf0) {
    case BpfAlu.add:
      return `A = (A + ${operand}) | 0;`
    case BpfAlu.sub:
      return `A = (A - ${operand}) | 0;`
    case BpfAlu.mul:
      return `A = Math.imul(A, ${operand});`
    case BpfAlu.div:
      return `${isX ? 'if (X === 0) return 0; ' : ''}A = ((A >>> 0) / ${unsigned}) | 0;`
    case BpfAlu.mod:
      return `${isX ? 'if (X === 0) return 0; ' : ''}A = ((A >>> 0) % ${unsigned}) | 0;`
    case BpfAlu.or:
      return `A |= ${operand};`
    case BpfAlu.and:
      return `A &= ${operand};`
    case BpfAlu.xor:
      return `A ^= ${operand};`
    case BpfAlu.neg:
      return 'A = -A | 0;'
    case BpfAlu.lsh:
      // libpcap defines a shift by 32 bits and more: nothing is left.
      return isX ? 'A = (X >>> 0) < 32 ? A << X : 0;' : `A <<= ${k};`
    default:
      return isX ? 'A = (X >>> 0) < 32 ? A >>> X | 0 : 0;' : `A = A >>> ${k} | 0;`
  }
}

function jumps(program: BpfProgram, at: number, jump: WriteJump): string {
  const { code, jt, jf, k } = program[at]
  /** Nothing when the next instruction is meant. */
  const go = (skip: number): string => {
    if (skip === 0) return ''
    const target = program[at + 1 + skip]
    return (target.code & 7) === BpfClass.ret ? statement(program, at + 1 + skip, jump) : jump(at + 1 + skip)
  }
  if ((code & 0xf0) === BpfJump.ja) return go(k)
  const [whenTrue, whenFalse] = [go(jt), go(jf)]
  if (whenTrue === whenFalse) return whenTrue
  const test = condition(code, k)
  if (whenTrue === '') return `if (!(${test})) ${whenFalse}`
  return whenFalse === '' ? `if (${test}) ${whenTrue}` : `if (${test}) ${whenTrue} else ${whenFalse}`
}

function condition(code: number, k: number): string {
  const isX = (code & BPF_X) !== 0
  const unsigned = isX ? '(X >>> 0)' : `${k}`
  switch (code & 0xf0) {
    case BpfJump.jeq:
      return isX ? 'A === X' : `A === ${k | 0}`
    case BpfJump.jgt:
      return `(A >>> 0) > ${unsigned}`
    case BpfJump.jge:
      return `(A >>> 0) >= ${unsigned}`
    default:
      return `(A & ${isX ? 'X' : k | 0}) !== 0`
  }
}
