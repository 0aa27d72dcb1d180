import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkLinkSettings, type LinkSettings } from '../../../src/elements/netem/link-settings.ts'
import { linkWords, parseLinkWords } from '../../../src/elements/netem/link-words.ts'

const parse = (text: string): LinkSettings => parseLinkWords(text.split(' ').filter((word) => word !== ''))

describe("tc netem's words", () => {
  const CASES: readonly [words: string, settings: LinkSettings][] = [
    ['', {}],
    [
      'delay 50ms 5ms loss 1% rate 10mbit',
      { delay: { meanNs: 50e6, jitterNs: 5e6 }, loss: { model: 'random', probability: 0.01 }, rate: { bitsPerSecond: 10e6 } }
    ],
    ['delay 100ms 10ms 25% distribution normal', { delay: { meanNs: 100e6, jitterNs: 10e6, correlation: 0.25, distribution: 'normal' } }],
    ['loss 0.3% 25%', { loss: { model: 'random', probability: 0.003, correlation: 0.25 } }],
    ['loss gemodel 1% 10% 70% 0.1%', { loss: { model: 'gilbert-elliott', toBad: 0.01, toGood: 0.1, lossInBad: 0.7, lossInGood: 0.001 } }],
    ['loss state 1% 20% 5% 30% 2%', { loss: { model: 'states', p13: 0.01, p31: 0.2, p32: 0.05, p23: 0.3, p14: 0.02 } }],
    [
      'loss nth 3 match protocol tcp dport 80 src 192.0.2.0/24',
      { loss: { model: 'nth', n: 3, match: { protocol: 'tcp', destinationPort: 80, source: '192.0.2.0/24' } } }
    ],
    ['duplicate 1%', { duplicate: { probability: 0.01 } }],
    ['corrupt 0.1% 5%', { corrupt: { probability: 0.001, correlation: 0.05 } }],
    ['delay 10ms reorder 25% 50% gap 5', { delay: { meanNs: 10e6 }, reorder: { probability: 0.25, correlation: 0.5, gap: 5 } }],
    [
      'rate 1gbit 8 48 5 burst 32768b',
      { rate: { bitsPerSecond: 1e9, overheadBytes: 8, cellBytes: 48, cellOverheadBytes: 5, burstBytes: 32_768 } }
    ],
    ['rate 56kbit limit 100 limit-bytes 65536b', { rate: { bitsPerSecond: 56e3 }, queue: { packets: 100, bytes: 65_536 } }],
    [
      'rate 5mbit limit 500 fq_codel target 5ms interval 100ms flows 64 quantum 300b ecn',
      {
        rate: { bitsPerSecond: 5e6 },
        queue: { packets: 500, discipline: 'fq-codel', targetNs: 5e6, intervalNs: 100e6, flows: 64, quantumBytes: 300, ecn: true }
      }
    ],
    ['down mtu 1400 flap 10s 500ms', { down: true, mtu: 1400, flap: { upNs: 10e9, downNs: 500e6 } }]
  ]
  for (const [words, settings] of CASES) {
    test(words === '' ? 'nothing' : words, () => {
      assert.deepEqual(parse(words), settings)
      assert.deepEqual(parse(linkWords(settings)), settings)
    })
  }

  test('other spellings', () => {
    assert.deepEqual(parse('delay 20000 loss random 5'), { delay: { meanNs: 20e6 }, loss: { model: 'random', probability: 0.05 } })
    assert.deepEqual(parse('rate 125kbps burst 2kb'), { rate: { bitsPerSecond: 1e6, burstBytes: 2048 } })
    assert.deepEqual(parse('loss gemodel 2%').loss, { model: 'gilbert-elliott', toBad: 0.02, toGood: 0.98, lossInBad: 1, lossInGood: 0 })
    assert.equal(parse('delay 1.5s').delay?.meanNs, 1.5e9)
    assert.deepEqual(parse('delay +5ms rate 1tibit -14 loss 1e+1%'), {
      delay: { meanNs: 5e6 },
      rate: { bitsPerSecond: 2 ** 40, overheadBytes: -14 },
      loss: { model: 'random', probability: 0.1 }
    })
    assert.deepEqual(parse('loss nth 2 match port 53 match src 192.0.2.1').loss?.match, { port: 53, source: '192.0.2.1' })
  })

  for (const [words, message] of [
    ['dealy 5ms', /'dealy' is no word of a link: delay, loss/],
    ['delay', /after 'delay' something is missing/],
    ['delay 5mm', /delay: '5mm' is no number with one of the units ns/],
    ['loss 101%', /loss.probability 1.01 must be a number from 0 to 1/],
    ['loss -1%', /loss.probability -0.01/],
    ['loss 1% 150%', /loss.correlation 1.5/],
    ['loss 10% -50%', /loss.correlation -0.5 cannot be below -0.1/],
    ['rate 0bit', /rate.bitsPerSecond 0 must be a number from 1/],
    ['rate fast', /rate: 'fast'/],
    ['reorder 25%', /needs a delay/],
    ['delay 5ms 1ms distribution gauss', /distribution 'gauss' is none of uniform, normal, pareto/],
    ['limit 0', /queue.packets 0/],
    ['limit 1.5', /queue.packets 1.5 must be a whole number/],
    ['mtu 20', /mtu 20/],
    ['match port 80', /there is no 'loss'/],
    ['loss 1% match protocol foo', /protocol 'foo' is unknown/],
    ['loss 1% match src 300.1.1.1', /'300.1.1.1' is no address/],
    ['loss 1% match port 70000', /port 70000/],
    ['delay 100000s', /delay.meanNs/],
    ['delay -5ms', /delay: '-5ms' is less than no time/],
    ['delay 1e999s', /delay: '1e999s' is no number/],
    ['delay 10ms distribution normal', /distribution 'normal' is one of jitters, and there is none/],
    ['loss 1% delay 5ms loss 2%', /'loss' comes when 'loss' was said already/],
    ['rate 1mbit codel fq_codel', /'fq_codel' comes when 'codel' was said already/],
    ['loss 1% match', /after 'match' something is missing/],
    ['loss 1% match dport', /after 'dport' something is missing/],
    ['flap 1s', /after 'flap' something is missing/],
    ['flap 1s 0', /flap.downNs 0/],
    ['limit 5kb', /limit: '5kb' is no number$/],
    ['loss state 60% 1% 1% 1% 60%', /p13 and p14 together/]
  ] as const) {
    test(`refused: ${words}`, () => assert.throws(() => parse(words), { message }))
  }

  test('refused: settings that are no settings', () => {
    for (const [settings, message] of [
      [null, /must be an object/],
      [{ dealy: 1 }, /settings "dealy" is no setting of a link/],
      [{ delay: { meanNs: Number.NaN } }, /delay.meanNs NaN must be a number/],
      [{ delay: { meanNs: '5' } }, /delay.meanNs "5"/],
      [{ delay: { meanNs: 5, distribution: { table: [] } } }, /must have 1 to 65536 numbers/],
      [{ loss: { model: 'bad' } }, /loss.model "bad"/],
      [{ queue: { discipline: 'red' } }, /queue.discipline "red"/],
      [{ schedule: { points: [] } }, /must be a list of points/],
      [{ schedule: { points: [{ atNs: 5 }, { atNs: 5 }] } }, /must be later than the point before/],
      [{ schedule: { points: [{ atNs: 5 }], repeatNs: 5 } }, /must be later than the last point/]
    ] as const) {
      assert.throws(() => checkLinkSettings(settings as LinkSettings), { code: 'ERR_LINK_SETTINGS', message })
    }
  })
})
