/**
 * Classic BPF, the bytecode into which libpcap compiles filters: a machine with an accumulator A, an index register X, sixteen words of
 * memory and jumps that only go forward (linux/bpf_common.h, linux/filter.h; McCanne and Jacobson, 1993).
 */
import { CaptureFilterError } from './capture-filter-error.ts'

/** One instruction as `tcpdump -ddd` prints it. code: 0..0xffff; jt, jf: instructions to skip, 0..255; k: 0..2^32-1. */
export interface BpfInstruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

/** Plain data: goes to the engine's thread as an option. */
export type BpfProgram = readonly BpfInstruction[]

/** Instructions of a program at most (BPF_MAXINSNS). */
export const BPF_MAX_INSTRUCTIONS = 4096
/** Words of memory (BPF_MEMWORDS). */
export const BPF_MEMORY_WORDS = 16

/** The lowest three bits of a code. */
export const BpfClass = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, jmp: 5, ret: 6, misc: 7 } as const
/** Of loads: how many bytes. */
export const BpfSize = { word: 0x00, half: 0x08, byte: 0x10 } as const
/** Of loads: from where. */
export const BpfMode = { imm: 0x00, abs: 0x20, ind: 0x40, mem: 0x60, len: 0x80, msh: 0xa0 } as const
/** Of calculations. */
export const BpfAlu = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0
} as const
/** Of jumps. */
export const BpfJump = { ja: 0x00, jeq: 0x10, jgt: 0x20, jge: 0x30, jset: 0x40 } as const
/** The second operand is X and not k. */
export const BPF_X = 0x08
/** `ret` of the accumulator. */
export const BPF_RET_A = 0x10
/** `misc`: A to X is 0, X to A is this. */
export const BPF_TXA = 0x80

/**
 * What the kernel knows of a frame beside its bytes is loaded from offsets above this one (SKF_AD_OFF). libpcap uses them for `vlan`
 * on a live interface of Linux, where the tag was taken out of the frame. Here tags are in the frame, and a program that was compiled
 * for a file (`tcpdump -ddd -y EN10MB`) looks for them there.
 */
export const BPF_ANCILLARY = 0xfffff000
/** Those that have a value here: offset from BPF_ANCILLARY. */
export const BpfAncillary = { protocol: 0, vlanTag: 44, vlanTagPresent: 48, vlanProtocol: 60 } as const
/** From here up (SKF_LL_OFF) an absolute load is no offset in the frame. */
export const BPF_SPECIAL_OFFSETS = 0xffe00000

/** An instruction without a jump. */
export function bpfStatement(code: number, k = 0): BpfInstruction {
  return { code, jt: 0, jf: 0, k: k >>> 0 }
}

/**
 * Reads what `tcpdump -ddd` prints: the number of instructions, then a line `code jt jf k` for each, decimal. Throws CaptureFilterError
 * when it is anything else; the program still wants `checkProgram`.
 */
export function parseBpfProgram(text: string): BpfProgram {
  const lines = text.trim().split('\n')
  if (lines[0] !== String(lines.length - 1)) throw new CaptureFilterError('this is not a program as tcpdump -ddd prints it')
  return lines.slice(1).map((line) => {
    const numbers = /^(\d{1,5}) (\d{1,3}) (\d{1,3}) (\d{1,10})$/.exec(line)
    if (numbers === null) throw new CaptureFilterError(`${JSON.stringify(line)} is not an instruction as tcpdump -ddd prints it`)
    return { code: Number(numbers[1]), jt: Number(numbers[2]), jf: Number(numbers[3]), k: Number(numbers[4]) }
  })
}
