import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { decompress } from '../../src/image/decompress.ts'
import { extractLayer } from '../../src/image/layer-extractor.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { inPieces, tarball } from './tar-builder.ts'

const isRoot = process.geteuid?.() === 0
const native = tryLoadNative()
const noNative = native === null ? 'the addon is not built' : false

/** A tree with every kind of thing that an image has. */
const MAKE_TREE = `
  mkdir -p bin etc/empty var/spool; echo '#!/bin/sh' > bin/run; chmod 4755 bin/run; ln bin/run bin/again; ln -s run bin/link; ln -s /nowhere etc/dangling
  head -c 300000 /dev/zero | tr '\\0' z > etc/large; : > etc/none; chmod 1777 var/spool; mkfifo etc/pipe
  long=$(printf 'n%.0s' $(seq 1 200)); echo long > "etc/$long"; echo ü > 'etc/größe mit blanks'
  touch -h -d '2001-02-03 04:05:06.5 UTC' bin/run bin/link etc/large etc/empty var/spool etc bin var .
`
const LIST = "find . -printf '%P %y %m %s %l %T@ %n %U:%G\\n' | sed 's/ d \\([0-7]*\\) [0-9]*/ d \\1/' | sort"

describe('layer extractor', () => {
  let outer: string
  let source: string
  let folder: string
  const shell = (cwd: string, script: string): string => execFileSync('sh', ['-ec', script], { cwd, encoding: 'utf8' })

  beforeEach(() => {
    outer = mkdtempSync(path.join(tmpdir(), 'netloom-extract-'))
    source = path.join(outer, 'source')
    folder = path.join(outer, 'folder')
    mkdirSync(source)
    mkdirSync(folder)
  })
  afterEach(() => rmSync(outer, { recursive: true, force: true }))

  for (const format of ['gnu', 'pax', 'posix']) {
    it(`gives back what tar --format=${format} packed: kinds, modes, owners, sizes, times, links`, { skip: noNative }, async () => {
      shell(source, MAKE_TREE)
      if (isRoot) shell(source, 'chown 1234:567 etc/large; chown -h 7:8 bin/link; chown 9 var; touch -h -d @1000000000 bin/link')
      const { size } = await extractLayer(inPieces(execFileSync('tar', ['-C', source, `--format=${format}`, '-c', '.']), 3000), folder)
      // GNU headers keep whole seconds.
      const list =
        format === 'gnu' ? LIST.replace('| sort', "| sed 's/\\.[0-9]*\\( [0-9]* [0-9:]*\\)$/\\1/' | sort") : LIST.replace('%T@', '%Ts')
      assert.equal(shell(folder, list), shell(source, list))
      assert.equal(size, 300000 + 10 + 5 + 3)
      assert.equal(readFileSync(path.join(folder, 'etc/large'), 'utf8'), 'z'.repeat(300000))
    })
  }

  it('keeps capabilities and user attributes', { skip: noNative || (isRoot ? false : 'not root') }, async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('latin1')
    const pax = {
      'SCHILY.xattr.user.note': 'two\nlines',
      'SCHILY.xattr.security.capability': capability,
      'SCHILY.xattr.trusted.other': 'x'
    }
    await extractLayer(inPieces(tarball([{ path: 'ping', body: 'x', pax }])), folder)
    const place = path.join(folder, 'ping')
    assert.deepEqual(native!.listXattrs(place).sort(), ['security.capability', 'user.note'])
    assert.equal(Buffer.from(native!.getXattr(place, 'security.capability')!).toString('latin1'), capability)
    assert.equal(Buffer.from(native!.getXattr(place, 'user.note')!).toString(), 'two\nlines')
  })

  it('whiteouts and opaque folders become what overlayfs knows', { skip: noNative }, async () => {
    await extractLayer(
      inPieces(
        tarball([
          { path: 'etc/', type: '5' },
          { path: 'etc/.wh.gone' },
          { path: 'opt/.wh..wh..opq' },
          { path: 'opt/new', body: 'x' },
          { path: '.wh..wh.plnk', type: '5' }
        ])
      ),
      folder
    )
    const whiteout = lstatSync(path.join(folder, 'etc/gone'))
    assert.ok(whiteout.isCharacterDevice())
    assert.equal(whiteout.rdev, 0)
    const name = isRoot ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
    assert.equal(Buffer.from(native!.getXattr(path.join(folder, 'opt'), name)!).toString(), 'y')
    assert.equal(shell(folder, "find . -name '.wh*'"), '')
  })

  it('a later entry replaces an earlier one of another kind', async () => {
    await extractLayer(
      inPieces(
        tarball([
          { path: 'a/b', body: 'x' },
          { path: 'a', body: 'file' },
          { path: 'l', body: 'x' },
          { path: 'l', type: '2', link: 'a' },
          { path: 'd', type: '5', mode: 0o700 },
          { path: 'd/kept', body: 'x' },
          { path: 'd', type: '5', mode: 0o755 }
        ])
      ),
      folder
    )
    assert.equal(readFileSync(path.join(folder, 'a'), 'utf8'), 'file')
    assert.equal(readlinkSync(path.join(folder, 'l')), 'a')
    assert.equal(lstatSync(path.join(folder, 'd')).mode & 0o777, 0o755)
    assert.equal(readFileSync(path.join(folder, 'd/kept'), 'utf8'), 'x')
  })

  for (const program of ['gzip', 'bzip2', 'xz', 'zstd']) {
    const missing = spawnable(program) ? false : `${program} is not installed`
    it(`undoes ${program}, and complains of half an archive`, { skip: missing }, async () => {
      const archive = tarball([{ path: 'a', body: Buffer.from(Array.from({ length: 50000 }, (_, index) => (index * index) % 251)) }])
      const packed = execFileSync(program, ['-c'], { input: archive })
      assert.deepEqual(await whole(decompress(inPieces(packed))), archive)
      await assert.rejects(whole(decompress(inPieces(packed.subarray(0, packed.length - 100)))), /the archive is damaged/)
    })
  }
})

async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function spawnable(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', input: '' })
    return true
  } catch {
    return false
  }
}
