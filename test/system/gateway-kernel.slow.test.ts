// Linux's connection tracking and NAT beside another gateway: the same generated streams, compared by meaning. NETLOOM_FUZZ=long: a
// hundred times as many. NETLOOM_DIFF_SEED=n: the same streams again; NETLOOM_DIFF_SHOWN=n: how many differences are shown.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { freshSeed } from '../../src/engine/random.ts'
import { addTally, compareStreams, type Difference, type Tally } from '../differential/compare.ts'
import type { Gateway } from '../differential/gateway.ts'
import { generateIpv6 } from '../differential/generate-ipv6.ts'
import { generateSuperFrames } from '../differential/generate-super-frames.ts'
import { TranslatedGateway } from '../differential/ipv6-translation.ts'
import { KernelGateway } from '../differential/kernel-gateway.ts'
import type { KernelOptions } from '../differential/kernel-rules.ts'
import { OurGateway } from '../differential/our-gateway.ts'
import { namespacesMissing } from './test-namespace.ts'

const isLong = process.env.NETLOOM_FUZZ === 'long'
/** The normal run is the same always: a difference in it is news. The long one looks for what nobody has seen. */
const seed = Number(process.env.NETLOOM_DIFF_SEED ?? (isLong ? freshSeed() : 4))
/** Streams that one pair of gateways plays: fragments without a rest do not pile up. */
const PAIR = 2000
/** Every how many streams the tables of flows are compared: reading the kernel's costs milliseconds. */
const FLOWS = isLong ? 25 : 4
/** Differences that are shown before a run ends. */
const SHOWN = Number(process.env.NETLOOM_DIFF_SHOWN ?? 3)

/** Compares streams [first, first + count), in fresh gateways from time to time. */
function run(context: TestContext, make: () => [Gateway, Gateway], first: number, count: number): Difference[] {
  const differences: Difference[] = []
  const total: Tally = { streams: 0, steps: 0, frames: 0, withChoice: 0, flows: 0, decided: {} }
  const shown = (): number => differences.filter(({ persists }) => persists).length
  for (let from = first; from < first + count && shown() < SHOWN; from += PAIR) {
    const [one, other] = make()
    try {
      const part = compareStreams(
        { one, other },
        { seed, first: from, count: Math.min(PAIR, first + count - from), limit: SHOWN, flowsEvery: FLOWS }
      )
      differences.push(...part.differences)
      addTally(total, part.tally)
    } finally {
      one.close()
      other.close()
    }
  }
  context.diagnostic(`NETLOOM_DIFF_SEED=${seed} repeats this run: ${JSON.stringify(total)}`)
  return differences
}

/**
 * The differences that are there again when a stream is played again. The others are chance, and rare: a port chosen at random
 * that means something in this world, as a published port does.
 */
function textOf(differences: readonly Difference[], streams: number): string {
  const persisting = differences.filter(({ persists }) => persists)
  const chance = differences.length - persisting.length
  const shown = chance > 2 + streams / 1000 ? differences : persisting
  return shown.map(({ text }) => text).join('\n\n')
}

const linux = (options: KernelOptions = {}): KernelGateway => new KernelGateway('linux', options)

describe('our gateway beside Linux', { skip: namespacesMissing('ip', 'nft') }, () => {
  const streams = isLong ? 100_000 : 1000
  test(`${streams} streams: no difference but those that are decided`, (context) => {
    assert.equal(
      textOf(
        run(context, () => [linux(), new OurGateway()], 0, streams),
        streams
      ),
      ''
    )
  })

  test(`${isLong ? 5000 : 150} streams with super-frames`, () => {
    const [one, other] = [linux({ hasOffloads: true }), new OurGateway()]
    const count = isLong ? 5000 : 150
    const { differences, tally } = compareStreams(
      { one, other },
      { seed, first: 0, count, flowsEvery: FLOWS, generate: generateSuperFrames }
    )
    one.close()
    other.close()
    assert.equal(textOf(differences, count), '')
    assert.ok(tally.frames > count * 5)
  })

  test(`${isLong ? 10_000 : 200} streams in IPv6`, () => {
    const pair = [linux({ family: 6 }), new OurGateway({}, 6)].map((gateway) => new TranslatedGateway(gateway))
    const count = isLong ? 10_000 : 200
    const { differences, tally } = compareStreams(
      { one: pair[0], other: pair[1] },
      { seed, first: 0, count, flowsEvery: FLOWS, generate: generateIpv6 }
    )
    for (const gateway of pair) gateway.close()
    assert.equal(textOf(differences, count), '')
    assert.ok(tally.frames > count * 3)
  })

  /** Found by the long mode. */
  const found: readonly (readonly [seed: number, stream: number])[] = [
    [77, 78970],
    [90_001, 14_037],
    [90_001, 47_950],
    [90_001, 60_850],
    [1000, 573],
    [1004, 743]
  ]
  test('streams that once made a difference', () => {
    const [one, other] = [linux(), new OurGateway()]
    const differences = found.flatMap(([seed, first]) => compareStreams({ one, other }, { seed, first, count: 1 }).differences)
    one.close()
    other.close()
    assert.equal(textOf(differences, 0), '')
  })

  test('a gateway that does otherwise is noticed', () => {
    const [one, other] = [linux(), new OurGateway({ tcpLoose: false })]
    const { differences } = compareStreams({ one, other }, { seed, first: 0, count: 1000 })
    one.close()
    other.close()
    assert.ok(
      differences.some(({ persists }) => persists),
      differences[0]?.text
    )
  })
})

describe('the harness', { skip: namespacesMissing('ip', 'nft') }, () => {
  test('Linux beside Linux: no difference', (context) => {
    const streams = isLong ? 20_000 : 200
    assert.equal(
      textOf(
        run(context, () => [linux(), linux()], 0, streams),
        streams
      ),
      ''
    )
  })

  const changes: Readonly<Record<string, KernelOptions>> = {
    'a network without masquerade': { rules: (text) => text.replace('iifname { "a","b" } oifname', 'iifname { "b" } oifname') },
    'networks that are not isolated': { rules: (text) => text.replace('policy drop', 'policy accept') },
    'other source ports': { rules: (text) => text.replaceAll(/\bmasquerade\b/g, 'masquerade fully-random') },
    'published ports without hairpin': { rules: (text) => text.replace('ct status dnat masquerade', 'ct status dnat accept') },
    'invalid packets let through': { rules: (text) => text.replace('ct state invalid drop', 'ct state invalid accept') },
    'connections not taken over in mid-stream': { sysctls: { 'netfilter/nf_conntrack_tcp_loose': '0' } },
    'windows not judged': { sysctls: { 'netfilter/nf_conntrack_tcp_be_liberal': '1' } },
    'another TTL in its own packets': { sysctls: { 'ipv4/ip_default_ttl': '63' } },
    'sources not validated': { sysctls: { 'ipv4/conf/all/rp_filter': '0' } }
  }
  for (const [name, options] of Object.entries(changes)) {
    test(`is seen: ${name}`, () => {
      const [one, other] = [linux(), new KernelGateway('changed linux', options)]
      const { differences } = compareStreams({ one, other }, { seed, first: 0, count: 1000 })
      one.close()
      other.close()
      const persisting = differences.filter(({ persists }) => persists)
      assert.equal(persisting.length, 1, differences.map(({ text }) => text).join('\n\n'))
    })
  }
})
