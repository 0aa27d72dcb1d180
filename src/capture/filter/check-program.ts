/**
 * Whether a classic BPF program may run: what the kernel's checker asks (net/core/filter.c, bpf_check_classic). Every program ends, and
 * reads nothing that was not written.
 */
import {
  BPF_ANCILLARY,
  BPF_MAX_INSTRUCTIONS,
  BPF_MEMORY_WORDS,
  BPF_RET_A,
  BPF_SPECIAL_OFFSETS,
  BPF_TXA,
  BPF_X,
  BpfAlu,
  BpfAncillary,
  BpfClass,
  type BpfInstruction,
  BpfJump,
  BpfMode,
  type BpfProgram,
  BpfSize
} from './bpf-instruction.ts'
import { CaptureFilterError } from './capture-filter-error.ts'

const CODES = knownCodes()
const ANCILLARY: readonly number[] = Object.values(BpfAncillary)

function knownCodes(): ReadonlySet<number> {
  const codes = new Set<number>()
  for (const size of Object.values(BpfSize)) {
    for (const mode of [BpfMode.abs, BpfMode.ind]) codes.add(BpfClass.ld | size | mode)
  }
  for (const mode of [BpfMode.imm, BpfMode.mem, BpfMode.len]) codes.add(BpfClass.ld | mode).add(BpfClass.ldx | mode)
  codes.add(BpfClass.ldx | BpfSize.byte | BpfMode.msh)
  codes.add(BpfClass.st).add(BpfClass.stx)
  for (const operation of Object.values(BpfAlu)) {
    codes.add(BpfClass.alu | operation)
    if (operation !== BpfAlu.neg) codes.add(BpfClass.alu | operation | BPF_X)
  }
  for (const condition of Object.values(BpfJump)) {
    codes.add(BpfClass.jmp | condition)
    if (condition !== BpfJump.ja) codes.add(BpfClass.jmp | condition | BPF_X)
  }
  codes.add(BpfClass.ret).add(BpfClass.ret | BPF_RET_A)
  return codes.add(BpfClass.misc).add(BpfClass.misc | BPF_TXA)
}

function isWithin(value: unknown, end: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < end
}

/** Throws CaptureFilterError, naming the instruction. */
export function checkProgram(program: BpfProgram): void {
  if (!Array.isArray(program) || program.length === 0) throw new CaptureFilterError('a filter program has at least one instruction')
  if (program.length > BPF_MAX_INSTRUCTIONS) {
    throw new CaptureFilterError(`a filter program has at most ${BPF_MAX_INSTRUCTIONS} instructions, not ${program.length}`)
  }
  for (const [at, instruction] of program.entries()) {
    const fault = faultOf(instruction, program.length - at - 1)
    if (fault !== null) throw new CaptureFilterError(`instruction ${at} of the filter program ${fault}`)
  }
  if ((program[program.length - 1].code & 7) !== BpfClass.ret) throw new CaptureFilterError('a filter program ends with a return')
  checkMemory(program)
}

/** What is wrong with one instruction that has `rest` others after it; null: nothing. */
function faultOf(instruction: BpfInstruction | null | undefined, rest: number): string | null {
  if (typeof instruction !== 'object' || instruction === null) return 'is none'
  const { code, jt, jf, k } = instruction
  if (!CODES.has(code)) return `has the code ${String(code)}, which classic BPF does not know`
  if (!isWithin(k, 2 ** 32)) return `has the operand ${String(k)}: it must be an unsigned number of 32 bits`
  if (!isWithin(jt, 256) || !isWithin(jf, 256)) return 'skips further than 255 instructions, or backwards'
  const kind = code & 7
  if (kind === BpfClass.jmp) {
    const furthest = (code & 0xf0) === BpfJump.ja ? k : Math.max(jt, jf)
    return furthest < rest ? null : 'jumps past the end'
  }
  if (kind === BpfClass.alu) return faultOfCalculation(code, k)
  const usesMemory = kind === BpfClass.st || kind === BpfClass.stx || (kind <= BpfClass.ldx && (code & 0xe0) === BpfMode.mem)
  if (usesMemory && k >= BPF_MEMORY_WORDS) return `uses memory word ${k} of ${BPF_MEMORY_WORDS}`
  if (kind === BpfClass.ld && (code & 0xe0) === BpfMode.abs && k >= BPF_SPECIAL_OFFSETS && !ANCILLARY.includes(k - BPF_ANCILLARY)) {
    return `asks for what only a kernel knows of a frame (inbound, outbound and the like: offset 0x${k.toString(16)}); leave it out, or compile for a file`
  }
  return null
}

function faultOfCalculation(code: number, k: number): string | null {
  if ((code & BPF_X) !== 0) return null
  const operation = code & 0xf0
  if ((operation === BpfAlu.div || operation === BpfAlu.mod) && k === 0) return 'divides by zero'
  if ((operation === BpfAlu.lsh || operation === BpfAlu.rsh) && k > 31) return `shifts by ${k} bits of 32`
  return null
}

/** No path may read a word of memory that it has not written: `written[i]` has what every way to instruction i has written. */
function checkMemory(program: BpfProgram): void {
  const written = new Uint16Array(program.length).fill(0xffff)
  let valid = 0
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]
    valid &= written[at]
    switch (code & 7) {
      case BpfClass.st:
      case BpfClass.stx:
        valid |= 1 << k
        break
      case BpfClass.ld:
      case BpfClass.ldx:
        if ((code & 0xe0) === BpfMode.mem && (valid & (1 << k)) === 0) {
          throw new CaptureFilterError(`instruction ${at} of the filter program reads memory word ${k} before it was written`)
        }
        break
      case BpfClass.jmp: {
        const isAlways = (code & 0xf0) === BpfJump.ja
        written[at + 1 + (isAlways ? k : jt)] &= valid
        written[at + 1 + (isAlways ? k : jf)] &= valid
        valid = 0xffff
        break
      }
      case BpfClass.ret:
        valid = 0xffff
    }
  }
}
