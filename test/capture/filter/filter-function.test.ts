import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BpfInstruction, type BpfProgram, bpfStatement, parseBpfProgram } from '../../../src/capture/filter/bpf-instruction.ts'
import { CaptureFilterError } from '../../../src/capture/filter/capture-filter-error.ts'
import { checkProgram } from '../../../src/capture/filter/check-program.ts'
import { filterFunction, functionBody } from '../../../src/capture/filter/filter-function.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { interpret } from './bpf-interpreter.ts'
import { asChunk, filterFrames } from './filter-frames.ts'

const RET_A = bpfStatement(0x16)

/** The result of instructions that leave it in A. */
function run(frame: readonly number[], ...code: BpfInstruction[]): number {
  // Bytes before and behind the frame are others than zero: a read outside of it shows.
  const bytes = Uint8Array.from([0xee, 0xee, ...frame, 0xee, 0xee, 0xee, 0xee])
  return filterFunction([...code, RET_A])(bytes, 2, frame.length)
}

describe('instructions', () => {
  const frame = [0x45, 0x81, 0x02, 0xff, 0x10]
  const [ldImm, ldxImm, add, sub, mul, div, mod, lsh, rsh, neg] = [0x00, 0x01, 0x04, 0x14, 0x24, 0x34, 0x94, 0x64, 0x74, 0x84]
  const X = 0x08
  const cases: [what: string, expected: number, ...BpfInstruction[]][] = [
    ['ld word, unsigned', 0x458102ff, bpfStatement(0x20, 0)],
    ['ld word above 2^31', 0x8102ff10, bpfStatement(0x20, 1)],
    ['ld word past the end', 0, bpfStatement(0x20, 2)],
    ['ld half', 0xff10, bpfStatement(0x28, 3)],
    ['ld half past the end', 0, bpfStatement(0x28, 4)],
    ['ld byte', 0x10, bpfStatement(0x30, 4)],
    ['ld byte past the end', 0, bpfStatement(0x30, 5)],
    ['ld at X + k', 0xff, bpfStatement(ldxImm, 1), bpfStatement(0x50, 2)],
    ['ld at X + k that wraps', 0xff, bpfStatement(ldxImm, 0xffffffff), bpfStatement(0x50, 4)],
    ['ld at X + k past the end', 0, bpfStatement(ldxImm, 0x80000000), bpfStatement(0x50, 0)],
    ['ld length', 5, bpfStatement(0x80)],
    ['ldx length', 5, bpfStatement(0x81), bpfStatement(0x87)],
    ['ldx 4 * (byte & 15)', 20, bpfStatement(0xb1, 0), bpfStatement(0x87)],
    ['ldx 4 * (byte & 15) past the end', 0, bpfStatement(0xb1, 5), bpfStatement(ldImm, 7)],
    ['memory', 9, bpfStatement(ldImm, 9), bpfStatement(0x02, 15), bpfStatement(ldImm, 1), bpfStatement(0x60, 15)],
    ['memory through X', 9, bpfStatement(ldxImm, 9), bpfStatement(0x03, 0), bpfStatement(0x61, 0), bpfStatement(0x87)],
    ['add wraps', 1, bpfStatement(ldImm, 0xffffffff), bpfStatement(add, 2)],
    ['sub wraps', 0xffffffff, bpfStatement(ldImm, 1), bpfStatement(sub, 2)],
    ['mul of 32 bits', 1, bpfStatement(ldImm, 0xffffffff), bpfStatement(mul, 0xffffffff)],
    ['div unsigned', 0x7fffffff, bpfStatement(ldImm, 0xfffffffe), bpfStatement(div, 2)],
    ['div by one', 0xfffffffe, bpfStatement(ldImm, 0xfffffffe), bpfStatement(div, 1)],
    ['div by X of zero', 0, bpfStatement(ldImm, 8), bpfStatement(div | X)],
    ['mod unsigned', 5, bpfStatement(ldImm, 0xffffffff), bpfStatement(mod, 10)],
    ['mod by X of zero', 0, bpfStatement(ldImm, 8), bpfStatement(mod | X)],
    ['lsh', 0x80000000, bpfStatement(ldImm, 1), bpfStatement(lsh, 31)],
    ['rsh brings zeros', 1, bpfStatement(ldImm, 0x80000000), bpfStatement(rsh, 31)],
    ['lsh by X of 32', 0, bpfStatement(ldImm, 1), bpfStatement(ldxImm, 32), bpfStatement(lsh | X)],
    ['rsh by X of 2^31', 0, bpfStatement(ldImm, 1), bpfStatement(ldxImm, 0x80000000), bpfStatement(rsh | X)],
    ['neg', 0xfffffffb, bpfStatement(ldImm, 5), bpfStatement(neg)],
    ['a tag beside the frame: none', 0, bpfStatement(0x28, 0xfffff000 + 44)],
    ['whether there is one: no', 0, bpfStatement(0x30, 0xfffff000 + 48)]
  ]
  for (const [what, expected, ...code] of cases) test(what, () => assert.equal(run(frame, ...code), expected))

  test('jumps compare unsigned', () => {
    const taken = (jump: number, a: number, k: number): boolean =>
      filterFunction([bpfStatement(0, a), { code: jump, jt: 0, jf: 1, k }, bpfStatement(6, 1), bpfStatement(6, 0)])(
        new Uint8Array(1),
        0,
        1
      ) === 1
    assert.deepEqual([taken(0x25, 0x80000000, 1), taken(0x25, 1, 0x80000000), taken(0x25, 7, 7)], [true, false, false])
    assert.deepEqual([taken(0x35, 0x80000000, 0x80000000), taken(0x35, 0, 1)], [true, false])
    assert.deepEqual([taken(0x15, 0xffffffff, 0xffffffff), taken(0x15, 0, 1)], [true, false])
    assert.deepEqual([taken(0x45, 0x80000001, 0x80000000), taken(0x45, 1, 2)], [true, false])
  })
})

describe('the checker', () => {
  const refused: [what: string, program: unknown, message: RegExp][] = [
    ['nothing', [], /at least one/],
    ['no list', 'ret', /at least one/],
    ['too long', Array.from({ length: 4097 }, () => bpfStatement(6)), /at most 4096/],
    ['an unknown code', [bpfStatement(0xff), bpfStatement(6)], /code 255/],
    ['ret of X', [bpfStatement(0x0e)], /code 14/],
    ['no return at the end', [bpfStatement(0)], /ends with a return/],
    ['a jump past the end', [{ code: 0x15, jt: 0, jf: 1, k: 0 }, bpfStatement(6)], /past the end/],
    ['a far jump past the end', [bpfStatement(0x05, 0xffffffff), bpfStatement(6)], /past the end/],
    ['a jump backwards', [{ code: 0x15, jt: -1, jf: 0, k: 0 }, bpfStatement(6)], /backwards/],
    ['division by zero', [bpfStatement(0x34, 0), bpfStatement(6)], /divides by zero/],
    ['remainder of zero', [bpfStatement(0x94, 0), bpfStatement(6)], /divides by zero/],
    ['a shift by 32', [bpfStatement(0x64, 32), bpfStatement(6)], /shifts by 32/],
    ['memory word 16', [bpfStatement(0x02, 16), bpfStatement(6)], /word 16 of 16/],
    ['memory not written', [bpfStatement(0x60, 3), bpfStatement(6)], /before it was written/],
    [
      'memory written on one way only',
      [{ code: 0x15, jt: 0, jf: 1, k: 0 }, bpfStatement(0x02, 3), bpfStatement(0x60, 3), bpfStatement(6)],
      /before it was written/
    ],
    ['an operand that is text', [{ code: 6, jt: 0, jf: 0, k: '0; process.exit()' }], /32 bits/],
    ['an operand that is none', [{ code: 6, jt: 0, jf: 0, k: Number.NaN }], /32 bits/],
    ['null', [null], /is none/],
    ["a kernel's metadata", [bpfStatement(0x30, 0xfffff000 + 4), bpfStatement(6)], /only a kernel knows/]
  ]
  for (const [what, program, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(() => checkProgram(program as BpfProgram), message)
      assert.throws(() => filterFunction(program as BpfProgram), CaptureFilterError)
    })
  }

  test('parseBpfProgram refuses what tcpdump would not print', () => {
    assert.deepEqual(parseBpfProgram('1\n6 0 0 262144\n'), [bpfStatement(6, 262_144)])
    for (const text of ['', '2\n6 0 0 0', '1\n6 0 0', '1\n-6 0 0 0', '1\n6 0 0 x', 'tcpdump: no']) {
      assert.throws(() => parseBpfProgram(text), CaptureFilterError, text)
    }
  })
})

/** A program that the checker takes, of loads near the headers, calculations and jumps. */
function randomProgram(random: (bound: number) => number, length: number): BpfProgram {
  const codes = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x01, 0x80, 0x81, 0xb1, 0x02, 0x03, 0x60, 0x61, 0x07, 0x87, 0x16, 0x06]
  for (let operation = 0x04; operation <= 0xa4; operation += 0x10) codes.push(operation, operation === 0x84 ? 0x84 : operation | 8)
  const jumps = [0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d]
  const constants = [0, 1, 2, 4, 14, 31, 0x800, 0x7fffffff, 0x80000000, 0xffffffff]
  const program: BpfInstruction[] = [bpfStatement(0x02, 0), bpfStatement(0x02, 1)]
  while (program.length < length) {
    const left = length - program.length
    if (random(3) === 0) {
      const code = jumps[random(jumps.length)]
      const skip = (): number => random(Math.min(left, 256))
      program.push(
        code === 0x05 ? bpfStatement(code, random(left)) : { code, jt: skip(), jf: skip(), k: constants[random(constants.length)] }
      )
      continue
    }
    const code = codes[random(codes.length)]
    const isLoad = (code & 7) < 2 && code > 0x1f
    let k = isLoad ? random(64) : constants[random(constants.length)]
    if ((code & 7) === 2 || (code & 7) === 3 || (isLoad && (code & 0xe0) === 0x60)) k = random(2)
    if ((code & 0x0f) === 0x04) k = (code & 0xf0) === 0x60 || (code & 0xf0) === 0x70 ? random(32) : k || 3
    // Else most programs would end at once.
    if ((code & 7) === 6 && random(4) !== 0) continue
    program.push(bpfStatement(code, k))
  }
  program.push(random(2) === 0 ? RET_A : bpfStatement(6, 1))
  return program
}

describe('random programs run as the interpreter runs them', () => {
  const frames = filterFrames()
  const { bytes, starts } = asChunk(frames)
  const rounds = process.env.NETLOOM_FUZZ === 'long' ? 20_000 : 150

  test('short ones and long ones', () => {
    const random = seededRandom(3)
    let switched = 0
    for (let round = 0; round < rounds; round++) {
      // The long ones have more targets than blocks may nest.
      const program = randomProgram(random, round % 10 === 0 ? 900 : 5 + random(60))
      const filter = filterFunction(program)
      if (functionBody(program).includes('switch')) switched++
      for (let i = 0; i < 12; i++) {
        const at = random(frames.length)
        const result = filter(bytes, starts[at], frames[at].length)
        assert.equal(result, interpret(program, frames[at]).result, `round ${round} of a seed of 3`)
      }
    }
    assert.ok(switched > 0 && switched < rounds / 2, `${switched} of ${rounds} ran as a switch`)
  })

  test('what is no program is refused, whatever it is', () => {
    const random = seededRandom(5)
    let taken = 0
    for (let round = 0; round < rounds * 10; round++) {
      const program = Array.from({ length: 1 + random(6) }, () => ({
        code: random(0xb8),
        jt: random(4),
        jf: random(4),
        k: random(20)
      })).concat(bpfStatement(6, random(2)))
      try {
        const filter = filterFunction(program)
        taken++
        const at = random(frames.length)
        assert.equal(filter(bytes, starts[at], frames[at].length), interpret(program, frames[at]).result, JSON.stringify(program))
      } catch (error) {
        if (!(error instanceof CaptureFilterError)) throw error
      }
    }
    assert.ok(taken > 0)
  })
})
