/** Trace files and tables of deviations. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseDistribution } from '../../../src/elements/netem/distribution-file.ts'
import { parseLinkTrace } from '../../../src/elements/netem/link-trace.ts'

describe('trace files', () => {
  test('columns, words, comments and the end', () => {
    const text =
      '# time rate delay loss\n0s 10mbit 40ms 0%\n\n1.5s 2mbit - -   # slow\n4s delay 90ms loss 3%\n6s down\n6.2s up rate 1mbit\nend 10s\n'
    assert.deepEqual(parseLinkTrace(text), {
      points: [
        { atNs: 0, bitsPerSecond: 10e6, delayNs: 40e6, lossProbability: 0 },
        { atNs: 1.5e9, bitsPerSecond: 2e6 },
        { atNs: 4e9, delayNs: 90e6, lossProbability: 0.03 },
        { atNs: 6e9, down: true },
        { atNs: 6.2e9, bitsPerSecond: 1e6, down: false }
      ],
      repeatNs: 10e9
    })
  })

  test('an hour of minutes, written in an editor of Windows', () => {
    const lines = Array.from({ length: 60 }, (_, minute) => `${minute * 60}s ${minute + 1}mbit\r\n`)
    const { points, repeatNs } = parseLinkTrace(`\ufeff${lines.join('')}end 3600s\r\n`)
    assert.deepEqual([points.length, points.at(-1), repeatNs], [60, { atNs: 3540e9, bitsPerSecond: 60e6 }, 3600e9])
  })

  test('a rate of 0 is an outage, which the next rate ends; a link that is down by its word stays so', () => {
    assert.deepEqual(parseLinkTrace('0s 5mbit\n1s 0 20ms\n2s - 30ms\n3s 0kbit\n4s 1mbit\n5s down\n6s 2mbit\n7s up').points, [
      { atNs: 0, bitsPerSecond: 5e6 },
      { atNs: 1e9, delayNs: 20e6, down: true },
      { atNs: 2e9, delayNs: 30e6 },
      { atNs: 3e9, down: true },
      { atNs: 4e9, bitsPerSecond: 1e6, down: false },
      { atNs: 5e9, down: true },
      { atNs: 6e9, bitsPerSecond: 2e6 },
      { atNs: 7e9, down: false }
    ])
    // It begins again while it is out.
    assert.deepEqual(parseLinkTrace('0s 5mbit\n1s rate 0.0mbit\nend 2s').points, [
      { atNs: 0, bitsPerSecond: 5e6, down: false },
      { atNs: 1e9, down: true }
    ])
  })

  for (const [text, message] of [
    ['', /no line with a time/],
    ['0s 0furlongs', /line 1 of the trace: rate: /],
    ['# nothing', /no line with a time/],
    ['0s 10mbit\n1s fast', /line 2 of the trace: rate: 'fast' is no number/],
    ['soon 10mbit', /line 1 of the trace: time: 'soon'/],
    ['0 10mbit\n0.5 5mbit', /line 2 of the trace: time: '0.5' has no unit: 0.5s\?/],
    ['-1s 10mbit', /line 1 of the trace: time: '-1s' is less than no time/],
    ['1s 10mbit\n500ms 5mbit', /line 2 of the trace: 500ms is not later than the line before/],
    ['1s 10mbit\nend 1s', /line 2 of the trace: the end, 1s, is not later than the last line/],
    ['1s 10mbit\nend 2s 3s', /line 2 of the trace: '3s' is one word too many/],
    ['0s 1mbit 5ms 1% 7', /line 1 of the trace: '7' is one word too many/],
    ['0s delay 5ms 1ms', /line 1 of the trace: 'jitterNs' does not change with time/],
    ['0s rate 1mbit limit 5', /'queue' does not change with time/],
    ['0s loss nth 3', /only the share of a random loss/],
    ['0s down up', /down and up at once/],
    ['0s 1mbit\nend 5s\n6s 2mbit', /line 3 of the trace: nothing comes after 'end'/],
    ['0s 1mbit\nend', /line 2 of the trace: time: ''/],
    ['0s - - 200%', /loss.probability 2 must be a number from 0 to 1/],
    ['0s \u0000', /line 1 of the trace/]
  ] as const) {
    test(`refused: ${JSON.stringify(text)}`, () => assert.throws(() => parseLinkTrace(text), { code: 'ERR_LINK_WORDS', message }))
  }
})

describe('tables of deviations', () => {
  test("whole numbers are tc's, of 8,192 to a jitter; others are jitters", () => {
    assert.deepEqual(parseDistribution('# tc\n -8192 0\n4096 16384 # last\n'), [-1, 0, 0.5, 2])
    assert.deepEqual(parseDistribution('-1 0 .5 2e0'), [-1, 0, 0.5, 2])
  })

  for (const [text, message] of [
    ['', /has no numbers/],
    ['1 2\n3 x', /line 2 of the distribution: 'x' is no number/],
    ['1,5', /'1,5' is no number/],
    ['NaN', /'NaN'/]
  ] as const) {
    test(`refused: ${JSON.stringify(text)}`, () => assert.throws(() => parseDistribution(text), { code: 'ERR_LINK_WORDS', message }))
  }
})
