import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'
import { outputFrame } from '../../src/api/output-frame.ts'
import { Container, type ContainerRecord } from '../../src/docker/container/container.ts'
import { type ListSources, selectContainers } from '../../src/docker/container/container-list.ts'
import { ContainerRegistry } from '../../src/docker/container/container-registry.ts'
import { formatTime, humanDuration, newState, parseTime, statusText } from '../../src/docker/container/container-status.ts'
import { parsePs } from '../../src/docker/container/container-top.ts'
import { completeHostConfig } from '../../src/docker/container/create-config.ts'
import { exitCodeOf } from '../../src/docker/container/exit-code.ts'
import { Moments } from '../../src/docker/container/moments.ts'
import { RestartDelay, shouldRestart } from '../../src/docker/container/restart-policy.ts'
import { emptyNetworking } from '../../src/docker/network/container-networking.ts'
import { emptyConfig } from '../../src/image/image-config.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'

const SECOND = 1_000_000_000n

function container(number: number, members: Partial<ContainerRecord> = {}): Container {
  const record: ContainerRecord = {
    id: number.toString(16).padStart(4, '0').repeat(16),
    name: `name${number}`,
    created: formatTime(BigInt(1000 + number) * SECOND),
    config: emptyConfig(),
    hostConfig: completeHostConfig(null),
    state: newState(),
    networking: emptyNetworking(),
    image: { id: 'sha256:1', name: 'box', layers: 'host' },
    path: 'true',
    args: [],
    mounts: [],
    anonymousVolumes: [],
    restartCount: 0,
    manuallyStopped: false,
    linkedEnvironment: [],
    ...members
  }
  return new Container(record, `/state/${record.id}`, new MemoryStore())
}

describe('restart policies', () => {
  const exit = { exitCode: 0, manuallyStopped: false, restartCount: 0 }
  const policy = (Name: string, MaximumRetryCount = 0): { Name: string; MaximumRetryCount: number } => ({ Name, MaximumRetryCount })

  test('each policy at an exit and at daemon start', () => {
    const failed = { ...exit, exitCode: 3 }
    const byHand = { ...exit, exitCode: 137, manuallyStopped: true }
    const rows: [string, object, boolean, boolean][] = [
      ['', failed, false, false],
      ['no', failed, false, false],
      ['always', exit, true, true],
      ['always', byHand, false, true],
      ['unless-stopped', exit, true, true],
      ['unless-stopped', byHand, false, false],
      ['on-failure', exit, false, false],
      ['on-failure', failed, true, true],
      ['on-failure', byHand, false, false]
    ]
    for (const [name, state, atExit, atStart] of rows) {
      assert.equal(shouldRestart(policy(name), state as typeof exit), atExit, `${name} at an exit`)
      assert.equal(shouldRestart(policy(name), state as typeof exit, true), atStart, `${name} at daemon start`)
    }
    assert.equal(shouldRestart(policy('on-failure', 2), { ...failed, restartCount: 1 }), true)
    assert.equal(shouldRestart(policy('on-failure', 2), { ...failed, restartCount: 2 }), false)
  })

  test('delays double up to a minute, and begin again after ten seconds of running', () => {
    const delay = new RestartDelay()
    assert.deepEqual(
      Array.from({ length: 12 }, () => delay.next(0)),
      [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]
    )
    assert.equal(delay.next(10e9), 100)
    assert.equal(delay.next(0), 200)
  })
})

describe('times and states', () => {
  test('times keep their nanoseconds, without trailing zeros', () => {
    for (const [time, text] of [
      [1_795_204_548_196_144_182n, '2026-11-20T19:55:48.196144182Z'],
      [1_795_204_548_100_000_000n, '2026-11-20T19:55:48.1Z'],
      [1_795_204_548_000_000_000n, '2026-11-20T19:55:48Z']
    ] as const) {
      assert.equal(formatTime(time), text)
      assert.equal(parseTime(text), time)
    }
  })

  test('durations in words', () => {
    const rows: [number, string][] = [
      [0, 'Less than a second'],
      [1, '1 second'],
      [59, '59 seconds'],
      [60, 'About a minute'],
      [150, '2 minutes'],
      [3600, 'About an hour'],
      [2 * 86_400 - 3600, '47 hours'],
      [3 * 86_400, '3 days'],
      [20 * 86_400, '2 weeks'],
      [90 * 86_400, '3 months'],
      [800 * 86_400, '2 years']
    ]
    for (const [seconds, text] of rows) assert.equal(humanDuration(BigInt(seconds) * SECOND), text)
  })

  test('states in words', () => {
    const now = 10_000n * SECOND
    const at = (seconds: number): string => formatTime(now - BigInt(seconds) * SECOND)
    const state = (members: object): string => statusText({ ...newState(), ...members }, now)
    assert.equal(state({}), 'Created')
    assert.equal(state({ Running: true, StartedAt: at(5) }), 'Up 5 seconds')
    assert.equal(state({ Running: true, Paused: true, StartedAt: at(5) }), 'Up 5 seconds (Paused)')
    assert.equal(state({ Running: true, StartedAt: at(5), Health: { Status: 'starting' } }), 'Up 5 seconds (health: starting)')
    assert.equal(
      state({ Running: true, Restarting: true, ExitCode: 1, StartedAt: at(9), FinishedAt: at(3) }),
      'Restarting (1) 3 seconds ago'
    )
    assert.equal(state({ StartedAt: at(9), FinishedAt: at(3), ExitCode: 137 }), 'Exited (137) 3 seconds ago')
  })

  test('exit codes', () => {
    assert.equal(exitCodeOf({ code: 3, signal: null }), 3)
    assert.equal(exitCodeOf({ code: null, signal: 'SIGTERM' }), 143)
    assert.equal(exitCodeOf({ code: null, signal: 'SIG34' as NodeJS.Signals }), 162)
    assert.equal(exitCodeOf(null), 137)
  })

  test('moments call back once, in order, and not after they were forgotten', async () => {
    const moments = new Moments()
    const seen: string[] = []
    moments.on('ended', () => seen.push('first'))
    const forget = moments.on('ended', () => seen.push('never'))
    moments.on('ended', () => seen.push('second'))
    const next = moments.next('stopped')
    forget()
    moments.reached('ended')
    moments.reached('ended')
    assert.deepEqual(seen, ['first', 'second'])
    moments.reached('stopped')
    await next
  })
})

describe('the registry', () => {
  test('finds by id, name, slash and name, prefix; refuses ambiguous and unknown ones', () => {
    const registry = new ContainerRegistry()
    const [one, two] = [container(1), container(2)]
    for (const each of [one!, two!]) {
      registry.reserve(each.name, each.id)
      registry.add(each)
    }
    for (const reference of [one!.id, 'name1', '/name1', '0001', one!.id.slice(0, 12), one!.id.slice(0, 30)])
      assert.equal(registry.find(reference), one)
    assert.throws(() => registry.find('000'), { status: 400, message: 'Multiple IDs found with provided prefix: 000' })
    for (const reference of ['', 'nosuch', '0001f'])
      assert.throws(() => registry.find(reference), { status: 404, message: `No such container: ${reference}` })
    assert.throws(() => registry.reserve('name1', two!.id), { status: 409 })
    registry.delete(one!)
    assert.throws(() => registry.find('0001'), { status: 404 })
    registry.reserve('name1', two!.id)
  })
})

describe('the list', () => {
  const registry = new ContainerRegistry()
  const running = { ...newState(), Status: 'running' as const, Running: true, StartedAt: formatTime(2000n * SECOND) }
  const exited = { ...newState(), Status: 'exited' as const, ExitCode: 3, StartedAt: formatTime(2000n * SECOND) }
  const made = [
    container(1, { state: running, config: { ...emptyConfig(), Labels: { tier: 'front' }, ExposedPorts: { '80/tcp': {} } } }),
    container(2, { state: exited }),
    container(3, { image: { id: 'sha256:2', name: 'other', layers: 'host' } })
  ]
  for (const each of made) {
    registry.reserve(each.name, each.id)
    registry.add(each)
  }
  const sources = {
    registry,
    networking: { networks: () => ({ net: { NetworkID: 'abcdef' } }), ports: () => [{ PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] },
    images: { find: (name: string) => (name === 'box' ? { id: 'sha256:1' } : assert.fail()) }
  } as unknown as ListSources
  const names = (filters: object, options = {}): string => {
    const asked = { all: false, limit: 0, size: false, filters: Filters.parse(JSON.stringify(filters)), ...options }
    return selectContainers(asked, sources)
      .map(({ name }) => name.slice(-1))
      .join('')
  }

  test('running ones, all, a limit; newest first', () => {
    assert.equal(names({}), '1')
    assert.equal(names({}, { all: true }), '321')
    assert.equal(names({}, { limit: 2 }), '32')
  })

  test('filters', () => {
    const all = { all: true }
    const rows: [object, string, object?][] = [
      [{ status: ['created', 'exited'] }, '32'],
      [{ exited: ['3'] }, '2'],
      [{ before: ['name3'] }, '21'],
      [{ since: ['name1'] }, '32'],
      [{ name: ['ame[12]$'] }, '21', all],
      [{ name: ['^/name1$'] }, '1', all],
      [{ id: ['0002'] }, '2', all],
      [{ label: ['tier=front'] }, '1', all],
      [{ ancestor: ['box'] }, '21', all],
      [{ ancestor: ['nosuch'] }, '', all],
      [{ network: ['net'] }, '321', all],
      [{ network: ['abc'] }, '321', all],
      [{ network: ['xyz'] }, '', all],
      [{ publish: ['8080'] }, '321', all],
      [{ publish: ['8000-9000/udp'] }, '', all],
      [{ expose: ['79-81/tcp'] }, '1', all],
      [{ health: ['none'] }, '321', all],
      [{ 'is-task': ['true'] }, '', all],
      [{ 'is-task': ['false'] }, '321', all]
    ]
    for (const [filters, expected, options] of rows) assert.equal(names(filters, options), expected, JSON.stringify(filters))
  })

  test('refusals', () => {
    assert.throws(() => names({ nosuch: ['x'] }), { status: 400, message: "Invalid filter 'nosuch'" })
    assert.throws(() => names({ status: ['x'] }), { status: 400, message: "Invalid filter 'status=x'" })
    assert.throws(() => names({ before: ['nosuch'] }), { status: 500, message: 'no such container nosuch' })
  })
})

test('output is framed with its stream and length', () => {
  assert.deepEqual([...outputFrame(2, Buffer.from('ab'))], [2, 0, 0, 0, 0, 0, 0, 2, 97, 98])
})

test('the lines of ps that are the container’s', () => {
  const output = 'UID   PID  PPID CMD\nroot    1     0 init\nroot   42     1 sh -c sleep 1; echo\n'
  assert.deepEqual(parsePs(output, new Set([42])), {
    Titles: ['UID', 'PID', 'PPID', 'CMD'],
    Processes: [['root', '42', '1', 'sh -c sleep 1; echo']]
  })
  assert.throws(() => parsePs('CMD\nx\n', new Set()), { message: "Couldn't find PID field in ps output" })
})
