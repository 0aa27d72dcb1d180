// Real programs through masquerade and published ports, in both directions, with the daemon's default uplink.
//
//   containers | daemon's host 192.0.2.50 --- 192.0.2.60 world 198.51.100.1 --- 198.51.100.10 far
//                  2001:db8::50             2001:db8::60
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/**
 * HTTP at port 80, with a backlog for a crowd that comes at once, and patience with one that gets no processor to go on: says how many
 * connections there were; on its output 'listening'.
 */
const HTTP = `let connections = 0
  require('node:http').createServer({ keepAliveTimeout: 600_000 }, (request, answer) => answer.end(String(connections))).on('connection', () => connections++)
    .listen({ port: 80, host: '::', backlog: 4096 }, () => console.log('listening'))`

/** DNS over UDP and TCP: every name has the client's address as its text (RFC 1035, 4.1); says 'listening'. */
const DNS = `
  const answer = (query, client) => {
    let end = 12
    while (query[end] !== 0) end += 1 + query[end]
    const text = Buffer.from(client.replace('::ffff:', ''))
    const header = Buffer.from([query[0], query[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0])
    const record = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, text.length + 1, text.length])
    return Buffer.concat([header, query.subarray(12, end + 5), record, text])
  }
  const udp = require('node:dgram').createSocket('udp4')
  udp.on('message', (data, { address, port }) => udp.send(answer(data, address), port, address))
  require('node:net').createServer((socket) => {
    socket.on('data', (data) => {
      const message = answer(data.subarray(2), socket.remoteAddress)
      socket.end(Buffer.concat([Buffer.from([0, message.length]), message]))
    })
  }).listen(53, () => udp.bind(53, () => console.log('listening')))`

interface Iperf {
  readonly error?: string
  readonly end: {
    readonly sum_sent?: { readonly bytes: number }
    readonly sum_received?: { readonly bytes: number }
    readonly sum?: { readonly packets: number; readonly lost_packets: number }
  }
}

const MEGA = 1e6
const BYTES = 30 * MEGA

describe('real programs', { skip: namespacesMissing('docker', 'ip', 'nft', 'iperf3', 'dig', 'ping', 'busybox', 'wrk', 'curl') }, () => {
  const [host, world, far] = [new TestNamespace(), new TestNamespace(), new TestNamespace()]
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-programs-'))
  const socket = path.join(folder, 'd.sock')
  let daemon: DaemonProcess

  const ip = (netns: TestNamespace, ...commands: string[]): void => {
    for (const command of commands) netns.run('ip', ...command.split(' '))
  }
  const started = (child: ChildProcess): Promise<unknown> => once(child.stdout!, 'data')
  const inside = (container: string, ...argv: string[]): string => docker(socket, 'exec', container, ...argv)
  const run = (name: string, options: readonly string[], ...argv: string[]): void => {
    docker(socket, 'run', '-d', '--name', name, ...options, 'alpine', ...argv)
    for (let log = ''; !log.includes('listening'); ) {
      log = docker(socket, 'logs', name)
      assert.equal(docker(socket, 'inspect', '-f', '{{.State.Running}}', name), 'true', log)
    }
  }
  /** What a transfer measured; a server is busy for a moment after the one before. Throws what iperf3 says. */
  const transfer = (run: () => string): Iperf['end'] => {
    for (;;) {
      const { error, end } = JSON.parse(run()) as Iperf
      if (error === undefined) return end
      assert.match(error, /the server is busy/)
    }
  }
  const checkTcp = (run: () => string): void => {
    const { sum_sent: sent, sum_received: received } = transfer(run)
    // The receiver is told of the end beside the data, and does not wait for the last of it.
    assert.ok(sent!.bytes >= BYTES && received!.bytes > BYTES / 2, `${sent!.bytes} sent, ${received!.bytes} received`)
  }
  const checkUdp = (run: () => string): void => {
    const { packets, lost_packets: lost } = transfer(run).sum!
    assert.ok(packets >= 400 && lost < packets / 10, `${lost} of ${packets} were lost`)
  }
  /** A command that prints what went wrong, too, and does not throw then. */
  const quietly = (argv: readonly string[]): string[] => ['sh', '-c', `${argv.join(' ')} || true`]
  const tcp = (...more: string[]): string[] => ['iperf3', '-J', '-n', String(BYTES), ...more]
  // All of them have room in the receiver's buffer (the kernel books 768 bytes for each), so that one that is late loses none.
  const udp = (...more: string[]): string[] => ['iperf3', '-J', '-u', '-l', '200', '-w', '208K', '-b', '1M', '-n', '82K', ...more]

  before(async () => {
    for (const netns of [host, world, far]) ip(netns, 'link set lo up')
    ip(host, `link add eth0 type veth peer name lan0 netns ${world.path}`, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0')
    ip(world, `link add wan0 type veth peer name eth0 netns ${far.path}`, 'link set wan0 up', 'link set lan0 up')
    ip(world, 'address add 192.0.2.60/24 dev lan0', 'address add 2001:db8::60/64 dev lan0 nodad', 'address add 198.51.100.1/24 dev wan0')
    ip(far, 'link set eth0 up', 'address add 198.51.100.10/24 dev eth0', 'route add default via 198.51.100.1')
    ip(host, 'address add 2001:db8::50/64 dev eth0 nodad', 'route add default via 192.0.2.60', 'route add default via 2001:db8::60')
    ip(world, 'route add 2001:db8:20::/64 via 2001:db8::50')
    world.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
    world.start('iperf3', '-s')
    await Promise.all([started(world.start(process.execPath, '-e', DNS)), started(world.start(process.execPath, '-e', HTTP))])
    daemon = new DaemonProcess(host, ['--host', `unix://${socket}`, '--state-dir', path.join(folder, 'state')])
    await daemon.ready()
    docker(socket, 'network', 'create', '--ipv6', '--subnet', '172.20.0.0/24', '--subnet', '2001:db8:20::/64', 'six')
    const iperf = ['sh', '-c', 'echo listening; exec iperf3 -s']
    run('throughput', ['--network', 'six', '-p', '5301:5201', '-p', '5301:5201/udp'], ...iperf)
    run('names', ['-p', '5353:53', '-p', '5353:53/udp'], process.execPath, '-e', DNS)
    run('web', ['-p', '8080:80', '--ulimit', 'nofile=10000'], process.execPath, '-e', HTTP)
  })
  after(async () => {
    docker(socket, 'rm', '-f', 'throughput', 'names', 'web')
    await daemon.stop()
    for (const netns of [host, world, far]) netns.close()
    rmSync(folder, { recursive: true })
  })

  test('iperf3 out, in both directions, IPv6 too', () => {
    checkTcp(() => inside('throughput', ...quietly(tcp('-c', '192.0.2.60'))))
    checkTcp(() => inside('throughput', ...quietly(tcp('-R', '-c', '192.0.2.60'))))
    checkTcp(() => inside('throughput', ...quietly(tcp('-c', '2001:db8::60'))))
    checkUdp(() => inside('throughput', ...quietly(udp('-c', '192.0.2.60'))))
  })

  test('iperf3 in by a published port, in both directions, IPv6 too', () => {
    checkTcp(() => world.run(...(quietly(tcp('-c', '192.0.2.50', '-p', '5301')) as [string])))
    checkTcp(() => world.run(...(quietly(tcp('-R', '-c', '192.0.2.50', '-p', '5301')) as [string])))
    checkTcp(() => world.run(...(quietly(tcp('-c', '2001:db8::50', '-p', '5301')) as [string])))
    checkUdp(() => world.run(...(quietly(udp('-c', '192.0.2.50', '-p', '5301')) as [string])))
    checkTcp(() => host.run(...(quietly(tcp('-c', '127.0.0.1', '-p', '5301')) as [string])))
  })

  test('dig, by UDP and TCP: out with the host’s address, in with the client’s', () => {
    for (const by of ['+notcp', '+tcp']) {
      assert.equal(inside('web', 'dig', by, '+short', '@192.0.2.60', 'out.test', 'TXT'), '"192.0.2.50"')
      assert.equal(world.run('dig', by, '+short', '-p', '5353', '@192.0.2.50', 'in.test', 'TXT'), '"192.0.2.60"\n')
    }
  })

  test('ping and traceroute: the gateway, the world, and who is behind it', () => {
    assert.match(inside('web', 'ping', '-n', '-c', '2', '-i', '0.2', '-w', '60', '198.51.100.10'), / ([2-9]|\d\d+) received/)
    assert.match(inside('throughput', 'ping', '-n', '-c', '1', '-W', '60', '2001:db8::60'), /1 received/)
    const hops = inside('web', 'busybox', 'traceroute', '-n', '-q', '2', '-w', '30', '198.51.100.10')
    assert.deepEqual(
      hops
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/)[1]),
      ['172.17.0.1', '192.0.2.60', '198.51.100.10']
    )
  })

  for (const [way, client] of [
    ['out', (...argv: string[]) => inside('web', ...argv, 'http://192.0.2.60/')],
    ['in by a published port', (...argv: string[]) => world.run(...(argv as [string]), 'http://192.0.2.50:8080/')]
  ] as const) {
    test(`wrk with a thousand connections: ${way}`, () => {
      // It runs for a time and not for a number: on a busy machine it gets as long as it needs.
      for (let requests = 0, seconds = 2; requests < 1000; seconds *= 2) {
        assert.ok(seconds <= 32, `${requests} requests`)
        const report = client('wrk', '-t', '2', '-c', '1000', '-d', `${seconds}s`, '--timeout', '60s')
        assert.doesNotMatch(report, /Socket errors|Non-2xx/, report)
        requests = Number(/(\d+) requests in/.exec(report)?.[1])
      }
      assert.ok(Number(client('curl', '-sS', '-m', '60')) > 1000)
    })
  }
})
