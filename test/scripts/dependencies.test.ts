import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

describe('docs/dependencies.md', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
  const [runTime = '', development = ''] = readFileSync('docs/dependencies.md', 'utf8').split(/^## /m).slice(1)
  const rows = (section: string) =>
    [...section.matchAll(/^\| (\S+) \| (.+) \|$/gm)].map((row) => row[1]).filter((name) => name !== 'package')

  it('has a line for each dependency, and for nothing else', () => {
    assert.deepEqual(rows(runTime).sort(), Object.keys(manifest.dependencies).sort())
    assert.deepEqual(rows(development).sort(), Object.keys(manifest.devDependencies).sort())
  })
})
