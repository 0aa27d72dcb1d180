/**
 * The queue of an emulated link beside the kernel's: a burst of datagrams into tbf and htb on a TAP, and the same frames into a link with
 * the same rate, burst and limit. The rate is so low that time does not matter: what passes at once, what waits, what is dropped.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { parseLinkWords } from '../../src/elements/netem/link-words.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { NetemBench } from '../elements/netem/netem-bench.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** Ethernet, IPv4 and UDP. */
const HEADERS = 42
const DEVICE = 'tap0'

interface Fates {
  /** Lengths of the frames that passed at once. */
  readonly passed: number[]
  readonly dropped: number
  /** Frames that wait, and their bytes. */
  readonly waiting: number
  readonly bytes: number
}

describe('a queue beside the kernel', { skip: namespacesMissing('ip', 'tc', 'sysctl') }, () => {
  const native = tryLoadNative()!
  const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1 })
  let netns: TestNamespace
  let tap: TapDevice

  before(() => {
    netns = new TestNamespace()
    netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
    tap = new TapDevice(pool, native, { ...openTap(native, { netns: netns.fd, name: DEVICE, vnetHeader: false }), mtu: 1500 })
    netns.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', DEVICE)
    netns.run('ip', 'link', 'set', DEVICE, 'up')
    netns.run('ip', 'neighbor', 'add', '192.0.2.2', 'lladdr', '02:cc:00:00:00:02', 'dev', DEVICE)
  })
  after(() => {
    tap.close()
    netns.close()
  })

  /** Frames that the kernel has given to the TAP. */
  function read(): number[] {
    const handles = new Int32Array(128)
    const lengths: number[] = []
    for (let count = tap.read(handles, 128); count > 0; count = tap.read(handles, 128)) {
      for (const handle of handles.subarray(0, count)) {
        lengths.push(pool.length[handle]!)
        pool.free(handle)
      }
    }
    return lengths
  }

  /** Sends datagrams whose frames have these lengths through the queueing discipline. */
  function kernel(setUp: readonly string[], lengths: readonly number[]): Fates {
    for (const command of setUp) netns.run('tc', ...command.split(' '))
    read()
    const sizes = JSON.stringify(lengths.map((length) => length - HEADERS))
    const send = `const socket = require('node:dgram').createSocket('udp4'); let left = ${lengths.length}
      for (const size of ${sizes}) socket.send(Buffer.alloc(size), 9, '192.0.2.2', () => --left || socket.close())`
    netns.run(process.execPath, '-e', send)
    const passed = read()
    const stats = JSON.parse(netns.run('tc', '-s', '-j', 'qdisc', 'show', 'dev', DEVICE)) as {
      kind: string
      drops: number
      qlen: number
      backlog: number
    }[]
    netns.run('tc', 'qdisc', 'del', 'dev', DEVICE, 'root')
    const { drops, qlen, backlog } = stats.at(-1)!
    return { passed, dropped: drops, waiting: qlen, bytes: backlog }
  }

  /** The same frames over an emulated link. */
  function ours(words: string, lengths: readonly number[]): Fates {
    const bench = new NetemBench({ forward: parseLinkWords(words.split(' ')) })
    bench.runTo(3600e9) // the bucket is full
    for (const length of lengths) bench.send(length)
    bench.run()
    const passed = bench.take().map(({ length }) => length)
    const { packets, bytes } = (bench.command('link', 'show') as { forward: { backlog: { packets: number; bytes: number } } }).forward
      .backlog
    const dropped = bench.drops()['netem.queueFull'] ?? 0
    return { passed, dropped, waiting: packets, bytes }
  }

  const EQUAL = new Array<number>(30).fill(1000)
  /** The first that waits is 20 seconds of the rate longer than what is left of the burst: nobody takes so long to look. */
  const MIXED = [1400, 60, 900, 1400, 1300, 700, 1400, 1000, 60, 1200, 800, 400, 300, 1100, 90, 600, 1400, 1400, 200, 1400]

  for (const [title, lengths, burst, limit] of [
    ['equal frames', EQUAL, 5000, 10_000],
    ['mixed frames', MIXED, 4000, 6000]
  ] as const) {
    it(`tbf: ${title}`, (context) => {
      let theirs: Fates
      try {
        theirs = kernel([`qdisc add dev ${DEVICE} root tbf rate 400bit burst ${burst} limit ${limit}`], lengths)
      } catch (error) {
        return skipUnknown(context, error)
      }
      const mine = ours(`rate 400bit burst ${burst}b limit-bytes ${limit}b`, lengths)
      assert.deepEqual(mine.passed, theirs.passed)
      // The frame that is being sent is on the link and in no queue; tbf's waits in the queue for its tokens.
      const onLink = lengths[mine.passed.length]!
      assert.ok(Math.abs(mine.bytes + onLink - theirs.bytes) <= onLink, JSON.stringify({ mine, theirs }))
      if (lengths === EQUAL) assert.deepEqual([mine.waiting, mine.dropped], [theirs.waiting, theirs.dropped - 1])
    })
  }

  it('htb with pfifo: a limit in packets', (context) => {
    const setUp = [
      `qdisc add dev ${DEVICE} root handle 1: htb default 1`,
      `class add dev ${DEVICE} parent 1: classid 1:1 htb rate 400bit burst 5000 cburst 5000`,
      `qdisc add dev ${DEVICE} parent 1:1 pfifo limit 10`
    ]
    let theirs: Fates
    try {
      theirs = kernel(setUp, EQUAL)
    } catch (error) {
      return skipUnknown(context, error)
    }
    const mine = ours('rate 400bit burst 5000b limit 10', EQUAL)
    // htb lends what is left of the bucket: the frame that is on our link has passed.
    assert.deepEqual([mine.passed.length + 1, mine.waiting, mine.dropped], [theirs.passed.length, theirs.waiting, theirs.dropped])
  })
})

/** Only where the kernel was built without the discipline. */
function skipUnknown(context: TestContext, error: unknown): void {
  if (!/kind is unknown/.test((error as Error).message)) throw error
  context.skip((error as Error).message)
}
