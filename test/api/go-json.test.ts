// Texts of Go's encoding/json as a dockerd 20.10 gave them for the same bodies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GoJsonError, parseGoJson } from '../../src/api/go-json.ts'

const REFUSED: readonly [text: string, message: string][] = [
  ['', 'EOF'],
  [' \n', 'EOF'],
  ['{', 'unexpected EOF'],
  ['{"Name":"x"', 'unexpected EOF'],
  ['{"Name"', 'unexpected EOF'],
  ['"abc', 'unexpected EOF'],
  ['{Name:1}', "invalid character 'N' looking for beginning of object key string"],
  ['{"Name":"x",}', "invalid character '}' looking for beginning of object key string"],
  ['{"Name":"\\q"}', "invalid character 'q' in string escape code"],
  ['{"Name":"x" "y"}', "invalid character '\"' after object key:value pair"],
  ['{"Name" 1}', "invalid character '1' after object key"],
  ['{"Name":"x\\u00zz"}', "invalid character 'z' in \\u hexadecimal character escape"],
  ['{"Labels":{"a":null},"Name":tru}', "invalid character '}' in literal true (expecting 'e')"],
  ['{"x":nul}', "invalid character '}' in literal null (expecting 'l')"],
  ['[fals3]', "invalid character '3' in literal false (expecting 'e')"],
  ['{"a":-}', "invalid character '}' in numeric literal"],
  ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
  ['{"a":1e}', "invalid character '}' in exponent of numeric literal"],
  ['{"Name":"a\nb"}', "invalid character '\\n' in string literal"],
  ['{"Name":"a\0b"}', "invalid character '\\x00' in string literal"],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['x', "invalid character 'x' looking for beginning of value"],
  ["'x'", "invalid character '\\'' looking for beginning of value"],
  ['[[1],[2}', "invalid character '}' after array element"]
]

for (const [text, message] of REFUSED) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseGoJson(text), { name: 'GoJsonError', message })
  })
}

test('only no value at all is empty', () => {
  for (const [text, message] of REFUSED) {
    try {
      parseGoJson(text)
      assert.fail(text)
    } catch (error) {
      assert.equal((error as GoJsonError).isEmpty, message === 'EOF')
    }
  }
})

test('reads the first value and leaves what follows', () => {
  assert.deepEqual(parseGoJson('{"Name":"f"} xx'), { Name: 'f' })
  assert.deepEqual(parseGoJson('[] {}'), [])
  assert.deepEqual(parseGoJson('[{}, [], {"a": [0.5e-3, "\\u00e4"]}] ]'), [{}, [], { a: [0.0005, 'ä'] }])
  assert.equal(parseGoJson('01'), 0)
  assert.equal(parseGoJson(' null,'), null)
})

test('a million brackets end in an error, not in the end of the stack', () => {
  assert.throws(() => parseGoJson('['.repeat(1_000_000)), { message: 'unexpected EOF' })
  assert.throws(() => parseGoJson('{"a":'.repeat(200_000)), { message: 'unexpected EOF' })
})

test('agrees with JSON.parse on what is good, at every cut of a text', () => {
  const whole = JSON.stringify({ a: [1, -2.5e10, { b: 'x\\"\u00e4', c: null }], d: { e: [[], {}], f: true }, g: false })
  assert.deepEqual(parseGoJson(`${whole} trailing`), JSON.parse(whole))
  for (let end = 1; end < whole.length; end++) assert.throws(() => parseGoJson(whole.slice(0, end)), { message: 'unexpected EOF' })
})
