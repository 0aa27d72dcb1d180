/** What archives made to do harm do: nothing. Each case names the error, or what is in the folder afterwards. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { extractLayer } from '../../src/image/layer-extractor.ts'
import { inPieces, type RawEntry, tarball, tarEntry } from './tar-builder.ts'

const LOOP = Array.from({ length: 60 }, (_, index) => ({ path: `l${index}`, type: '2', link: `l${index + 1}` }))

interface Case {
  name: string
  entries: readonly RawEntry[]
  error?: RegExp
  /** Path in the folder -> its contents, or null for "not there". */
  files?: Record<string, string | null>
}

const CASES: readonly Case[] = [
  { name: 'an absolute path stays inside', entries: [{ path: '/etc/passwd', body: 'x' }], files: { 'etc/passwd': 'x' } },
  { name: "'..' in front", entries: [{ path: '../secret', body: 'x' }], error: /"\.\.\/secret" is outside/ },
  { name: "'..' that takes back too much", entries: [{ path: 'a/../../secret', body: 'x' }], error: /is outside/ },
  { name: "'..' that takes back what is there", entries: [{ path: 'a/../b', body: 'x' }], files: { b: 'x' } },
  { name: "'..' after the root", entries: [{ path: '/../secret', body: 'x' }], files: { secret: 'x' } },
  {
    name: 'an absolute path with .. in a long name',
    entries: [{ path: 'x', pax: { path: '../../secret' }, body: 'x' }],
    error: /is outside/
  },
  {
    name: 'through a link to the outside, absolute',
    entries: [
      { path: 'out', type: '2', link: '/' },
      { path: 'out/secret', body: 'x' }
    ],
    files: { secret: 'x' }
  },
  {
    name: 'through a link to the outside, relative',
    entries: [
      { path: 'a', type: '5' },
      { path: 'a/out', type: '2', link: '../../../..' },
      { path: 'a/out/secret', body: 'x' }
    ],
    files: { secret: 'x' }
  },
  {
    name: 'through a link to a link',
    entries: [
      { path: 'one', type: '2', link: 'two/..' },
      { path: 'two', type: '2', link: '/..' },
      { path: 'one/secret', body: 'x' }
    ],
    files: { secret: 'x' }
  },
  {
    name: 'links in a circle',
    entries: [...LOOP, { path: 'l60', type: '2', link: 'l0' }, { path: 'l0/x', body: 'x' }],
    error: /too many levels/
  },
  {
    name: 'a file over a link is no file behind it',
    entries: [
      { path: 'link', type: '2', link: 'victim' },
      { path: 'victim', body: 'kept' },
      { path: 'link', body: 'new' }
    ],
    files: { victim: 'kept', link: 'new' }
  },
  {
    name: 'a folder that becomes a link, and is written through',
    entries: [
      { path: 'd', type: '5' },
      { path: 'd/a', body: 'x' },
      { path: 'd', type: '2', link: '/elsewhere' },
      { path: 'd/b', body: 'y' }
    ],
    files: { 'elsewhere/b': 'y', 'elsewhere/a': null }
  },
  {
    name: 'modes and times through a link that was a folder',
    entries: [
      { path: 'd', type: '5', mode: 0o700 },
      { path: 'd', type: '2', link: '..' }
    ],
    files: {}
  },
  { name: 'a hard link to the outside', entries: [{ path: 'h', type: '1', link: '../secret' }], error: /is outside/ },
  { name: 'a hard link to an absolute path', entries: [{ path: 'h', type: '1', link: '/secret' }], error: /no file in the archive/ },
  {
    name: 'a hard link through a link',
    entries: [
      { path: 'out', type: '2', link: '..' },
      { path: 'h', type: '1', link: 'out/secret' }
    ],
    error: /no file in the archive/
  },
  {
    name: 'a hard link to itself',
    entries: [
      { path: 'h', body: 'x' },
      { path: 'h', type: '1', link: 'h' }
    ],
    error: /no file in the archive/
  },
  {
    name: 'a hard link to a folder',
    entries: [
      { path: 'd', type: '5' },
      { path: 'h', type: '1', link: 'd' }
    ],
    error: /no file in the archive/
  },
  {
    name: 'devices are left out',
    entries: [
      { path: 'dev/sda', type: '4' },
      { path: 'dev/mem', type: '3' },
      { path: 'after', body: 'x' }
    ],
    files: { 'dev/sda': null, 'dev/mem': null, after: 'x' }
  },
  { name: 'a file named as the root', entries: [{ path: '.', body: 'x' }], error: /is the root/ },
  {
    name: 'a file under a file',
    entries: [
      { path: 'f', body: 'x' },
      { path: 'f/g', body: 'y' }
    ],
    error: /f is not a folder/
  },
  { name: 'a whiteout of the folder above', entries: [{ path: 'a/.wh...', body: '' }], error: /hides nothing/ },
  { name: 'a whiteout of nothing', entries: [{ path: '.wh.', body: '' }], error: /hides nothing/ },
  { name: 'a whiteout with a path', entries: [{ path: 'a/.wh.../../../../secret', body: 'x' }], error: /is outside/ },
  { name: 'a name that is too long', entries: [{ path: 'n', pax: { path: 'n'.repeat(300) }, body: 'x' }], error: /ENAMETOOLONG/ },
  {
    name: 'an extended header without end',
    entries: [{ path: 'x', type: 'x', body: Buffer.alloc(2 ** 20 + 512, 'a') }],
    error: /extended header is too long/
  },
  { name: 'a size that is far beyond the archive', entries: [{ path: 'big', size: 2 ** 32, body: 'x' }], error: /unexpected EOF/ },
  { name: 'an old sparse file', entries: [{ path: 's', type: 'S', body: 'x' }], error: /SparseFile are not supported/ },
  {
    name: 'a new sparse file',
    entries: [{ path: 's', pax: { 'GNU.sparse.size': '99999999999' }, body: 'x' }],
    error: /sparse files are not supported/
  },
  { name: 'a wrong checksum', entries: [{ path: 'c', checksum: 1 }], error: /invalid tar header/ },
  { name: 'a user that nobody can be', entries: [{ path: 'u', pax: { uid: '99999999999' } }], error: /no user or group/ },
  { name: 'a negative user', entries: [{ path: 'u', pax: { uid: '-1' } }], error: /no user or group/ },
  { name: 'a time beyond all calendars', entries: [{ path: 't', pax: { mtime: '1e300' }, body: 'x' }], files: { t: 'x' } },
  {
    name: "overlayfs's own attributes",
    entries: [{ path: 'd', type: '5', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } }],
    files: {}
  },
  { name: 'an archive without entries', entries: [], files: {} }
]

describe('hostile archives', () => {
  let outer: string
  let folder: string

  beforeEach(() => {
    outer = mkdtempSync(path.join(tmpdir(), 'netloom-hostile-'))
    folder = path.join(outer, 'folder')
    mkdirSync(folder)
    writeFileSync(path.join(outer, 'secret'), 'untouched')
    chmodSync(outer, 0o751)
  })
  afterEach(() => rmSync(outer, { recursive: true, force: true }))

  for (const { name, entries, error, files } of CASES) {
    it(name, async () => {
      const before = outside(outer)
      const extraction = extractLayer(inPieces(tarball(entries)), folder)
      if (error !== undefined) await assert.rejects(extraction, error)
      else await extraction
      assert.deepEqual(outside(outer), before)
      for (const [file, contents] of Object.entries(files ?? {})) {
        const place = path.join(folder, file)
        if (contents === null) assert.equal(existsSync(place), false, file)
        else assert.equal(readFileSync(place, 'utf8'), contents)
      }
    })
  }

  it('truncated anywhere, an archive is an error or a shorter archive, and never hangs', async () => {
    const whole = tarball([
      { path: 'a', body: 'a'.repeat(700) },
      { path: 'long', pax: { path: 'b'.repeat(120) }, body: 'b' },
      { path: 'd', type: '5' }
    ])
    let errors = 0
    for (let length = 1; length < whole.length; length += 37) {
      const place = path.join(folder, String(length))
      mkdirSync(place)
      await extractLayer(inPieces(whole.subarray(0, length), 100), place).catch((error: Error) => {
        errors++
        assert.match(error.message, /unexpected EOF|invalid tar header/)
      })
    }
    assert.ok(errors > 50, `${errors} errors`)
  })

  it('random bytes changed in an archive leave everything outside as it was', async () => {
    const whole = tarball([
      { path: 'etc/', type: '5' },
      { path: 'etc/passwd', body: 'root' },
      { path: 'link', type: '2', link: '../secret' },
      { path: 'hard', type: '1', link: 'etc/passwd' }
    ])
    const before = outside(outer)
    let seed = 7
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    for (let round = 0; round < 300; round++) {
      const damaged = Buffer.from(whole)
      for (let change = 0; change < 4; change++) damaged[random(damaged.length)] = random(256)
      // The sum is set right again, or nothing but the first header would ever be looked at.
      for (let at = 0; at < damaged.length; at += 512)
        if (damaged.toString('latin1', at + 257, at + 262) === 'ustar') repairChecksum(damaged.subarray(at, at + 512))
      const place = path.join(folder, String(round))
      mkdirSync(place)
      await extractLayer(inPieces(damaged), place).catch((error: unknown) => assert.ok(error instanceof Error))
    }
    assert.deepEqual(outside(outer), before)
  })

  it('an archive whose source fails ends with that error', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield tarEntry({ path: 'a', body: 'x'.repeat(2000) }).subarray(0, 1000)
      throw new Error('the client went away')
    }
    await assert.rejects(extractLayer(failing(), folder), /the client went away/)
  })

  it('what system tar packs of a folder full of links comes out as it was, and links out of it stay links', async () => {
    const source = path.join(outer, 'source')
    mkdirSync(source)
    symlinkSync('/etc/shadow', path.join(source, 'shadow'))
    symlinkSync('../../..', path.join(source, 'up'))
    await extractLayer(inPieces(execFileSync('tar', ['-C', source, '-c', '.'])), folder)
    assert.ok(lstatSync(path.join(folder, 'shadow')).isSymbolicLink())
    assert.ok(lstatSync(path.join(folder, 'up')).isSymbolicLink())
  })
})

/** All that could have been changed: the neighbours' names, contents, modes and times. */
function outside(outer: string): unknown {
  const { mode, uid, gid } = lstatSync(outer)
  const secret = lstatSync(path.join(outer, 'secret'))
  return [
    mode,
    uid,
    gid,
    readdirSync(outer).filter((name) => name !== 'folder'),
    readFileSync(path.join(outer, 'secret'), 'utf8'),
    secret.mode,
    secret.mtimeMs,
    secret.nlink
  ]
}

function repairChecksum(header: Buffer): void {
  header.write('        ', 148)
  header.write(
    `${header
      .reduce((total, byte) => total + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148
  )
}
