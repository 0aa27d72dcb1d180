import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withSection } from '../../bench/readme-section.ts'

describe('a suite in bench/README.md', () => {
  test('is added at the end, then replaced where it stands', () => {
    const first = withSection('# bench\n', 'micro', 'old $& table')
    const second = withSection(first, 'system', 'other')
    const third = withSection(second, 'micro', 'new')
    assert.match(first, /^# bench\n\n<!-- micro.*-->\n\nold \$& table\n\n<!-- end of micro -->\n$/)
    assert.equal(third, second.replace('old $& table', 'new'))
    assert.ok(third.indexOf('new') < third.indexOf('other'))
  })

  test('without its end is an error, not a lost file', () => {
    assert.throws(() => withSection(withSection('', 'micro', 'x').replace('end of', 'END'), 'micro', 'y'), /end of micro/)
  })
})
