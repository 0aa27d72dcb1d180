/**
 * Conditions into a program: depth first, with a label wherever two ways meet. A load whose value is in the register already, on every way
 * that leads here, is left out.
 */
import {
  BPF_MAX_INSTRUCTIONS,
  BPF_TXA,
  BpfClass,
  type BpfInstruction,
  BpfJump,
  BpfMode,
  type BpfProgram,
  bpfStatement
} from './bpf-instruction.ts'
import { CaptureFilterError } from './capture-filter-error.ts'
import { bytesAre, type FilterChoice, type FilterCondition, type FilterTest } from './filter-condition.ts'

/** What tcpdump's programs return for a frame that is wanted: all of it. */
export const WHOLE_FRAME = 262_144

/** What the registers hold, as the text of the code that made it; '': not known. */
interface Registers {
  readonly a: string
  readonly x: string
}

const NOTHING: Registers = { a: '', x: '' }

/** A place in the program. `known`: what the registers hold whatever way was taken; null: no way leads here yet. */
interface Label {
  known: Registers | null
  /** Instructions before it. */
  at: number
}

interface Branch {
  readonly test: FilterTest
  readonly whenTrue: Label
  readonly whenFalse: Label
  /** A target is out of reach of 8 bits: the branch goes to jumps of its own. */
  isLong: boolean
}

type Item = BpfInstruction | Branch | Label

/** Throws CaptureFilterError when it becomes too long. */
export function assembleProgram(condition: FilterCondition): BpfProgram {
  return new Assembler().assemble(condition)
}

class Assembler {
  private readonly items: Item[] = []
  private registers: Registers = NOTHING

  assemble(condition: FilterCondition): BpfProgram {
    const accept = newLabel()
    const reject = newLabel()
    this.add(condition, accept, reject)
    this.place(accept)
    this.items.push(bpfStatement(BpfClass.ret, WHOLE_FRAME))
    this.place(reject)
    this.items.push(bpfStatement(BpfClass.ret, 0))
    while (this.measure() > 0);
    return this.write()
  }

  private add(condition: FilterCondition, whenTrue: Label, whenFalse: Label): void {
    if (condition.kind === 'test') return this.addTest(condition, whenTrue, whenFalse)
    if (condition.kind === 'not') return this.add(condition.of, whenFalse, whenTrue)
    if (condition.kind === 'choice') return this.addChoice(condition, whenTrue, whenFalse)
    for (const [i, part] of condition.of.entries()) {
      if (i === condition.of.length - 1) return this.add(part, whenTrue, whenFalse)
      const next = newLabel()
      if (condition.kind === 'all') this.add(part, next, whenFalse)
      else this.add(part, whenTrue, next)
      this.place(next)
    }
  }

  private addChoice({ offset, bytes, cases }: FilterChoice, whenTrue: Label, whenFalse: Label): void {
    for (const [i, { value, rest }] of cases.entries()) {
      const inside = newLabel()
      const next = i === cases.length - 1 ? whenFalse : newLabel()
      this.addTest(bytesAre(offset, bytes, value), inside, next)
      this.place(inside)
      this.add(rest, whenTrue, whenFalse)
      if (next !== whenFalse) this.place(next)
    }
  }

  private addTest(test: FilterTest, whenTrue: Label, whenFalse: Label): void {
    const made = textOf(test.code)
    if (this.registers.a !== made) {
      for (const instruction of test.code) this.addStatement(instruction)
      this.registers = { a: made, x: this.registers.x }
    }
    this.items.push({ test, whenTrue, whenFalse, isLong: false })
    if (this.items.length > 4 * BPF_MAX_INSTRUCTIONS) throw tooLong()
    this.reach(whenTrue)
    this.reach(whenFalse)
  }

  private addStatement(instruction: BpfInstruction): void {
    const { code } = instruction
    if ((code & 7) === BpfClass.ldx && (code & 0xe0) === BpfMode.msh) {
      const x = textOf([instruction])
      if (this.registers.x === x) return
      this.registers = { a: this.registers.a, x }
    } else if ((code & 7) === BpfClass.ldx || ((code & 7) === BpfClass.misc && (code & BPF_TXA) === 0)) {
      this.registers = { a: this.registers.a, x: '' }
    }
    this.items.push(instruction)
  }

  private reach(label: Label): void {
    const { known } = label
    const { a, x } = this.registers
    label.known = known === null ? this.registers : { a: known.a === a ? a : '', x: known.x === x ? x : '' }
  }

  private place(label: Label): void {
    this.registers = label.known ?? NOTHING
    this.items.push(label)
  }

  /** Gives the labels their places. Returns how many branches had to become long for it: then it is to be done again. */
  private measure(): number {
    let at = 0
    for (const item of this.items) {
      if ('known' in item) item.at = at
      else at += 'test' in item && item.isLong ? 3 : 1
    }
    let grown = 0
    at = 0
    for (const item of this.items) {
      if ('known' in item) continue
      at += 'test' in item && item.isLong ? 3 : 1
      if (!('test' in item) || item.isLong || Math.max(item.whenTrue.at, item.whenFalse.at) - at < 256) continue
      item.isLong = true
      grown++
    }
    return grown
  }

  private write(): BpfProgram {
    const program: BpfInstruction[] = []
    for (const item of this.items) {
      if ('known' in item) continue
      if (!('test' in item)) {
        program.push(item)
        continue
      }
      const { test, whenTrue, whenFalse } = item
      const after = program.length + 1
      if (item.isLong) {
        program.push({ code: test.jump, jt: 0, jf: 1, k: test.k })
        program.push(bpfStatement(BpfClass.jmp | BpfJump.ja, whenTrue.at - after - 1))
        program.push(bpfStatement(BpfClass.jmp | BpfJump.ja, whenFalse.at - after - 2))
      } else {
        program.push({ code: test.jump, jt: whenTrue.at - after, jf: whenFalse.at - after, k: test.k })
      }
    }
    if (program.length > BPF_MAX_INSTRUCTIONS) throw tooLong()
    return program
  }
}

function newLabel(): Label {
  return { known: null, at: 0 }
}

function textOf(code: readonly BpfInstruction[]): string {
  return code.map(({ code, k }) => `${code} ${k}`).join(',')
}

export function tooLong(): CaptureFilterError {
  return new CaptureFilterError(
    `the filter is too long: its program has more than ${BPF_MAX_INSTRUCTIONS} instructions; use networks or port ranges instead of lists`
  )
}
