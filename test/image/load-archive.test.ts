/** Archives with images in them, made here with the layout that `docker save` and OCI tools write. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { VirtualClock } from '../../src/engine/clock.ts'
import { architectureOf } from '../../src/image/image-file.ts'
import { ImageStore } from '../../src/image/image-store.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { inPieces, type RawEntry, tarball } from './tar-builder.ts'

const LOWER = tarball([
  { path: 'etc/', type: '5' },
  { path: 'etc/kept', body: 'lower' },
  { path: 'etc/gone', body: 'lower' }
])
const UPPER = tarball([{ path: 'etc/.wh.gone' }, { path: 'etc/new', body: 'upper' }])
const EMPTY = tarball([])

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')
const fileOf = (layers: readonly Uint8Array[], more: object = {}): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '2020-02-02T02:02:02.123456789Z',
    config: { Cmd: ['sh'], Env: ['A=1'], ExposedPorts: { '80/tcp': {} } },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    history: [{ created_by: 'ADD lower' }, { created_by: 'CMD sh', empty_layer: true }, { created_by: 'ADD upper' }],
    ...more
  })

/** As docker save writes: the manifest comes last. */
function saved(file: string, layers: readonly Uint8Array[], names: string[] | null, more: readonly RawEntry[] = []): Buffer {
  const manifest = [
    { Config: `${sha256(file)}.json`, RepoTags: names, Layers: layers.map((layer) => `${sha256(layer).slice(0, 8)}/layer.tar`) }
  ]
  return tarball([
    ...layers.map((layer) => ({ path: `${sha256(layer).slice(0, 8)}/layer.tar`, body: layer })),
    { path: `${sha256(file)}.json`, body: file },
    ...more,
    { path: 'manifest.json', body: JSON.stringify(manifest) }
  ])
}

function ociLayout(file: string, layers: readonly Uint8Array[], annotations: object): Buffer {
  const blobs: Uint8Array[] = []
  const blob = (data: Uint8Array | string): { digest: string; size: number } => {
    blobs.push(Buffer.from(data))
    return { digest: `sha256:${sha256(data)}`, size: data.length }
  }
  const manifest = blob(JSON.stringify({ schemaVersion: 2, config: blob(file), layers: layers.map((layer) => blob(gzipSync(layer))) }))
  const other = { ...blob('{}'), platform: { os: 'unknown', architecture: 'unknown' } }
  const platform = { os: 'linux', architecture: architectureOf(process.arch) }
  const nested = blob(JSON.stringify({ schemaVersion: 2, manifests: [other, { ...manifest, platform }] }))
  return tarball([
    { path: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' },
    { path: 'index.json', body: JSON.stringify({ schemaVersion: 2, manifests: [{ ...nested, annotations }] }) },
    ...blobs.map((data) => ({ path: `blobs/sha256/${sha256(data)}`, body: data }))
  ])
}

describe('load', () => {
  let directory: string
  let images: ImageStore
  let told: string[]
  const load = (archive: Uint8Array): Promise<void> =>
    images.load(inPieces(archive, 4000), {
      layer: (id, current, total) => told.push(`${id} ${current}/${total}`),
      loaded: (text) => told.push(text)
    })

  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'netloom-load-'))
    images = await ImageStore.open({ directory, store: new MemoryStore(), clock: new VirtualClock(), hostImages: false })
    told = []
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('takes an archive of docker save: id, names, layers in order, whiteouts, history', async () => {
    const file = fileOf([LOWER, UPPER])
    await load(saved(file, [LOWER, UPPER], ['web:1', 'registry.example/web:1']))
    const image = images.find('web:1')
    assert.equal(image.id, `sha256:${sha256(file)}`)
    assert.deepEqual(image.repoTags, ['registry.example/web:1', 'web:1'])
    assert.deepEqual(image.config.Cmd, ['sh'])
    assert.equal(image.created, '2020-02-02T02:02:02.123456789Z')
    assert.deepEqual(image.layerSizes, [10, 5])
    assert.deepEqual(
      image.layers.map((layer) => readdirSync(path.join(layer, 'etc')).sort()),
      [
        ['gone', 'kept'],
        ['gone', 'new']
      ]
    )
    assert.equal(readFileSync(path.join(image.layers[1]!, 'etc/new'), 'utf8'), 'upper')
    assert.deepEqual(told, [
      `${sha256(LOWER).slice(0, 12)} ${LOWER.length}/${LOWER.length}`,
      `${sha256(UPPER).slice(0, 12)} ${UPPER.length}/${UPPER.length}`,
      'Loaded image: web:1',
      'Loaded image: registry.example/web:1'
    ])
  })

  it('layers that are there are not unpacked again', async () => {
    await load(saved(fileOf([LOWER]), [LOWER], ['lower:1']))
    told = []
    const file = fileOf([LOWER, EMPTY, UPPER])
    await load(gzipSync(saved(file, [LOWER, EMPTY, UPPER], null)))
    assert.deepEqual(told, [
      `${sha256(EMPTY).slice(0, 12)} ${EMPTY.length}/${EMPTY.length}`,
      `${sha256(UPPER).slice(0, 12)} ${UPPER.length}/${UPPER.length}`,
      `Loaded image ID: sha256:${sha256(file)}`
    ])
    assert.equal(readdirSync(path.join(directory, 'layers')).length, 3)
  })

  it('takes an OCI image layout with compressed layers and an index of platforms', async () => {
    const file = fileOf([LOWER, UPPER])
    await load(ociLayout(file, [LOWER, UPPER], { 'io.containerd.image.name': 'docker.io/library/oci:2' }))
    assert.equal(images.find('oci:2').id, `sha256:${sha256(file)}`)
    await load(ociLayout(fileOf([LOWER]), [LOWER], { 'org.opencontainers.image.ref.name': 'latest' }))
    assert.deepEqual(images.find(`sha256:${sha256(fileOf([LOWER]))}`).repoTags, [])
  })

  it("a layer may be a link to another image's, as docker save writes it", async () => {
    const link = { path: 'link/layer.tar', type: '2', link: `../${sha256(LOWER).slice(0, 8)}/layer.tar` }
    const file = fileOf([LOWER])
    const manifest = [{ Config: 'config.json', RepoTags: ['linked:1'], Layers: ['link/layer.tar'] }]
    await load(
      tarball([
        link,
        { path: `${sha256(LOWER).slice(0, 8)}/layer.tar`, body: LOWER },
        { path: 'config.json', body: file },
        { path: 'manifest.json', body: JSON.stringify(manifest) }
      ])
    )
    assert.equal(images.find('linked:1').size, 10)
  })

  const manifest = (value: unknown): Buffer => tarball([{ path: 'manifest.json', body: JSON.stringify(value) }])
  const REFUSED: readonly [name: string, archive: () => Buffer, error: RegExp][] = [
    ['a root file system', () => LOWER, /neither manifest.json nor index.json/],
    ['a layer that is not the one named', () => saved(fileOf([UPPER]), [LOWER], null), /invalid diffID for layer 0: expected "sha256:/],
    ['too few layers', () => saved(fileOf([LOWER, UPPER]), [LOWER], null), /layers length mismatch: expected 1, got 2/],
    ['another system', () => saved(fileOf([], { os: 'windows' }), [], null), /cannot load windows image on linux/],
    ['a config outside', () => manifest([{ Config: '../../../../etc/passwd', Layers: [] }]), /is outside/],
    ['a config by an absolute path', () => manifest([{ Config: '/etc/passwd', Layers: [] }]), /no such file/],
    [
      'a config by a link to the outside',
      () =>
        tarball([
          { path: 'c', type: '2', link: '/etc/hostname' },
          { path: 'manifest.json', body: '[{"Config":"c","Layers":[]}]' }
        ]),
      /no such file/
    ],
    ['a manifest that is no JSON', () => tarball([{ path: 'manifest.json', body: '{' }]), /manifest.json: /],
    ['a manifest that is no list', () => manifest({}), /invalid manifest/],
    ['layers that are no texts', () => manifest([{ Config: 'c', Layers: [1] }]), /invalid manifest/],
    ['a manifest that is a folder', () => tarball([{ path: 'manifest.json/x', body: '' }]), /neither manifest.json/],
    ['a config of the wrong kind', () => saved('[]', [], null), /invalid image configuration/],
    ['a bad name', () => saved(fileOf([LOWER]), [LOWER], ['../x']), /invalid reference format/],
    [
      'a digest of another kind',
      () => tarball([{ path: 'index.json', body: '{"manifests":[{"digest":"md5:../../x"}]}' }]),
      /no sha256 digest/
    ]
  ]
  for (const [name, archive, error] of REFUSED) {
    it(`refuses ${name}, and keeps nothing`, async () => {
      await assert.rejects(load(archive()), error)
      assert.deepEqual(images.list(), [])
      assert.deepEqual(readdirSync(path.join(directory, 'layers')), [])
      assert.deepEqual(readdirSync(path.join(directory, 'partial')), [])
    })
  }

  it('settings of the wrong type in a configuration are as good as absent', async () => {
    const file = fileOf([LOWER], { config: { Cmd: 'sh', Env: [1], ExposedPorts: [], Labels: { a: 1 }, WorkingDir: '/x' }, history: 'none' })
    await load(saved(file, [LOWER], ['odd:1']))
    const { config, history } = images.find('odd:1')
    assert.deepEqual([config.Cmd, config.Env, config.ExposedPorts, config.Labels, config.WorkingDir], [null, null, undefined, null, '/x'])
    assert.deepEqual(history, [])
  })
})
