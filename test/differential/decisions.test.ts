/** What is excused, and above all what is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DECISIONS } from './decisions.ts'
import type { Step } from './stream.ts'

const STEP = { from: 'inside', body: { kind: 'udp' } } as unknown as Step
const LINE = 'up: 203.0.113.1 > 198.18.0.1 length 48, tos 0 id 7 ttl 63, udp 40001 > 53 checksum ok'

test('another source port is a difference, and so is another class of it', () => {
  const excusing = (left: string, right: string): string[] =>
    DECISIONS.filter(({ isThis }) => isThis({ step: STEP, left: [left], right: [right], notes: [] })).map(({ name }) => name)
  assert.deepEqual(excusing(LINE, LINE.replace('40001', 'port1')), [])
  assert.deepEqual(excusing(LINE.replace('40001', 'port1 below 512'), LINE.replace('40001', 'port1')), [])
})
