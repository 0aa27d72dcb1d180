/** The small parts of Docker's commands: command lines, units, ports, keys, requests. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { timeOf } from '../../src/cli/commands/logs.ts'
import { processContext } from '../../src/cli/context.ts'
import { createRequest } from '../../src/cli/docker/create-request.ts'
import { DetachKeys, parseDetachKeys } from '../../src/cli/docker/detach-keys.ts'
import { displayPorts } from '../../src/cli/docker/display-ports.ts'
import { normalizeArguments } from '../../src/cli/docker/docker-arguments.ts'
import { compareNaturally, ellipsis, goTimeOf, humanDuration, humanSize } from '../../src/cli/docker/human-units.ts'
import { createProgram } from '../../src/cli/program.ts'
import { readPortMappings } from '../../src/client/port-mappings.ts'

describe("docker's command line", () => {
  const program = createProgram(processContext())
  const CASES: readonly [line: string, normalized: string][] = [
    ['run busybox ls -l', 'run -- busybox ls -l'],
    ['run -itd --name x busybox -h', 'run -itd --name x -- busybox -h'],
    ['run -e A=1 -eB=2 --env=C=3 busybox --rm', 'run -e A=1 -eB=2 --env=C=3 -- busybox --rm'],
    ['run -ite A=1 busybox x', 'run -ite A=1 -- busybox x'],
    ['run --rm=true -i=false -t=1 busybox', 'run --rm -t -- busybox'],
    ['run --sig-proxy=false busybox', 'run --no-sig-proxy -- busybox'],
    ['attach --sig-proxy=false --no-stdin web', 'attach --no-sig-proxy --no-stdin web'],
    ['attach --sig-proxy=true front --pid 7', 'attach --sig-proxy front --pid 7'],
    ['run -- busybox -x', 'run -- busybox -x'],
    ['exec -u root web ls -a', 'exec -u root -- web ls -a'],
    ['network create --internal=true --subnet 192.0.2.0/24 front', 'network create --internal --subnet 192.0.2.0/24 front'],
    ['ps -a --filter name=x', 'ps -a --filter name=x'],
    ['demo --json=false', 'demo --json=false'],
    ['nonsense -x y', 'nonsense -x y']
  ]
  for (const [line, normalized] of CASES) {
    it(line, () => assert.equal(normalizeArguments(program, line.split(' ')).join(' '), normalized))
  }
})

describe('units', () => {
  it('sizes, lengths of time, names, times', () => {
    assert.deepEqual(
      [0, 999, 1000, 1_980_000, 72_345_678, 1e12].map((bytes) => humanSize(bytes)),
      ['0B', '999B', '1kB', '1.98MB', '72.3MB', '1TB']
    )
    const times: readonly [number, string][] = [
      [0.4, 'Less than a second'],
      [1, '1 second'],
      [59, '59 seconds'],
      [60, 'About a minute'],
      [120, '2 minutes'],
      [3599, '59 minutes'],
      [3600, 'About an hour'],
      [5400, '2 hours'],
      [47 * 3600, '47 hours'],
      [48 * 3600, '2 days'],
      [14 * 86400, '2 weeks'],
      [60 * 86400, '2 months'],
      [800 * 86400, '2 years']
    ]
    for (const [seconds, text] of times) assert.equal(humanDuration(seconds), text)
    assert.equal(ellipsis('abcdef', 4), 'abc…')
    assert.deepEqual(['net10', 'net2', 'a', 'net2b'].sort(compareNaturally), ['a', 'net2', 'net2b', 'net10'])
    assert.equal(goTimeOf('2026-11-21T12:00:00.5Z'), '2026-11-21 12:00:00.5 +0000 UTC')
    assert.equal(timeOf('1h30m', 10_000_000), '4600.000000000')
    assert.equal(timeOf('1970-01-01T00:00:02Z', 0), '2.000000000')
    assert.throws(() => timeOf('soon', 0), /invalid value for time/)
  })
})

describe('ports', () => {
  it('are shown as ranges where they are neighbours', () => {
    const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = 'tcp') => ({
      PrivatePort,
      Type,
      ...(PublicPort === undefined ? {} : { PublicPort }),
      ...(IP === undefined ? {} : { IP })
    })
    assert.equal(displayPorts([]), '')
    assert.equal(displayPorts([port(80), port(81), port(83), port(53, undefined, undefined, 'udp')]), '80-81/tcp, 53/udp, 83/tcp')
    assert.equal(displayPorts([port(80, 8080, '0.0.0.0'), port(80, 8080, '::')]), '0.0.0.0:8080->80/tcp, [::]:8080->80/tcp')
    assert.equal(displayPorts([port(80, 80, '0.0.0.0'), port(81, 81, '0.0.0.0'), port(443)]), '0.0.0.0:80-81->80-81/tcp, 443/tcp')
  })

  it('are read as docker reads them', () => {
    const { exposed, bindings } = readPortMappings(['8080:80', '127.0.0.1::53/udp', '[::1]:1-2:3-4', '9000-9010:90', '443'], ['7-8'])
    assert.deepEqual(Object.keys(exposed).sort(), ['3/tcp', '4/tcp', '443/tcp', '53/udp', '7/tcp', '8/tcp', '80/tcp', '90/tcp'])
    assert.deepEqual(bindings['80/tcp'], [{ HostIp: '', HostPort: '8080' }])
    assert.deepEqual(bindings['53/udp'], [{ HostIp: '127.0.0.1', HostPort: '' }])
    assert.deepEqual(bindings['4/tcp'], [{ HostIp: '::1', HostPort: '2' }])
    assert.deepEqual(bindings['90/tcp'], [{ HostIp: '', HostPort: '9000-9010' }])
    assert.deepEqual(bindings['443/tcp'], [{ HostIp: '', HostPort: '' }])
    for (const [text, message] of [
      ['80:', 'no port specified: 80:<empty>'],
      ['x:80', 'invalid hostPort: x'],
      ['80:x', 'invalid containerPort: x'],
      ['1-2:5-7', 'invalid ranges specified for container and host Ports: 5-7 and 1-2'],
      ['80/icmp', 'invalid proto: icmp'],
      ['host:80:80', 'invalid IP address: host']
    ] as const) {
      assert.throws(() => readPortMappings([text], []), { name: 'RangeError', message })
    }
  })
})

describe('detach keys', () => {
  it('are found across reads, and what only began like them is sent', () => {
    const take = (keys: string, ...typed: string[]) => {
      const watch = new DetachKeys(parseDetachKeys(keys))
      return typed.map((text) => {
        const { send, isDetached } = watch.take(Buffer.from(text, 'latin1'))
        return `${send.toString('latin1')}${isDetached ? '!' : ''}`
      })
    }
    assert.deepEqual(take('ctrl-p,ctrl-q', 'ab\x10', '\x11cd'), ['ab', '!'])
    assert.deepEqual(take('ctrl-p,ctrl-q', '\x10', 'x'), ['', '\x10x'])
    assert.deepEqual(take('ctrl-p,ctrl-q', '\x10\x10\x11'), ['\x10!'])
    assert.deepEqual(take('a,a,b', 'aaab'), ['a!'])
    assert.deepEqual(parseDetachKeys('ctrl-@,ctrl-[,ctrl-_,z'), [0, 27, 31, 122])
    assert.throws(() => parseDetachKeys('ctrl-p,nonsense'), /invalid detach keys/)
  })
})

describe('create request', () => {
  it('has the networks, and what is asked of the first of them', () => {
    const request = createRequest(
      'box',
      ['a', '-b'],
      { network: ['front', 'name=back,alias=z'], ip: '192.0.2.5', networkAlias: ['x'], tty: true },
      false,
      {}
    )
    assert.equal(request.HostConfig!.NetworkMode, 'front')
    assert.deepEqual(request.NetworkingConfig!.EndpointsConfig, {
      front: { IPAMConfig: { IPv4Address: '192.0.2.5' }, Aliases: ['x'] },
      back: { Aliases: ['z'] }
    })
    assert.deepEqual([request.Cmd, request.Tty, request.AttachStdin, request.AttachStdout], [['a', '-b'], true, false, true])
  })
  it('takes health checks, in nanoseconds', () => {
    const health = (options: object): unknown => createRequest('box', [], options, true, {}).Healthcheck
    assert.deepEqual(health({}), undefined)
    const asked = { healthCmd: 'test -e /ok', healthInterval: '1m30s', healthTimeout: '500ms', healthRetries: '2' }
    assert.deepEqual(health(asked), { Test: ['CMD-SHELL', 'test -e /ok'], Interval: 90e9, Timeout: 5e8, Retries: 2 })
    assert.deepEqual(health({ healthcheck: false }), { Test: ['NONE'] })
    assert.throws(() => health({ healthcheck: false, ...asked }), /--no-healthcheck conflicts with --health-\* options/)
    assert.throws(() => health({ healthInterval: '-1s' }), /--health-interval cannot be negative/)
    assert.throws(() => health({ healthInterval: 'soon' }), /invalid duration "soon"/)
  })
  it('takes variables from here, sizes with units, mounts', () => {
    const options = {
      env: ['A=1', 'HERE', 'NOT_HERE'],
      memory: '1.5g',
      mount: ['type=bind,src=/a,dst=/b,ro'],
      restart: 'on-failure:3',
      volume: ['/a:/b', '/c']
    }
    const { Env, HostConfig, Volumes, Cmd } = createRequest('box', [], options, true, { HERE: 'x' })
    assert.deepEqual(Env, ['A=1', 'HERE=x'])
    assert.equal(HostConfig!.Memory, 1.5 * 2 ** 30)
    assert.deepEqual(HostConfig!.Mounts, [{ Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true }])
    assert.deepEqual(HostConfig!.RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 3 })
    assert.deepEqual([HostConfig!.Binds, Volumes, Cmd], [['/a:/b'], { '/c': {} }, null])
  })
})
