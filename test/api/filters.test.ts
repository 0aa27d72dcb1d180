// Texts and results as a dockerd 20.10 gave them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'

const of = (value: unknown): Filters => Filters.parse(JSON.stringify(value))

test('both forms, and none', () => {
  for (const text of [null, '', '{}', 'null', '{"name":null}', '{"name":[]}']) {
    const filters = Filters.parse(text)
    assert.deepEqual(filters.get('name'), [])
    assert.ok(filters.match('name', 'anything') && filters.matchExactly('name', 'anything') && filters.matchLabels(null, 'name'))
  }
  assert.deepEqual(of({ name: ['a', 'b'] }).get('name'), ['a', 'b'])
  assert.deepEqual(of({ name: { a: true, b: true } }).get('name'), ['a', 'b'])
})

const REFUSED: readonly [text: string, message: string][] = [
  ['x', "invalid character 'x' looking for beginning of value"],
  ['[]', 'json: cannot unmarshal array into Go value of type map[string]map[string]bool'],
  ['{"name":"a"}', 'json: cannot unmarshal string into Go value of type map[string]bool'],
  ['{"name":[1]}', 'json: cannot unmarshal array into Go value of type map[string]bool']
]
for (const [text, message] of REFUSED) {
  test(`refuses ${text}`, () => assert.throws(() => Filters.parse(text), { status: 500, message }))
}

test('names that a route does not know', () => {
  of({ name: ['a'] }).check(['name', 'id'])
  assert.throws(() => of({ bogus: ['a'] }).check(['name']), { status: 400, message: "Invalid filter 'bogus'" })
})

test('exactly, by regular expression, by beginning', () => {
  const filters = of({ name: ['front', '^b.ck$', '('] })
  assert.equal(filters.matchExactly('name', 'front'), true)
  assert.equal(filters.matchExactly('name', 'front2'), false)
  assert.equal(of({ name: { front: false } }).matchExactly('name', 'front'), false)
  assert.equal(filters.match('name', 'a-front-b'), true)
  assert.equal(filters.match('name', 'back'), true)
  assert.equal(filters.match('name', 'backs'), false)
  assert.equal(filters.match('name', '('), true)
  assert.equal(filters.matchStart('name', 'frontier'), true)
  assert.equal(filters.matchStart('name', 'a-front'), false)
})

test('a pattern that takes JavaScript for ever is answered', () => {
  assert.equal(of({ id: ['([0-9a-f]+)+x'] }).match('id', '0123456789abcdef'.repeat(4)), false)
  assert.equal(of({ name: ['(?i)^FRONT$', '[[:digit:]]{2}'] }).match('name', 'front'), true)
})

test('labels: every value must hold', () => {
  const labels = { stage: 'test', empty: '' }
  assert.equal(of({ label: ['stage'] }).matchLabels(labels), true)
  assert.equal(of({ label: ['stage=test', 'empty'] }).matchLabels(labels), true)
  assert.equal(of({ label: ['stage=test', 'other'] }).matchLabels(labels), false)
  assert.equal(of({ label: ['stage=prod'] }).matchLabels(labels), false)
  assert.equal(of({ label: ['empty='] }).matchLabels(labels), true)
  assert.equal(of({ label: ['stage'] }).matchLabels(null), false)
  assert.equal(of({ label: ['toString'] }).matchLabels(labels), false)
})

test('true or false', () => {
  assert.equal(of({}).boolean('dangling'), undefined)
  for (const text of ['1', 'true']) assert.equal(of({ dangling: [text] }).boolean('dangling'), true)
  for (const text of ['0', 'false']) assert.equal(of({ dangling: [text] }).boolean('dangling'), false)
  const message = `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`
  for (const values of [['zz'], ['1', '0']]) assert.throws(() => of({ dangling: values }).boolean('dangling'), { status: 400, message })
})
