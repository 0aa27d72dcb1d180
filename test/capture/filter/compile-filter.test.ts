import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bpfStatement } from '../../../src/capture/filter/bpf-instruction.ts'
import { CaptureFilterError } from '../../../src/capture/filter/capture-filter-error.ts'
import { compileFilter } from '../../../src/capture/filter/compile-filter.ts'
import { filterFunction } from '../../../src/capture/filter/filter-function.ts'
import { realFrames } from '../../wire/real-frames.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { EXPRESSIONS, PRIMITIVES, REFUSED } from './filter-corpus.ts'

/** Names of the real frames that a filter takes. */
function taken(text: string): string[] {
  const filter = filterFunction(compileFilter(text))
  return Object.entries(realFrames).flatMap(([name, frame]) => (filter(frame, 0, frame.length) > 0 ? [name] : []))
}

describe('what filters take', () => {
  const everything = Object.keys(realFrames)
  const cases: [filter: string, frames: string[]][] = [
    ['', everything],
    [' \n\t', everything],
    ['arp', ['arpRequest', 'arpReply']],
    ['arp and ether broadcast', ['arpRequest']],
    ['tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn', ['tcpSyn']],
    ['tcp port 80 and not tcp[tcpflags] & tcp-syn != 0', ['tcpData']],
    ['icmp6 and ip6[40] = icmp6-echo', ['echoRequestIpv6']],
    ['icmp[icmptype] = icmp-unreach', ['portUnreachable']],
    ['udp port 4789', ['vxlanEcho']],
    // The inner frame of VXLAN by hand: its EtherType behind the outer headers.
    ['udp port 4789 and ether[62:2] = 0x0800', ['vxlanEcho']]
  ]
  for (const [filter, frames] of cases) test(JSON.stringify(filter), () => assert.deepEqual(taken(filter), frames))

  test('vlan looks behind the tag from there on', () => {
    const plain = realFrames.tcpSyn
    const tagged = Uint8Array.from([...plain.subarray(0, 12), 0x81, 0x00, 0x20, 0x05, ...plain.subarray(12)])
    const takes = (text: string, frame: Uint8Array): boolean => filterFunction(compileFilter(text))(frame, 0, frame.length) > 0
    assert.deepEqual([takes('tcp', tagged), takes('vlan and tcp', tagged), takes('vlan 5 and tcp port 80', tagged)], [false, true, true])
    assert.deepEqual([takes('vlan 6', tagged), takes('vlan', plain), takes('vlan or tcp', plain)], [false, false, false])
  })
})

describe('errors', () => {
  const cases: [filter: string, offset: number, message: RegExp][] = [
    ['tcp and foo', 8, /"foo" stands where the filter needs a primitive: .*portrange/],
    ['host example.net', 5, /names of hosts are not looked up/],
    ['tcp and mpls 5', 8, /'mpls' is understood only where tcpdump is installed/],
    ['port 53 and tcp[13', 18, /the filter ends where the filter needs ']'/],
    ['tcp or "x"', 7, /"\\"" has no meaning/],
    ['net 192.0.2.1/24', 4, /bits outside its mask/],
    ['udp port ssh', 9, /ssh is not one of udp; give its number: 22/],
    ['ip[0] / 0 = 1', 6, /divides by zero/],
    ['host 02:cc:00:00:00:01', 5, /a MAC needs 'ether'/],
    ['ip broadcast', 3, /netmask/],
    ['vlan 4096', 5, /0 to 4095/],
    ['host 1.2.3.400', 5, /no IPv4 address/],
    ['len > 5000000000', 6, /more than 32 bits/],
    ['port 🙂', 5, /"🙂" has no meaning/]
  ]
  for (const [filter, offset, message] of cases) {
    test(filter, () => {
      assert.throws(
        () => compileFilter(filter),
        (error: CaptureFilterError) => {
          assert.ok(error instanceof CaptureFilterError)
          assert.equal(error.code, 'CAPTURE_FILTER')
          assert.equal(error.offset, offset)
          assert.match(error.message, message)
          return true
        }
      )
    })
  }

  test('all that libpcap refuses too', () => {
    for (const filter of REFUSED) assert.throws(() => compileFilter(filter), CaptureFilterError, filter)
  })
})

describe('size', () => {
  test('branches that reach further than 255 instructions go by jumps', () => {
    const filter = filterFunction(compileFilter(`${Array.from({ length: 120 }, (_, i) => `tcp port ${20_000 + i}`).join(' or ')} or arp`))
    assert.ok(filter(realFrames.arpRequest, 0, realFrames.arpRequest.length) > 0)
    assert.equal(filter(realFrames.tcpSyn, 0, realFrames.tcpSyn.length), 0)
  })

  test('a filter that is too long or too deep is refused in words', () => {
    const long = /filter is too long/
    assert.throws(() => compileFilter(`${'port 1 or '.repeat(2000)}port 2`), long)
    assert.throws(() => compileFilter(`${'ip or '.repeat(5000)}ip`), long)
    assert.throws(() => compileFilter('x'.repeat(32_769)), long)
    assert.throws(() => compileFilter(`${'('.repeat(5000)}tcp${')'.repeat(5000)}`), /nested more than 200 deep/)
    assert.throws(() => compileFilter(`${'not '.repeat(5000)}tcp`), /nested more than 200 deep/)
    assert.throws(() => compileFilter(`${'-'.repeat(5000)}1 = 1`), /nested more than 200 deep/)
    assert.throws(() => compileFilter(`${'1 % '.repeat(5000)}1 = 1`), /nested more than 200 deep/)
    assert.throws(() => compileFilter(`${'ip['.repeat(1000)}0${']'.repeat(1000)} = 1`), /nested more than 200 deep/)
    assert.deepEqual(compileFilter('(((1)))=1'), [
      bpfStatement(0, 1),
      { code: 0x15, jt: 0, jf: 1, k: 1 },
      bpfStatement(6, 262_144),
      bpfStatement(6)
    ])
  })
})

test('no text throws anything but CaptureFilterError, and no program it makes is refused', () => {
  const random = seededRandom(8)
  const corpus = [...PRIMITIVES, ...EXPRESSIONS, ...REFUSED]
  const words = [...new Set(corpus.flatMap((filter) => filter.split(/(\W)/)))]
  const some = <T>(list: readonly T[]): T => list[random(list.length)]
  const mutations: ((text: string) => string)[] = [
    (text) => text.slice(0, random(text.length + 1)),
    (text) => text.slice(random(text.length + 1)),
    (text) => text.replace(/\w+/g, (word) => (random(4) === 0 ? some(words) : word)),
    (text) => `${text} ${some(['and', 'or', 'not', '', '<', '+', '%'])} ${some(corpus)}`,
    (text) => `(${text})${some(['', '[', ' = 1', ' or 5'])}`,
    (text) => text.replace(/\d/g, (digit) => (random(3) === 0 ? String(random(1e9)) : digit)),
    (text) => Array.from({ length: 1 + random(8) }, () => some(words)).join(some(['', ' '])) + text,
    (text) => text.replace(/./gu, (character) => (random(12) === 0 ? String.fromCharCode(random(0x3000)) : character))
  ]
  const rounds = process.env.NETLOOM_FUZZ === 'long' ? 500_000 : 6000
  let good = 0
  for (let round = 0; round < rounds; round++) {
    let text = some(corpus)
    for (let i = random(3); i >= 0; i--) text = some(mutations)(text)
    let program: ReturnType<typeof compileFilter>
    try {
      program = compileFilter(text)
    } catch (error) {
      assert.ok(error instanceof CaptureFilterError, `${JSON.stringify(text)}: ${(error as Error).stack}`)
      continue
    }
    good++
    const filter = filterFunction(program)
    for (const frame of [realFrames.tcpData, realFrames.echoRequestIpv6.subarray(0, random(80))]) filter(frame, 0, frame.length)
  }
  assert.ok(good > rounds / 20, `${good} of ${rounds} compiled`)
})
