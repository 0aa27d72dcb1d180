import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ApiError } from '../../src/api/api-error.ts'
import type { ContainerConfig } from '../../src/api/container-json.ts'
import { createBody } from '../../src/api/container-shapes.ts'
import type { Container } from '../../src/docker/container/container.ts'
import { dataMounts, planMounts } from '../../src/docker/container/container-mounts.ts'
import { checkedName, randomName } from '../../src/docker/container/container-name.ts'
import { completeHostConfig, mergeConfig } from '../../src/docker/container/create-config.ts'
import { DetachFilter, parseDetachKeys } from '../../src/docker/container/detach-keys.ts'
import { logOptions } from '../../src/docker/container/log-options.ts'
import { signalNumber } from '../../src/docker/container/signals.ts'
import { verifyConfig, verifyHostConfig } from '../../src/docker/container/verify-create.ts'
import { Random } from '../../src/engine/random.ts'
import { emptyConfig } from '../../src/image/image-config.ts'
import { transcript } from './recorded.ts'

const read = (body: object): ReturnType<typeof createBody.read> => createBody.read(body)
const merged = (body: object, image = {}): ContainerConfig => mergeConfig(read(body).config!, { ...emptyConfig(), ...image })
const host = (hostConfig: object): ReturnType<typeof completeHostConfig> => completeHostConfig(read({ HostConfig: hostConfig }).hostConfig)

describe('create requests', () => {
  test('a body without any member of Config has none', () => {
    assert.equal(read({}).config, null)
    assert.equal(read({ HostConfig: {} }).config, null)
    assert.notEqual(read({ image: 'box' }).config, null)
  })

  test('wrong types are told as Go tells them', () => {
    const message = (body: object): string => {
      try {
        read(body)
        return ''
      } catch (error) {
        return (error as Error).message
      }
    }
    assert.equal(message({ Tty: 'yes' }), 'json: cannot unmarshal string into Go struct field ContainerConfigWrapper.Tty of type bool')
    assert.equal(
      message({ HostConfig: { Memory: 'x' } }),
      'json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64'
    )
  })

  test('the host configuration is what a real daemon recorded', () => {
    const inspect = transcript('api/containers').find(({ cmd }) => cmd.includes('GET /v1.41/containers/c1/json'))
    const recorded = JSON.parse(inspect!.stdout) as { HostConfig: object }
    const PortBindings = { '80/tcp': [{ HostPort: '8080' }], '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5300' }] }
    assert.deepEqual(JSON.parse(JSON.stringify(host({ NetworkMode: 'net', PortBindings }))), recorded.HostConfig)
    assert.equal(host({ MemorySwappiness: -1 }).MemorySwappiness, null)
  })

  test('command and entrypoint: what the request says, and what of the image is left', () => {
    const image = { Entrypoint: ['/entry'], Cmd: ['serve'] }
    const both = (body: object): [string[] | null, string[] | null] => {
      const { Entrypoint, Cmd } = merged({ Image: 'box', ...body }, image)
      return [Entrypoint, Cmd]
    }
    assert.deepEqual(both({}), [['/entry'], ['serve']])
    assert.deepEqual(both({ Cmd: ['x'] }), [['/entry'], ['x']])
    assert.deepEqual(both({ Cmd: 'x' }), [['/entry'], ['x']])
    assert.deepEqual(both({ Entrypoint: ['/other'] }), [['/other'], null])
    assert.deepEqual(both({ Entrypoint: [''], Cmd: ['x'] }), [null, ['x']])
  })

  test('environment, labels, ports and volumes add up', () => {
    const image = {
      Env: ['PATH=/bin', 'A=image'],
      Labels: { a: 'image', b: 'image' },
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/v': {} }
    }
    const config = merged({ Env: ['A=mine', 'B'], Labels: { a: 'mine' }, ExposedPorts: { '90/tcp': {} } }, image)
    assert.deepEqual(config.Env, ['A=mine', 'B', 'PATH=/bin'])
    assert.deepEqual(config.Labels, { a: 'mine', b: 'image' })
    assert.deepEqual(Object.keys(config.ExposedPorts!).sort(), ['80/tcp', '90/tcp'])
    assert.deepEqual(config.Volumes, { '/v': {} })
    assert.equal(merged({ Image: 'x' }).Volumes, null)
    const empty = merged({ Image: 'x', Volumes: {}, ExposedPorts: {} })
    assert.deepEqual([empty.Volumes, 'ExposedPorts' in empty], [null, false], 'what the client sends for none')
  })

  test('refusals', () => {
    const config = (body: object) => () => verifyConfig(read({ Image: 'x', ...body }).config!)
    const hostConfig = (body: object) => () => verifyHostConfig(read({ HostConfig: body }).hostConfig!)
    const refusals: [() => unknown, string][] = [
      [config({ WorkingDir: 'usr' }), "the working directory 'usr' is invalid, it needs to be an absolute path"],
      [config({ StopSignal: 'SIGX' }), 'Invalid signal: SIGX'],
      [config({ Env: ['=x'] }), 'invalid environment variable: =x'],
      [config({ Healthcheck: { Interval: 5 } }), 'Interval in Healthcheck cannot be less than 1ms'],
      [hostConfig({ AutoRemove: true, RestartPolicy: { Name: 'always' } }), "can't create 'AutoRemove' container with restart policy"],
      [hostConfig({ RestartPolicy: { Name: 'often' } }), "invalid restart policy 'often'"],
      [
        hostConfig({ RestartPolicy: { Name: 'always', MaximumRetryCount: 2 } }),
        "maximum retry count cannot be used with restart policy 'always'"
      ],
      [hostConfig({ RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -1 } }), 'maximum retry count cannot be negative'],
      [hostConfig({ CapAdd: ['NOSUCH'] }), 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'],
      [hostConfig({ Memory: 4096 }), 'Minimum memory limit allowed is 6MB'],
      [hostConfig({ LogConfig: { Type: 'nosuch' } }), "logger: no log driver named 'nosuch' is registered"],
      [
        hostConfig({ NetworkMode: 'host', Sysctls: { 'net.ipv4.ip_forward': '1' } }),
        'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'
      ]
    ]
    for (const [attempt, message] of refusals) assert.throws(attempt, { name: 'ApiError', status: 400, message })
    assert.throws(hostConfig({ Sysctls: { 'kernel.core_pattern': '|/bin/sh' } }), { status: 400 })
    assert.throws(hostConfig({ Sysctls: { 'net.../../kernel/core_pattern': 'x' } }), { status: 400 })
  })

  test('what is without effect is said, what the client always sends is not', () => {
    const warnings = (HostConfig: object): string[] => verifyHostConfig(read({ HostConfig }).hostConfig!)
    const ofTheClient = {
      MemorySwappiness: -1,
      OomKillDisable: false,
      BlkioWeightDevice: [],
      Devices: [],
      IpcMode: 'private',
      Isolation: ''
    }
    assert.deepEqual(warnings(ofTheClient), [])
    assert.deepEqual(warnings({ PidMode: 'host', GroupAdd: ['audio'], Ulimits: [{ Name: 'nofile' }] }), [
      '--group-add is outside of what netloom does: it is without effect.',
      '--pid is outside of what netloom does: it is without effect.',
      '--ulimit is outside of what netloom does: it is without effect.'
    ])
  })

  test('names', () => {
    assert.equal(checkedName('/web.1'), 'web.1')
    for (const name of ['a', '-ab', 'a/b', '../x', 'a b', '']) assert.throws(() => checkedName(name), { status: 400 })
    const random = new Random(1)
    const taken = new Set<string>()
    for (let i = 0; i < 10_000; i++) {
      const name = randomName(random, (word) => taken.has(word))
      assert.ok(!taken.has(name) && checkedName(name) === name)
      taken.add(name)
    }
  })

  test('signals', () => {
    for (const text of ['9', 'KILL', 'SIGKILL', 'sigkill']) assert.equal(signalNumber(text), 9)
    assert.equal(signalNumber('RTMIN+2'), 36)
    assert.equal(signalNumber('SIGRTMAX'), 64)
    for (const text of ['0', 'SIGX', 'RTMIN-1', ''])
      assert.throws(() => signalNumber(text), { status: 400, message: `Invalid signal: ${text}` })
    assert.throws(() => signalNumber('65'), { status: 500, message: 'The linux daemon does not support signal 65' })
  })

  test('log options', () => {
    const options = (Config: Record<string, string>, Type = 'json-file'): object => logOptions({ Type, Config })
    assert.deepEqual(options({}), {})
    assert.deepEqual(options({ 'max-size': '10k', 'max-file': '3' }), { maxBytes: 10240, maxFiles: 3 })
    assert.deepEqual(options({ 'max-size': '1.5m' }), { maxBytes: 1.5 * 1024 * 1024, maxFiles: 1 })
    assert.deepEqual(options({}, 'local'), { maxBytes: 20 << 20, maxFiles: 5 })
    assert.throws(() => options({ 'max-size': 'much' }), { message: "invalid size: 'much'" })
    assert.throws(() => options({ nosuch: '1' }), { message: "unknown log opt 'nosuch' for json-file log driver" })
  })

  test('detach keys: found across writes, and what is none of them passes', () => {
    const filter = (keys: string | null, ...typed: string[]): [string, boolean] => {
      const detach = new DetachFilter(parseDetachKeys(keys))
      let passed = ''
      for (const text of typed) {
        const { data, isDetached } = detach.take(Buffer.from(text))
        passed += data.toString()
        if (isDetached) return [passed, true]
      }
      return [passed, false]
    }
    assert.deepEqual(filter(null, 'ab\x10', '\x11cd'), ['ab', true])
    assert.deepEqual(filter(null, 'a\x10b\x11'), ['a\x10b\x11', false])
    assert.deepEqual(filter(null, '\x10\x10\x11'), ['\x10', true])
    assert.deepEqual(filter('ctrl-@,q', 'x\0', 'q'), ['x', true])
    for (const keys of ['ctrl', 'ctrl-ab', 'a,,b', 'ctrl-1'])
      assert.throws(() => parseDetachKeys(keys), { message: `Invalid detach keys (${keys}) provided` })
  })
})

describe('mounts', () => {
  const plan = (hostConfig: object, volumes: Record<string, object> | null = null): ReturnType<typeof planMounts> => {
    let made = 0
    const planner = { volumesDirectory: '/state/volumes', newId: () => `id${made++}`, find: () => assert.fail() }
    return planMounts({ ...merged({ Image: 'x' }), Volumes: volumes }, host(hostConfig), planner)
  }

  test('binds, volumes and what the image asks for, as inspect shows them', () => {
    const { points, anonymous } = plan({ Binds: ['/host/dir:/data:ro', 'named:/vol', '/anon'] }, { '/image': {}, '/data': {} })
    const volume = { Type: 'volume', Driver: 'local', RW: true, Propagation: '' }
    assert.deepEqual(points, [
      { Type: 'bind', Source: '/host/dir', Destination: '/data', Mode: 'ro', RW: false, Propagation: 'rprivate' },
      { ...volume, Name: 'named', Source: '/state/volumes/named/_data', Destination: '/vol', Mode: 'z' },
      { ...volume, Name: 'id0', Source: '/state/volumes/id0/_data', Destination: '/anon', Mode: '' },
      { ...volume, Name: 'id1', Source: '/state/volumes/id1/_data', Destination: '/image', Mode: '' }
    ])
    assert.deepEqual(anonymous, ['id0', 'id1'])
  })

  test('refusals: no path leaves the volumes, no place is taken twice', () => {
    for (const bind of ['../x:/data', 'a/b:/data', '.:/data', ':/data', 'x:y', '/a:/', '/a:/b:nosuch', '/a:/b:ro:c']) {
      assert.throws(() => plan({ Binds: [bind] }), { name: 'ApiError' }, bind)
    }
    assert.throws(() => plan({ Binds: ['/a:/x', '/b:/x/'] }), { message: 'Duplicate mount point: /x' })
    assert.throws(() => plan({ Mounts: [{ Type: 'nosuch', Target: '/x' }] }), { message: 'mount type unknown: "nosuch"' })
    assert.throws(() => plan({ Mounts: [{ Type: 'bind', Target: 'x', Source: '/' }] }), {
      message: `invalid mount config for type "bind": invalid mount path: 'x' mount path must be absolute`
    })
  })

  test('a place on the host that cannot be made is told in Docker’s words', () => {
    const hostConfig = host({ Binds: ['/proc/netloom/x:/data'] })
    const container = { mounts: plan(hostConfig).points, hostConfig } as unknown as Container
    const message = "error while creating mount source path '/proc/netloom/x': mkdir /proc/netloom: no such file or directory"
    assert.throws(() => dataMounts(container), { name: 'ApiError', message })
  })

  test('volumes of a container that is none, or in a mode that is none', () => {
    const find = (): never => {
      throw ApiError.notFound('No such container: gone')
    }
    const planner = { volumesDirectory: '/state/volumes', newId: () => 'id', find }
    const refusal = (reference: string, message: string): void =>
      assert.throws(() => planMounts(merged({ Image: 'x' }), host({ VolumesFrom: [reference] }), planner), { status: 400, message })
    refusal('gone', 'No such container: gone')
    refusal('gone:bad', 'invalid mode: bad')
  })

  test('a path in a volume stays in it', () => {
    const volume = (Subpath: string, Source = ''): object => ({ Type: 'volume', Source, Target: '/x', VolumeOptions: { Subpath } })
    const refusal = (mount: object, why: string): void =>
      assert.throws(() => plan({ Mounts: [mount] }), { message: `invalid mount config for type "volume": ${why}` })
    for (const path of ['/etc', '..', '../x', 'a/../../x'])
      refusal(volume(path, 'vol'), 'subpath must be a relative path within the volume')
    refusal(volume('a'), 'must not set Subpath when using anonymous volumes')
    assert.equal(plan({ Mounts: [volume('a/..b', 'vol')] }).points[0]!.Source, '/state/volumes/vol/_data')
    assert.deepEqual(host({ Mounts: [volume('a', 'vol')] }).Mounts, [
      { Type: 'volume', Source: 'vol', Target: '/x', VolumeOptions: { Subpath: 'a' } }
    ])
  })
})
