import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'

const FOUND: readonly [pattern: string, found: readonly string[], not: readonly string[]][] = [
  ['', ['', 'a'], []],
  ['front', ['front', 'a-front-b'], ['fron', 'Front']],
  ['^b.ck$', ['back', 'b😀ck'], ['backs', 'a back', 'b\nck']],
  ['a|b|', ['', 'c'], []],
  ['^(a|bc)+$', ['a', 'bca'], ['', 'b', 'ac']],
  ['^a?b*c+d{2}$', ['cdd', 'abbccdd'], ['dd', 'acd', 'acddd']],
  ['^a{2,3}$', ['aa', 'aaa'], ['a', 'aaaa']],
  ['^a{2,}?$', ['aa', 'aaaaa'], ['a']],
  ['a{,2}', ['a{,2}'], ['aa']],
  ['^[^]a-c-]$', ['d', '^'], [']', 'b', '-']],
  ['^[a\\-\\]\\d]+$', ['a-]7'], ['b']],
  ['^[[:alpha:]_[:^ascii:]]+$', ['a_Zé'], ['1']],
  ['^\\w\\W\\s\\S\\d\\D$', ['a- b1x'], ['a- b1', 'aa b1x']],
  ['\\bweb\\b', ['a web b', 'web'], ['webs', 'a_web']],
  ['\\Bb', ['ab'], ['b', 'a b']],
  ['(?i)WeB[a-c]', ['weBB', 'webc'], ['webd']],
  ['a(?i:b)c', ['aBc'], ['aBC']],
  ['(?i)^[^a]$', ['b'], ['a', 'A']],
  ['(?i)a(?-i)b', ['Ab'], ['AB']],
  ['(?m)^b$', ['a\nb\nc'], ['ab']],
  ['(?s)a.b', ['a\nb'], ['ab']],
  ['\\Aa\\z', ['a'], ['a\n']],
  ['^\\x41\\x{1F600}\\101\\t\\.$', ['A😀A\t.'], ['A😀A\tx']],
  ['^\\Qa.b|\\E+$', ['a.b|||'], ['axb|']],
  ['^\\pL\\p{Greek}\\P{Lu}\\p{^Nd}$', ['aαbx'], ['aabx', 'aαBx', 'aαb1']],
  ['^(?P<name>a)(?<other>b)$', ['ab'], ['a']],
  ['(a*)*$', ['', 'aaa', 'b'], []],
  ['^(a?){20}a{20}$', ['a'.repeat(20), 'a'.repeat(40)], ['a'.repeat(19), 'a'.repeat(41)]],
  ['^[0-9a-f]{64}$', ['0123456789abcdef'.repeat(4)], ['0'.repeat(63), '0'.repeat(65)]],
  ['}', ['}'], []]
]

const REFUSED = [
  '(',
  ')',
  'a)',
  '[',
  '[a',
  '[b-a]',
  '[[:nosuch:]]',
  '*',
  'a**',
  'a+{2}',
  '+a',
  '\\',
  '\\y',
  '\\1',
  '(?=a)',
  '(?<!a)',
  '(?z)'
]
const TOO_LARGE = [
  'a{1001}',
  'a{2,1}',
  '(a{1000}){1000}',
  '(){1000}{1000}',
  '((){1000}){1000}',
  '('.repeat(5000) + ')'.repeat(5000),
  'a'.repeat(5000)
]

/** Whether a list filtered by the pattern shows what has that name. */
function finds(pattern: string, text: string): boolean {
  return new Filters(new Map([['name', new Map([[pattern, true]])]])).match('name', text)
}

describe("Go's regular expressions, as filters", () => {
  for (const [pattern, found, not] of FOUND) {
    test(pattern, () => {
      for (const text of found) assert.equal(finds(pattern, text), true, text)
      for (const text of not) assert.equal(finds(pattern, text), false, text)
    })
  }

  // The same text is found however it is written: what is asked is another one.
  for (const pattern of [...REFUSED, ...TOO_LARGE]) {
    test(`refused, and finds nothing: ${pattern.slice(0, 40)}`, () => {
      for (const text of ['', 'a', 'ab', 'a'.repeat(6000)]) assert.equal(finds(pattern, text), text === pattern, text)
    })
  }

  // Backtracking would go on until the end of days: this test ends.
  for (const pattern of [
    '([0-9a-f]+)+x',
    '(a|aa)+x',
    '(a*)*x',
    'a*a*a*a*a*a*a*a*a*a*a*a*x',
    '(.*)(.*)(.*)(.*)(.*)x',
    '^(a?){500}a{500}$'
  ]) {
    test(`in linear time: ${pattern}`, () => assert.equal(finds(pattern, 'a'.repeat(255)), false))
  }
})
