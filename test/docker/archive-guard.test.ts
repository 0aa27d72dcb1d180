import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { guardOverwrites } from '../../src/docker/container/archive-guard.ts'
import { inPieces, type RawEntry, tarball } from '../image/tar-builder.ts'

const KINDS: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  '/in': { folder: true, file: false },
  '/in/folder': { deep: true, leaf: false }
}

/** How the entries fare in /in: what was listed for them, and why they were refused. What passes must be the archive, byte for byte. */
async function guarded(...entries: RawEntry[]): Promise<{ listed: string[]; reason?: string }> {
  const archive = tarball(entries)
  const listed: string[] = []
  const list = async (directory: string): Promise<Map<string, boolean>> => {
    listed.push(directory)
    return new Map(Object.entries(KINDS[directory] ?? {}))
  }
  const passed: Uint8Array[] = []
  try {
    for await (const chunk of guardOverwrites(inPieces(archive), '/in', list)) passed.push(chunk)
  } catch (error) {
    assert.deepEqual(Buffer.concat(passed), archive.subarray(0, Buffer.concat(passed).length))
    return { listed, reason: (error as Error).message.replace('Error processing tar file(exit status 1): cannot overwrite ', '') }
  }
  assert.deepEqual(Buffer.concat(passed), archive)
  return { listed }
}

const folder = (path: string): RawEntry => ({ path, type: '5' })
const file = (path: string): RawEntry => ({ path, body: 'x'.repeat(3000) })

describe('what an upload may replace', () => {
  test('files files, and folders folders', async () => {
    assert.deepEqual(await guarded(folder('./'), file('file'), folder('folder/'), file('folder/leaf')), { listed: ['/in', '/in/folder'] })
  })

  test('no folder a file, no file a folder, at any depth', async () => {
    const cases: [RawEntry, string][] = [
      [file('folder'), 'directory "/in/folder" with non-directory "/in"'],
      [{ path: './folder', type: '2', link: 'file' }, 'directory "/in/folder" with non-directory "/in"'],
      [folder('file/'), 'non-directory "/in/file" with directory "/in"'],
      [file('folder/deep'), 'directory "/in/folder/deep" with non-directory "/in"'],
      [folder('folder/leaf/'), 'non-directory "/in/folder/leaf" with directory "/in"'],
      [{ path: 'short', pax: { path: '../folder' } }, 'directory "/in/folder" with non-directory "/in"']
    ]
    for (const [entry, reason] of cases) assert.equal((await guarded(file('before'), entry)).reason, reason)
  })

  test('what the archive made itself counts, and new folders are not listed', async () => {
    assert.deepEqual(await guarded(folder('new/'), folder('new/sub/'), file('new/sub/file')), { listed: ['/in'] })
    assert.equal((await guarded(folder('new/'), file('new'))).reason, 'directory "/in/new" with non-directory "/in"')
    assert.equal((await guarded(file('made'), folder('made/'))).reason, 'non-directory "/in/made" with directory "/in"')
  })
})
