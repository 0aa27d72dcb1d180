/** Classic BPF instruction by instruction, written from its definition (bpf(4)) and slow: what the generated functions are held against. */
import type { BpfProgram } from '../../../src/capture/filter/bpf-instruction.ts'

export interface Verdict {
  /** What the program returns, unsigned. */
  readonly result: number
  /** It ended at a load past the frame's end. */
  readonly overran: boolean
}

const SIZES = [4, 2, 1]

/** Runs a checked program without ancillary loads. */
export function interpret(program: BpfProgram, frame: Uint8Array): Verdict {
  const memory = new Uint32Array(16)
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  let [a, x] = [0n, 0n] // 32 bits each, by asUintN: nothing of JavaScript's own arithmetic is trusted here
  const word = (value: bigint): bigint => BigInt.asUintN(32, value)
  const read = (offset: number, size: number): bigint | null => {
    if (offset + size > frame.length) return null
    return BigInt(size === 4 ? view.getUint32(offset) : size === 2 ? view.getUint16(offset) : view.getUint8(offset))
  }
  for (let at = 0; ; at++) {
    const { code, jt, jf, k } = program[at]
    const size = SIZES[(code >> 3) & 3]
    const operand = code & 8 ? x : BigInt(k)
    switch (code & 7) {
      case 0:
      case 1: {
        const loaded = loadedValue()
        if (loaded === null) return { result: 0, overran: true }
        if (code & 1) x = loaded
        else a = loaded
        break
      }
      case 2:
        memory[k] = Number(a)
        break
      case 3:
        memory[k] = Number(x)
        break
      case 4: {
        const value = calculated(code >> 4, a, operand)
        if (value === null) return { result: 0, overran: false }
        a = word(value)
        break
      }
      case 5:
        if (code >> 4 === 0) at += k
        else at += [false, a === operand, a > operand, a >= operand, (a & operand) !== 0n][code >> 4] ? jt : jf
        break
      case 6:
        return { result: code & 0x10 ? Number(a) : k, overran: false }
      default:
        if (code & 0x80) a = x
        else x = a
    }

    function loadedValue(): bigint | null {
      switch (code >> 5) {
        case 0:
          return BigInt(k)
        case 1:
          return read(k, size)
        case 2:
          return read(Number(word(x + BigInt(k))), size)
        case 3:
          return BigInt(memory[k])
        case 4:
          return BigInt(frame.length)
        default: {
          const first = read(k, 1)
          return first === null ? null : (first & 15n) * 4n
        }
      }
    }
  }
}

/** null: a division by zero. */
function calculated(operation: number, a: bigint, b: bigint): bigint | null {
  switch (operation) {
    case 0:
      return a + b
    case 1:
      return a - b
    case 2:
      return a * b
    case 3:
      return b === 0n ? null : a / b
    case 4:
      return a | b
    case 5:
      return a & b
    case 6:
      return b > 31n ? 0n : a << b
    case 7:
      return b > 31n ? 0n : a >> b
    case 8:
      return -a
    case 9:
      return b === 0n ? null : a % b
    default:
      return a ^ b
  }
}
