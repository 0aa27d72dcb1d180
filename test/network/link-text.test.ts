/** What people write of links, as settings. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkLinkLabels, endpointLink, linkOptions, linkShapeOf, networkLink } from '../../src/docker/network/link-options.ts'
import { linkWords } from '../../src/elements/netem/link-words.ts'
import { changedLink } from '../../src/network/link-shape.ts'
import { readLinkText } from '../../src/network/link-text.ts'

const DELAY = { delay: { meanNs: 5e6 } }

describe('links in texts', () => {
  test('words, a schedule and a table together', () => {
    assert.equal(readLinkText({}), null)
    assert.equal(readLinkText({ words: ' ' }), null)
    assert.deepEqual(readLinkText({ words: 'delay 5ms' }), DELAY)
    assert.deepEqual(readLinkText({ words: ['delay', '5ms', '1ms'], trace: '0s down', distribution: '-1.5 1.5' }), {
      delay: { meanNs: 5e6, jitterNs: 1e6, distribution: { table: [-1.5, 1.5] } },
      schedule: { points: [{ atNs: 0, down: true }] }
    })
  })

  for (const [text, message] of [
    [{ words: 'delay 5ms', distribution: '1 2' }, /needs a delay and a jitter/],
    [{ words: 'delay 5ms 1ms distribution normal', distribution: '1 2' }, /name the distribution 'normal' already/],
    [{ words: 'delay 5ms 1ms', distribution: '40.0' }, /delay.distribution.table 40 must be a number from -32 to 32/],
    [{ words: "loss 1% filter 'udp" }, /has a ' without its end/],
    [{ words: 'loss gemodel 1%', trace: '0s loss 1%' }, /cannot follow a schedule/]
  ] as const) {
    test(`refused: ${JSON.stringify(text)}`, () => assert.throws(() => readLinkText(text), { code: 'invalid', message }))
  }

  test('a filter is translated, and stands in quotes', () => {
    const settings = readLinkText({ words: "loss 10% filter 'udp port 53' delay 5ms" })!
    assert.equal(settings.loss!.match!.filter!.text, 'udp port 53')
    const { program } = settings.loss!.match!.filter!
    assert.ok(program!.length > 3)
    assert.equal(linkWords(settings), "delay 5ms loss 10% filter 'udp port 53'")
    assert.throws(() => readLinkText({ words: "loss 1% filter 'udp prt 53'" }), { code: 'invalid', message: /prt/ })
    assert.throws(() => readLinkText({ words: "filter 'udp'" }), { code: 'invalid', message: /there is no 'loss'/ })
  })

  test('down and up leave what else is set', () => {
    const down = changedLink({ out: DELAY }, { down: { out: true, in: true } })
    assert.deepEqual(down, { out: { ...DELAY, down: true }, in: { down: true } })
    assert.deepEqual(changedLink(down, { down: { out: false, in: false } }), { out: DELAY })
    assert.deepEqual(changedLink(down, { down: { in: false } }), { out: { ...DELAY, down: true } })
  })
})

describe('options and labels', () => {
  test('an option for one direction goes before that for both', () => {
    assert.equal(linkShapeOf({ other: 'x' }), undefined)
    assert.deepEqual(linkShapeOf({ 'netloom.link': 'delay 5ms', 'netloom.link.in': 'loss 1%' }), {
      out: DELAY,
      in: { loss: { model: 'random', probability: 0.01 } }
    })
    assert.deepEqual(linkShapeOf({ 'netloom.link.trace.out': '0s delay 1ms' }), {
      out: { schedule: { points: [{ atNs: 0, delayNs: 1e6 }] } }
    })
    assert.deepEqual(linkShapeOf({ 'netloom.link': '' }), { out: {}, in: {} })
  })

  test("an endpoint's options, its container's labels for the network, its labels for all", () => {
    const labels = { 'netloom.link': 'delay 5ms', 'netloom.link.front.out': 'mtu 1000' }
    assert.deepEqual(endpointLink({ 'netloom.link.out': 'mtu 900' }, labels, 'front'), { out: { mtu: 900 } })
    assert.deepEqual(endpointLink(null, labels, 'front'), { out: { mtu: 1000 } })
    assert.deepEqual(endpointLink(null, labels, 'back'), { out: DELAY, in: DELAY })
    assert.equal(endpointLink(null, { a: 'b' }, 'back'), undefined)
    assert.deepEqual(networkLink({ options: {}, labels: { 'netloom.link': 'delay 5ms' } }), { out: DELAY, in: DELAY })
    assert.deepEqual(networkLink({ options: { 'netloom.link.in': 'mtu 900' }, labels }), { in: { mtu: 900 } })
  })

  test('labels that cannot be are told when the container is made', () => {
    checkLinkLabels({ 'netloom.link.front': 'delay 5ms', 'netloom.links': 'what?', 'netloom.link.front.trace.in': '0s up' })
    assert.throws(() => checkLinkLabels({ 'netloom.link.front.out': 'dealy 5ms' }), {
      status: 400,
      message: /label netloom.link.front.out: 'dealy' is no word of a link/
    })
    assert.throws(() => checkLinkLabels({ 'netloom.link.trace': '0s x' }), { status: 400, message: /line 1 of the trace/ })
  })

  test('what a lab file says, as options', () => {
    const text = { words: 'delay 5ms', trace: '0s up' }
    assert.deepEqual(linkOptions(text, text), { 'netloom.link': 'delay 5ms', 'netloom.link.trace': '0s up' })
    assert.deepEqual(linkOptions(undefined, text), { 'netloom.link.in': 'delay 5ms', 'netloom.link.trace.in': '0s up' })
    assert.deepEqual(linkShapeOf(linkOptions({ words: 'mtu 900' }, { words: 'delay 5ms' })), { out: { mtu: 900 }, in: DELAY })
  })
})
