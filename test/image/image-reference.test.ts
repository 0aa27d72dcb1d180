import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { familiarText, parseReference } from '../../src/image/image-reference.ts'

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`

/** What Docker prints for each of these. */
const FAMILIAR: Readonly<Record<string, string>> = {
  busybox: 'busybox:latest',
  'busybox:1.36': 'busybox:1.36',
  'library/busybox': 'busybox:latest',
  'docker.io/busybox': 'busybox:latest',
  'docker.io/library/busybox': 'busybox:latest',
  'index.docker.io/library/busybox': 'busybox:latest',
  'team/app': 'team/app:latest',
  'docker.io/team/app:x': 'team/app:x',
  'localhost/app': 'localhost/app:latest',
  'localhost:5000/app:1': 'localhost:5000/app:1',
  'registry.example/a/b/c:T_1.0-x': 'registry.example/a/b/c:T_1.0-x',
  'a__b--c.d': 'a__b--c.d:latest',
  [`busybox@${DIGEST}`]: `busybox@${DIGEST}`,
  [`busybox:1@${DIGEST}`]: `busybox:1@${DIGEST}`,
  'library/team/app': 'library/team/app:latest'
}

const REFUSED: Readonly<Record<string, string>> = {
  '': 'invalid reference format',
  Busybox: 'invalid reference format: repository name must be lowercase',
  'team/App': 'invalid reference format: repository name must be lowercase',
  'a b': 'invalid reference format',
  'a:': 'invalid reference format',
  ':tag': 'invalid reference format',
  '-a': 'invalid reference format',
  'a//b': 'invalid reference format',
  '../etc/passwd': 'invalid reference format',
  'a/../b': 'invalid reference format',
  'a@sha256:12': 'invalid reference format',
  [`a:${'t'.repeat(129)}`]: 'invalid reference format',
  ['a'.repeat(300)]: 'repository name must not be more than 255 characters',
  ['0123456789abcdef'.repeat(4)]: `invalid repository name (${'0123456789abcdef'.repeat(4)}), cannot specify 64-byte hexadecimal strings`
}

describe('image reference', () => {
  for (const [text, familiar] of Object.entries(FAMILIAR)) {
    it(`${text} is ${familiar}`, () => assert.equal(familiarText(parseReference(text)), familiar))
  }
  for (const [text, message] of Object.entries(REFUSED)) {
    it(`refuses ${text.slice(0, 40)}`, () => assert.throws(() => parseReference(text), { code: 'invalid', message }))
  }
  it('a long text that is almost a reference is judged at once', () => {
    assert.throws(() => parseReference(`${'a-'.repeat(50_000)}!`), { code: 'invalid' })
  })
})
