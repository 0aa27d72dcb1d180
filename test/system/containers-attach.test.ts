// Attach, exec and terminals over hijacked connections; events, stats, health checks and limits.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, daemonMissing, until } from '../docker/daemon-process.ts'
import { Hijacked } from '../docker/hijacked.ts'

describe('attached to containers', { skip: daemonMissing() }, () => {
  const daemon = new DaemonProcess()
  before(() => daemon.start())
  after(() => daemon.down())
  const open = (target: string, body?: unknown): Promise<Hijacked> => Hijacked.open(daemon.socket, `/v1.41${target}`, body)
  const create = async (name: string, config: object): Promise<void> => {
    const { status, body } = await daemon.api('POST', `/v1.41/containers/create?name=${name}`, {
      Image: 'box',
      HostConfig: { NetworkMode: 'none' },
      ...config
    })
    assert.equal(status, 201, body)
  }
  const start = async (name: string): Promise<void> =>
    assert.equal((await daemon.api('POST', `/v1.41/containers/${name}/start`)).status, 204)
  const ALL = 'stream=1&stdin=1&stdout=1&stderr=1'

  test('several clients see all output from the start; each asks for its streams', async () => {
    await create('many', { Cmd: ['sh', '-c', 'echo out; echo err >&2; read line; echo got $line'], OpenStdin: true })
    const clients = [
      await open(`/containers/many/attach?${ALL}`),
      await open('/containers/many/attach?stream=1&stdout=1'),
      await open('/containers/many/attach?stream=1&stderr=1')
    ]
    await start('many')
    clients[0]!.socket.write('hello\n')
    await Promise.all(clients.map((client) => client.end()))
    assert.deepEqual(
      clients.map(({ streams }) => streams),
      [
        { stdout: 'out\ngot hello\n', stderr: 'err\n' },
        { stdout: 'out\ngot hello\n', stderr: '' },
        { stdout: '', stderr: 'err\n' }
      ]
    )
    const later = await open('/containers/many/attach?logs=1&stdout=1&stderr=1')
    await later.end()
    assert.deepEqual(later.streams, { stdout: 'out\ngot hello\n', stderr: 'err\n' })
    await daemon.ok('rm', 'many')
  })

  test('the end of stdin closes it only where StdinOnce says so', async () => {
    for (const StdinOnce of [true, false]) {
      await create('stdin', { Cmd: ['sh', '-c', 'cat; echo end'], OpenStdin: true, StdinOnce })
      const client = await open(`/containers/stdin/attach?${ALL}`)
      await start('stdin')
      client.socket.end('first ')
      if (!StdinOnce) {
        await until('it arrived', () => client.streams.stdout === 'first ')
        const second = await open(`/containers/stdin/attach?${ALL}`)
        second.socket.write('second ')
        await until('both have it', () => client.streams.stdout === 'first second ' && second.streams.stdout === 'second ')
        await daemon.ok('kill', 'stdin')
        await second.end()
      }
      await client.end()
      assert.equal(client.streams.stdout, StdinOnce ? 'first end\n' : 'first second ')
      await daemon.ok('rm', 'stdin')
    }
  })

  test('a client that is killed in the middle ends the stdin that is its own', async () => {
    await create('killed', { Cmd: ['sh', '-c', 'cat; echo end'], OpenStdin: true, StdinOnce: true })
    const client = await open(`/containers/killed/attach?${ALL}`)
    await start('killed')
    client.socket.pause()
    client.socket.write('x'.repeat(1 << 20))
    await until('output comes that the client does not read', async () => (await daemon.ok('logs', 'killed')).length > 1 << 19)
    // Unread bytes make the kernel reset the connection: the daemon sees an error, not an end.
    client.socket.destroy()
    assert.equal(await daemon.ok('wait', 'killed'), '0')
    await daemon.ok('rm', 'killed')
  })

  test('who gives up waiting leaves no connection behind', async () => {
    await daemon.ok('run', '-d', '--name', 'waited', '--net', 'none', 'box', 'sleep', '1000')
    const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length
    const before = descriptors()
    for (let i = 0; i < 8; i++) {
      const socket = connect({ path: daemon.socket, allowHalfOpen: true })
      socket.write('POST /v1.41/containers/waited/wait HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n')
      await once(socket, 'data')
      if (i % 2 === 0) socket.destroy()
      else socket.end()
    }
    await until('the daemon lets go of them', () => descriptors() <= before)
    await daemon.ok('rm', '-f', 'waited')
  })

  test('a terminal: raw output, its size, and the keys that detach', async () => {
    await create('term', { Cmd: ['sh'], Tty: true, OpenStdin: true })
    const first = await open(`/containers/term/attach?${ALL}`)
    await start('term')
    assert.equal((await daemon.api('POST', '/v1.41/containers/term/resize?h=41&w=121')).status, 200)
    first.socket.write('stty -echo; stty size; echo $((40 + 2)) $TERM\n')
    await until('the shell answers', () => first.text.includes('41 121\r\n') && first.text.includes('42 xterm\r\n'))
    first.socket.write('\x10\x11')
    await first.end()
    assert.equal(await daemon.ok('inspect', '-f', '{{.State.Running}}', 'term'), 'true')
    const second = await open(`/containers/term/attach?${ALL}&detachKeys=x,y`)
    second.socket.write('echo a\x10\x11; echo $((70 + 7))\n')
    await until('the keys of the default mean nothing now', () => second.text.includes('77\r\n'))
    assert.ok(!second.text.includes('41 121'), 'what came before is not repeated')
    second.socket.write('xy')
    await second.end()
    assert.equal((await daemon.api('POST', '/v1.41/containers/term/attach?detachKeys=ctrl-')).status, 400)
    assert.equal((await daemon.api('POST', '/v1.41/containers/term/resize?h=x&w=1')).status, 400)
    await daemon.ok('rm', '-f', 'term')
  })

  test('exec: inspected before, while and after; resized; never twice', async () => {
    await daemon.ok('run', '-d', '--name', 'host', '--net', 'none', 'box', 'sleep', '1000')
    const make = async (body: object): Promise<string> =>
      JSON.parse((await daemon.api('POST', '/v1.41/containers/host/exec', body)).body).Id
    const inspect = async (id: string): Promise<Record<string, unknown>> =>
      JSON.parse((await daemon.api('GET', `/v1.41/exec/${id}/json`)).body)
    const id = await make({ Cmd: ['sh'], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true })
    assert.deepEqual([(await inspect(id))['Running'], (await inspect(id))['ExitCode']], [false, null])
    const client = await open(`/exec/${id}/start`, { Detach: false, Tty: true })
    client.socket.write('stty -echo; echo $((2 + 3)) ready\n')
    await until('the shell answers', () => client.text.includes('5 ready'))
    assert.deepEqual(JSON.parse(await daemon.ok('inspect', '-f', '{{json .ExecIDs}}', 'host')), [id])
    assert.equal((await daemon.api('POST', `/v1.41/exec/${id}/resize?h=30&w=90`)).status, 200)
    client.socket.write('stty size; exit 12\n')
    await client.end()
    assert.match(client.text, /30 90\r\n/)
    const ended = await until('it has ended', async () => (await inspect(id))['Running'] === false && inspect(id))
    assert.equal(ended['ExitCode'], 12)
    assert.equal((await daemon.api('POST', `/v1.41/exec/${id}/start`, {})).status, 409)
    assert.equal((await daemon.api('GET', '/v1.41/exec/nosuch/json')).body, '{"message":"No such exec instance: nosuch"}\n')
    assert.equal((await daemon.api('POST', '/v1.41/containers/host/exec', { Cmd: [] })).body, '{"message":"No exec command specified"}\n')
    const mixed = await open(
      `/exec/${await make({ Cmd: ['sh', '-c', 'echo a; echo b >&2'], AttachStdout: true, AttachStderr: true })}/start`,
      {}
    )
    await mixed.end()
    assert.deepEqual(mixed.streams, { stdout: 'a\n', stderr: 'b\n' })
    await daemon.ok('rm', '-f', 'host')
  })

  test('events in order, with their attributes', async () => {
    const since = (Date.now() / 1000).toFixed(3)
    await daemon.ok('run', '-d', '--name', 'told', '--label', 'color=red', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.ok('exec', 'told', 'true')
    await daemon.ok('pause', 'told')
    await daemon.ok('unpause', 'told')
    await daemon.ok('rename', 'told', 'renamed')
    await daemon.ok('restart', '-t', '0', 'renamed')
    await daemon.ok('rm', '-f', 'renamed')
    const lines = await daemon.ok(
      'events',
      '--since',
      since,
      '--until',
      `${Math.ceil(Date.now() / 1000) + 1}`,
      '-f',
      'type=container',
      '--format',
      '{{json .}}'
    )
    const events = lines.split('\n').map((line) => JSON.parse(line) as { Action: string; Actor: { Attributes: Record<string, string> } })
    const words = events.map(({ Action }) => Action).join(', ')
    assert.equal(
      words,
      'create, start, exec_create: true , exec_start: true , exec_die, pause, unpause, rename, kill, kill, die, stop, start, restart, kill, die, destroy'
    )
    const attributes = (action: string): Record<string, string> => events.find(({ Action }) => Action === action)!.Actor.Attributes
    assert.deepEqual(attributes('create'), { color: 'red', image: 'box', name: 'told' })
    assert.deepEqual(attributes('rename'), { color: 'red', image: 'box', name: 'renamed', oldName: '/told' })
    assert.equal(attributes('die')['exitCode'], '137')
    assert.equal(attributes('kill')['signal'], '15')
    assert.equal(attributes('exec_die')['exitCode'], '0')
  })

  test('stats count what crosses the network', async () => {
    await daemon.ok('network', 'create', '--subnet', '192.0.2.0/24', 'net')
    await daemon.ok('run', '-d', '--name', 'far', '--net', 'net', 'box', 'sleep', '1000')
    await daemon.ok('run', '-d', '--name', 'near', '--net', 'net', 'box', 'sleep', '1000')
    const stats = async (): Promise<{
      networks: Record<string, Record<string, number>>
      memory_stats: { usage: number }
      pids_stats: { current: number }
    }> => JSON.parse((await daemon.api('GET', '/v1.41/containers/near/stats?stream=0&one-shot=1')).body)
    const before = await stats()
    await daemon.ok('exec', 'near', 'sh', '-c', 'for i in 1 2 3; do getent hosts far; done')
    const { networks, memory_stats, pids_stats } = await stats()
    const more = (counter: string): number => networks['eth0']![counter]! - before.networks['eth0']![counter]!
    assert.ok(more('tx_packets') >= 3 && more('rx_packets') >= 3, 'three questions and answers')
    assert.ok(more('tx_bytes') > 3 * 42 && more('rx_bytes') > 3 * 42)
    assert.ok(memory_stats.usage > 0)
    assert.equal(pids_stats.current, 1)
    assert.equal((await daemon.api('GET', '/v1.41/containers/nosuch/stats')).status, 404)
    await daemon.ok('rm', '-f', 'near', 'far')
    await daemon.ok('network', 'rm', 'net')
  })

  test('health checks: starting, healthy, unhealthy after retries', async () => {
    const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '100ms', '--health-retries', '2']
    await daemon.ok('run', '-d', '--name', 'patient', '--net', 'none', ...check, 'box', 'sleep', '1000')
    const health = (): Promise<string> => daemon.ok('inspect', '-f', '{{.State.Health.Status}}', 'patient')
    await until('it is unhealthy', async () => (await health()) === 'unhealthy')
    await daemon.ok('exec', 'patient', 'touch', '/tmp/well')
    await until('it is healthy', async () => (await health()) === 'healthy')
    const probes = ['events', '--since', '1m', '--until', '0s', '--filter', 'container=patient', '--format', '{{.Action}}']
    // The client's 0s is the second that has begun: what happened in it is told in the next one.
    await until('probes are told', async () => {
      const told = (await daemon.ok(...probes)).split('\n')
      return ['exec_create: /bin/sh -c test -e /tmp/well', 'exec_start: /bin/sh -c test -e /tmp/well', 'exec_die'].every((action) =>
        told.includes(action)
      )
    })
    assert.match(await daemon.ok('ps', '--format', '{{.Status}}', '-f', 'health=healthy'), /\(healthy\)$/)
    await daemon.ok('rm', '-f', 'patient')
  })

  test('capabilities, sysctls, host and domain names, read-only root, tmpfs', async () => {
    const run = (...args: string[]): Promise<string> => daemon.ok('run', '--rm', '--net', 'none', ...args)
    const mask = (text: string): string => /CapEff:\s+(\w+)/.exec(text)![1]!
    assert.equal(mask(await run('box', 'cat', '/proc/self/status')), '00000000a80425fb')
    assert.equal(mask(await run('--cap-add', 'NET_ADMIN', '--cap-drop', 'chown', 'box', 'cat', '/proc/self/status')), '00000000a80435fa')
    assert.equal(await run('--sysctl', 'net.ipv4.ip_forward=1', 'box', 'cat', '/proc/sys/net/ipv4/ip_forward'), '1')
    assert.equal(
      await run('-h', 'web', '--domainname', 'example.org', 'box', 'cat', '/proc/sys/kernel/hostname', '/proc/sys/kernel/domainname'),
      'web\nexample.org'
    )
    assert.equal(
      await run(
        '--read-only',
        '--tmpfs',
        '/scratch',
        'box',
        'sh',
        '-c',
        'touch /scratch/x && echo written; touch /x 2>/dev/null || echo refused'
      ),
      'written\nrefused'
    )
    assert.equal(await run('--init', 'box', 'sh', '-c', 'echo $(($$ != 1))'), '1')
  })
})
