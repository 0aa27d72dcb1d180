/** The grammar and the bytecode beside libpcap's own: the same filters, the same frames. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, test } from 'node:test'
import { type BpfProgram, bpfStatement, parseBpfProgram } from '../../../src/capture/filter/bpf-instruction.ts'
import { CaptureFilterError } from '../../../src/capture/filter/capture-filter-error.ts'
import { compileFilter } from '../../../src/capture/filter/compile-filter.ts'
import { filterFunction } from '../../../src/capture/filter/filter-function.ts'
import { readCapture } from '../../../src/capture/read-capture.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { missing } from '../judge.ts'
import { interpret } from './bpf-interpreter.ts'
import { EXPRESSIONS, PRIMITIVES, REFUSED } from './filter-corpus.ts'
import { asChunk, asPcap, filterFrames } from './filter-frames.ts'

const frames = filterFrames()
const chunk = asChunk(frames)
const pcap = asPcap(frames)
const skip = missing('tcpdump')
/** tcpdump picks from the file itself for one filter of these: a process for each is what the time goes to. */
const PICK_EVERY = process.env.NETLOOM_FUZZ === 'long' ? 1 : 4
let compared = 0
/** libpcap looks for names of services and protocols in /etc, and knows none where there is nothing. */
const NAMES = /port \(?(domain|ssh|http|ntp|bootps)|proto \\(tcp|udp)/
const hasNames = existsSync('/etc/services') && existsSync('/etc/protocols')

/** Numbers of the frames that a program takes. */
function accepted(program: BpfProgram): number[] {
  const filter = filterFunction(program)
  return frames.flatMap((frame, i) => (filter(chunk.bytes, chunk.starts[i], frame.length) > 0 ? [i] : []))
}

/** What tcpdump says to arguments and frames on its standard input. */
function tcpdump(args: string[], input: Uint8Array = new Uint8Array()): Promise<{ out: Buffer; complaint: string | null }> {
  return new Promise((resolve) => {
    const options = { encoding: 'buffer' as const, maxBuffer: 1 << 26, timeout: 300_000 }
    const child = execFile('tcpdump', args, options, (error, out, err) =>
      resolve({ out, complaint: error === null ? null : err.toString() })
    )
    child.stdin!.on('error', () => {}) // it does not read when it refuses the filter
    child.stdin!.end(input)
  })
}

async function libpcapProgram(filter: string, ...options: string[]): Promise<BpfProgram> {
  const { out, complaint } = await tcpdump([...options, '-ddd', '-y', 'EN10MB', '--', filter])
  if (complaint === null) return parseBpfProgram(out.toString())
  assert.match(complaint, /expression rejects all packets/, filter)
  return [bpfStatement(6, 0)]
}

/** Numbers of the frames that tcpdump itself picks from a file: they carry their number as their time. */
async function picked(filter: string): Promise<number[]> {
  const { out, complaint } = await tcpdump(['-r', '-', '-w', '-', '--', filter], pcap)
  if (complaint?.includes('expression rejects all packets')) return []
  return Array.from(readCapture(new Uint8Array(out)), ({ timestampNs }) => Number(timestampNs / 1_000_000_000n))
}

/**
 * Ours are those of libpcap's program as it was compiled. Its optimizer moves loads and leaves some out, which is seen where a load goes past
 * the end of the frame: there, and only there, what tcpdump does by default may differ.
 */
async function sameFrames(filter: string, isOptimized: boolean): Promise<number> {
  if (NAMES.test(filter) && !hasNames) return 1
  const program = compileFilter(filter)
  const ours = accepted(program)
  assert.deepEqual(ours, accepted(await libpcapProgram(filter, '-O')), `our program and libpcap's take different frames: ${filter}`)
  if (!isOptimized) return ours.length
  const overrun = new Set(frames.flatMap((frame, i) => (interpret(program, frame).overran ? [i] : [])))
  const inside = (taken: readonly number[]): number[] => taken.filter((i) => !overrun.has(i))
  assert.deepEqual(
    inside(ours),
    inside(accepted(await libpcapProgram(filter))),
    `libpcap's optimized program takes other frames: ${filter}`
  )
  if (++compared % PICK_EVERY === 0)
    assert.deepEqual(inside(ours), inside(await picked(filter)), `tcpdump -r picks other frames: ${filter}`)
  return ours.length
}

/** Two at a time: a test is mostly waiting for tcpdump. */
async function compare(filters: readonly string[], isOptimized = true): Promise<Map<string, number>> {
  const taken = new Map<string, number>()
  const waiting = [...filters]
  const work = async (): Promise<void> => {
    for (let filter = waiting.shift(); filter !== undefined; filter = waiting.shift())
      taken.set(filter, await sameFrames(filter, isOptimized))
  }
  await Promise.all([work(), work()])
  return taken
}

describe('filters take the same frames as libpcap', { skip }, () => {
  test('every primitive', async () => {
    const taken = await compare(PRIMITIVES)
    // A corpus that takes nothing shows nothing.
    const idle = [...taken].filter(([, count]) => count === 0).map(([filter]) => filter)
    assert.ok(idle.length < PRIMITIVES.length / 10, `no frame for: ${idle.join('; ')}`)
  })

  test('expressions', async () => {
    await compare(EXPRESSIONS)
  })

  test('primitives joined at random', async () => {
    // Not the optimized ones: libpcap 1.10.3 loses the header length in X between `udp[0:2] = udp[2:2]` and `portrange` (README).
    const random = seededRandom(11)
    const some = (): string => `${random(3) === 0 ? 'not ' : ''}${PRIMITIVES[random(PRIMITIVES.length)]}`
    const join = (): string => (random(2) === 0 ? 'and' : 'or')
    const count = process.env.NETLOOM_FUZZ === 'long' ? 5_000 : 24
    await compare(
      Array.from({ length: count }, () => `(${some()}) ${join()} (${some()}) ${join()} (${some()})`),
      false
    )
  })

  test('what libpcap refuses we refuse', () => {
    for (const filter of REFUSED) {
      const { status } = spawnSync('tcpdump', ['-ddd', '-y', 'EN10MB', '--', filter], { stdio: 'ignore' })
      assert.notEqual(status, 0, `tcpdump takes: ${filter}`)
      assert.throws(() => compileFilter(filter), CaptureFilterError, filter)
    }
  })
})
