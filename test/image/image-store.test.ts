import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { VirtualClock } from '../../src/engine/clock.ts'
import { ImageStore } from '../../src/image/image-store.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { inPieces, tarball } from './tar-builder.ts'

const ARCHIVE = tarball([
  { path: 'bin/', type: '5' },
  { path: 'bin/sh', body: '#!', mode: 0o755 }
])
const OTHER = tarball([{ path: 'other', body: 'xyz' }])
const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

describe('image store', () => {
  let directory: string
  let store: MemoryStore
  let clock: VirtualClock
  let images: ImageStore
  const open = (hostImages = false): Promise<ImageStore> => ImageStore.open({ directory, store, clock, hostImages, version: '1.2.3' })
  const layers = (): string[] => readdirSync(path.join(directory, 'layers'))

  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'netloom-images-'))
    store = new MemoryStore()
    clock = new VirtualClock()
    images = await open()
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('imports an archive: the id is the hash of the configuration, the layer that of the archive without compression', async () => {
    clock.advanceTo(1_500_000_000)
    const image = await images.import(inPieces(gzipSync(ARCHIVE)), { reference: 'web', changes: ['CMD ["httpd"]'], message: 'hello' })
    assert.deepEqual(image.diffIds, [`sha256:${sha256(ARCHIVE)}`])
    const record = store.get<{ file: string }>(`image/${image.id.slice(7)}`)!
    assert.equal(image.id, `sha256:${sha256(record.file)}`)
    assert.equal(image.created, '2000-01-01T00:00:01.5Z')
    assert.equal(image.size, 2)
    assert.deepEqual(image.config.Cmd, ['httpd'])
    assert.deepEqual(image.repoTags, ['web:latest'])
    assert.equal(image.comment, 'hello')
    assert.equal(readFileSync(path.join(image.layers[0]!, 'bin/sh'), 'utf8'), '#!')
  })

  it('finds images by name, id and the beginning of an id; a name comes first', async () => {
    const image = await images.import(inPieces(ARCHIVE), { reference: 'team/web:2' })
    const digits = image.id.slice(7)
    for (const reference of ['team/web:2', 'docker.io/team/web:2', image.id, digits, digits.slice(0, 12), `sha256:${digits.slice(0, 5)}`]) {
      assert.equal((await images.resolve(reference)).id, image.id, reference)
    }
    for (const [reference, text] of [
      ['team/web', 'No such image: team/web:latest'],
      ['web', 'No such image: web:latest'],
      ['x:1', 'No such image: x:1'],
      ['f'.repeat(64), `No such image: sha256:${'f'.repeat(64)}`]
    ] as const) {
      await assert.rejects(images.resolve(reference), { code: 'not-found', message: text })
    }
    await assert.rejects(images.resolve('Web'), {
      code: 'invalid',
      message: 'invalid reference format: repository name must be lowercase'
    })
    const other = await images.import(inPieces(OTHER), { reference: digits.slice(0, 12) })
    assert.equal(images.find(digits.slice(0, 12)).id, other.id)
  })

  it('a name moves to the newer image, and the older one is left without', async () => {
    const first = await images.import(inPieces(ARCHIVE), { reference: 'web' })
    const second = await images.import(inPieces(OTHER), { reference: 'web' })
    assert.equal(images.find('web').id, second.id)
    assert.deepEqual(images.find(first.id).repoTags, [])
    const result = await images.prune({ all: false })
    assert.deepEqual(result.removed, [{ Deleted: first.id }, { Deleted: first.diffIds[0]! }])
    assert.equal(result.reclaimed, 2)
    assert.equal(layers().length, 1)
  })

  it('images of one layer share it, and the last one takes it along', async () => {
    await images.import(inPieces(ARCHIVE), { reference: 'a' })
    await images.import(inPieces(ARCHIVE), { reference: 'b', message: 'differs' })
    assert.equal(layers().length, 1)
    await images.remove('a')
    assert.equal(layers().length, 1)
    await images.remove('b')
    assert.deepEqual(layers(), [])
  })

  it('rmi: what names and containers allow, in the words of Docker', async () => {
    const image = await images.import(inPieces(ARCHIVE), { reference: 'web' })
    const id = image.id.slice(7, 19)
    await images.tag('web', 'web:2')
    assert.deepEqual(await images.remove('web:2'), [{ Untagged: 'web:2' }])
    await images.tag('web', 'copy')
    const many = `conflict: unable to delete ${id} (must be forced) - image is referenced in multiple repositories`
    await assert.rejects(images.remove(id), { code: 'conflict', message: many })
    await images.remove('copy')

    const container = { id: 'c'.repeat(64), running: false }
    images.usedBy = (of) => (of === image.id ? [container] : [])
    const using = `conflict: unable to remove repository reference "web" (must force) - container cccccccccccc is using its referenced image ${id}`
    await assert.rejects(images.remove('web'), { code: 'conflict', message: using })
    const stopped = `conflict: unable to delete ${id} (must be forced) - image is being used by stopped container cccccccccccc`
    await assert.rejects(images.remove(id), { message: stopped })
    container.running = true
    const running = `conflict: unable to delete ${id} (cannot be forced) - image is being used by running container cccccccccccc`
    await assert.rejects(images.remove(id, { force: true }), { message: running })
    assert.deepEqual(await images.remove('web', { force: true }), [{ Untagged: 'web:latest' }])
    assert.deepEqual(images.find(id).repoTags, [])
  })

  it('an image removed by force under a stopped container serves it until it goes', async () => {
    const image = await images.import(inPieces(ARCHIVE), { reference: 'web' })
    let isThere = true
    images.usedBy = () => (isThere ? [{ id: 'c'.repeat(64), running: false }] : [])
    await images.remove('web', { force: true })
    assert.deepEqual(images.list(), [])
    images = await open()
    images.usedBy = () => (isThere ? [{ id: 'c'.repeat(64), running: false }] : [])
    assert.ok(existsSync(path.join(images.ofContainer(image.id)!.layers[0]!, 'bin/sh')))
    await images.sweep()
    await images.release(image.id)
    assert.ok(images.ofContainer(image.id))
    isThere = false
    await images.sweep()
    assert.equal(images.ofContainer(image.id), undefined)
    assert.deepEqual(layers(), [])
  })

  it('survives a restart, and clears what a killed daemon left half done', async () => {
    const image = await images.import(inPieces(ARCHIVE), { reference: 'web' })
    mkdirSync(path.join(directory, 'partial/half/etc'), { recursive: true })
    mkdirSync(path.join(directory, 'layers/0123456789'))
    images = await open()
    assert.deepEqual(images.find('web'), image)
    assert.deepEqual(readdirSync(path.join(directory, 'partial')), [])
    assert.equal(layers().length, 1)
  })

  it('a bad archive, instruction or name leaves nothing behind', async () => {
    await assert.rejects(images.import(inPieces(ARCHIVE.subarray(0, 1100))), { code: 'failed' })
    await assert.rejects(images.import(inPieces(ARCHIVE), { changes: ['RUN rm'] }), {
      code: 'invalid',
      message: 'run is not a valid change command'
    })
    await assert.rejects(images.import(inPieces(ARCHIVE), { reference: 'A b' }), { code: 'invalid' })
    await assert.rejects(images.import(inPieces(ARCHIVE), { reference: `x@sha256:${'0'.repeat(64)}` }), { code: 'invalid' })
    assert.deepEqual(layers(), [])
    assert.deepEqual(readdirSync(path.join(directory, 'partial')), [])
  })

  it('when the record cannot be written, the layer goes again', async () => {
    store.write = async () => {
      throw new Error('disk full')
    }
    await assert.rejects(images.import(inPieces(ARCHIVE)), /disk full/)
    assert.deepEqual(layers(), [])
  })

  it('the same archive imported many times at once is one layer', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, (_, index) => images.import(inPieces(ARCHIVE), { reference: `i${index}` })))
    assert.equal(layers().length, 1)
    assert.equal(images.list().length, 1, 'made at one instant from one archive, they are the same image')
    assert.equal(images.find(made[0]!.id).repoTags.length, 8)
  })

  it('names and removals at once leave nothing half done', async () => {
    for (let round = 0; round < 10; round++) {
      await Promise.allSettled([
        images.import(inPieces(ARCHIVE), { reference: 'web', message: `${round}` }),
        images.remove('web', { force: true }),
        images.import(inPieces(ARCHIVE), { reference: 'web', message: `${round}+` }),
        images.prune({ all: true })
      ])
    }
    const used = new Set(images.list().flatMap((image) => image.layers))
    assert.deepEqual(layers().length, used.size)
    for (const layer of used) assert.ok(existsSync(path.join(layer, 'bin/sh')))
  })

  it('tells what happens, in order', async () => {
    const seen: string[] = []
    images.onEvent = (action, image, name) => seen.push(`${action} ${name.replace(image.id, 'ID')}`)
    await images.import(inPieces(ARCHIVE), { reference: 'web' })
    await images.tag('web', 'copy')
    await images.remove('copy')
    await images.remove('web')
    assert.deepEqual(seen, ['tag web:latest', 'import ID', 'tag copy:latest', 'untag ID', 'untag ID', 'delete ID'])
  })

  describe('host images', () => {
    beforeEach(async () => {
      images = await open(true)
    })

    it('a name that nobody imported is the root of the machine, with the command of the table', async () => {
      const image = await images.resolve('alpine:3.20')
      assert.equal(image.isHost, true)
      assert.deepEqual(image.layers, [])
      assert.deepEqual(image.config.Cmd, ['/bin/sh'])
      assert.equal((await images.resolve('unheard/of')).config.Cmd, null)
      assert.deepEqual((await images.resolve('nginx')).config.ExposedPorts, { '80/tcp': {} })
      await images.import(inPieces(ARCHIVE), { reference: 'alpine' })
      assert.equal((await images.resolve('alpine')).isHost, false)
      assert.equal((await images.resolve('alpine:3.20')).isHost, true)
    })

    it('is listed as host under one id, is not found by other names, and stays', async () => {
      const [host] = images.list()
      assert.deepEqual(host!.repoTags, ['host:latest'])
      assert.equal((await images.resolve('nginx')).id, host!.id)
      assert.equal(images.find('host').id, host!.id)
      assert.equal((await open(true)).find('host').id, host!.id)
      assert.equal(images.ofContainer(host!.id)?.isHost, true)
      assert.throws(() => images.find('nginx'), { code: 'not-found' })
      await assert.rejects(images.remove('host', { force: true }), { code: 'conflict' })
      await assert.rejects(images.import(inPieces(ARCHIVE), { reference: 'host' }), { code: 'conflict' })
      await assert.rejects(images.resolve('f'.repeat(64)), { code: 'not-found' })
      await assert.rejects(images.resolve(`alpine@sha256:${'0'.repeat(64)}`), { code: 'not-found' })
    })

    it('of several settings the first counts whose program is there, else the first', async () => {
      const imageTable = {
        a: [{ Cmd: ['no-such-program'] }, { Cmd: ['sh', '-c', 'x'] }],
        b: [{ Cmd: ['no-such-program'] }, { Cmd: ['/no/such/program'] }]
      }
      images = await ImageStore.open({ directory, store, clock, hostImages: true, imageTable })
      assert.deepEqual((await images.resolve('a')).config.Cmd, ['sh', '-c', 'x'])
      assert.deepEqual((await images.resolve('b')).config.Cmd, ['no-such-program'])
    })
  })

  it('writes nothing outside its folder', () => {
    writeFileSync(path.join(directory, 'beside'), '')
    assert.deepEqual(readdirSync(directory).sort(), ['beside', 'layers', 'partial'])
  })
})
