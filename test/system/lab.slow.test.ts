/** Labs from their file to their end, with real processes and the real docker client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabFolder } from './lab-process.ts'
import { namespacesMissing } from './test-namespace.ts'

const TWO_HOSTS = `
name: two
x-idle: &idle { image: alpine, command: sleep 999, init: true }
services:
  web: { <<: *idle, command: "busybox nc -ll -p 80 -e echo hello", x-netloom: { host: host1 }, ports: ["8080:80"] }
  client:
    <<: *idle
    depends_on: [web]
    x-netloom: { host: host2 }
    networks: { front: { ipv4_address: 10.5.0.9, aliases: [asker] } }
  echo: { x-netloom: { virtual: true, host: host2, udp_echo: [7] }, networks: [front] }
  probe: { x-netloom: { virtual: true, underlay: lan, address: 172.16.0.100/24 } }
  far: { x-netloom: { virtual: true, underlay: wan, address: 198.51.100.7/24 } }
networks:
  front: { ipam: { config: [{ subnet: 10.5.0.0/24 }] } }
x-netloom:
  underlays:
    lan: { subnet: 172.16.0.0/24, gateway: 172.16.0.254 }
    wan: { subnet: 198.51.100.0/24, gateway: 198.51.100.254 }
  hosts:
    host1: { eth0: { underlay: lan, address: 172.16.0.1/24 } }
    host2: { eth0: { underlay: lan, address: 172.16.0.2/24 }, nat: { timeouts: { udp: 500 } } }
  nat: { mapping: endpoint-independent, timeouts: { udp: 600, udpStream: 700 } }
  routers:
    edge: { interfaces: [{ underlay: lan, address: 172.16.0.254/24 }, { underlay: wan, address: 198.51.100.254/24 }] }
`

const ONE = `
name: one
services: { idle: { image: alpine, command: sleep 999, init: true } }
x-netloom: { uplink: none }
`

const WAITING = `
name: waiting
services:
  slow: { image: alpine, command: sleep 999, init: true, healthcheck: { test: "false", interval: 60s } }
  next: { image: alpine, depends_on: { slow: { condition: service_healthy } } }
x-netloom: { uplink: none }
`

/** A datagram from port 5000 to port 7 of each address. */
const ASK = `
  const socket = require('node:dgram').createSocket('udp4').bind(5000)
  const send = ([address, ...others]) => (address === undefined ? socket.close() : socket.send('x', 7, address, () => send(others)))
  send(process.argv.slice(1))`

describe('labs', { skip: namespacesMissing('docker', 'busybox') }, () => {
  const folder = new LabFolder()
  after(() => folder.close())
  const on = (host: string, ...args: string[]): string => folder.docker('two', host, ...args)
  const pings = (address: string, seconds = 60): boolean =>
    folder.tryDocker('two', 'host2', 'exec', 'client', 'ping', '-c1', `-w${seconds}`, address).status === 0

  test('two hosts, each with its own docker, on one LAN behind a router', () => {
    const file = folder.write('two.yaml', TWO_HOSTS)
    const { hosts, services } = folder.up(file)
    assert.deepEqual(
      hosts.map(({ name, addresses, underlay, networks }) => [name, addresses, underlay, networks.map((network) => network.name)]),
      [
        ['host1', ['172.16.0.1/24'], 'lan', ['two_default']],
        ['host2', ['172.16.0.2/24'], 'lan', ['front']]
      ]
    )
    assert.deepEqual(
      services.map(({ name, host, addresses }) => [name, host, addresses]),
      [
        ['client', 'host2', ['10.5.0.9']],
        ['echo', 'host2', ['10.5.0.2']],
        ['web', 'host1', ['172.18.0.2']]
      ]
    )
    assert.equal(on('host1', 'network', 'ls', '--filter', 'type=custom', '--format', '{{.Name}} {{.Driver}}'), 'two_default bridge')
    assert.equal(on('host2', 'network', 'ls', '--filter', 'type=custom', '--format', '{{.Name}} {{.Driver}}'), 'front bridge')
    assert.equal(on('host1', 'info', '--format', '{{.Name}}'), 'host1')
    assert.equal(on('host2', 'ps', '--format', '{{.Names}} {{.Label "com.docker.compose.project"}}'), 'client two')
    for (const address of ['172.16.0.1', '172.16.0.100', '172.16.0.254', '198.51.100.7', 'echo', 'asker'])
      assert.ok(pings(address), address)
    assert.equal(pings('172.18.0.2', 2), false, "another host's bridge is not reached")
    // Until it listens.
    const ask = ['exec', 'client', 'busybox', 'nc', '-w30', '172.16.0.1', '8080']
    let said = ''
    for (let tries = 0; said === '' && tries < 300; tries++) said = folder.tryDocker('two', 'host2', ...ask).stdout
    assert.equal(said.trim(), 'hello')
  })

  test('hosts translate as the file says: a port outside is one station’s for whatever destination, and how long flows live', () => {
    type Flow = { original: { source: string; destination: string }; reply: { destinationPort: number }; timeout: number }
    /** As soon as there are so many: whoever sends is done before the router is. */
    const flows = (host: string, count: number): Flow[] => {
      let seen: Flow[] = []
      for (let tries = 0; seen.length < count && tries < 100; tries++)
        seen = JSON.parse(folder.run('show', 'nat', '--protocol', 'udp', '--json', '-H', folder.socket('two', host)).stdout)
      return seen
    }
    const ask = (...addresses: string[]): string[] => [process.execPath, '-e', ASK, ...addresses]
    // Both want port 5000 outside; without the setting both would have it, each for its own destination.
    on('host2', 'exec', 'client', ...ask('198.51.100.7'))
    on('host2', 'run', '--rm', '--network', 'front', 'alpine', ...ask('172.16.0.100'))
    const seen = flows('host2', 2)
    const outside = Object.fromEntries(seen.map(({ original, reply }) => [original.destination, reply.destinationPort]))
    assert.deepEqual(Object.keys(outside).sort(), ['172.16.0.100', '198.51.100.7'])
    assert.equal(outside['198.51.100.7'], 5000)
    assert.notEqual(outside['172.16.0.100'], 5000)
    for (const { timeout } of seen) assert.ok(timeout > 400 && timeout <= 500, `the host's own time-out: ${timeout}`)
    on('host1', 'run', '--rm', 'alpine', ...ask('172.16.0.100'))
    const [flow, ...others] = flows('host1', 1)
    assert.deepEqual(others, [])
    const { timeout } = flow!
    assert.ok(timeout > 500 && timeout <= 600, `the lab's: ${timeout}`)
  })

  test('is listed, is not started twice, and a network made later is on one host', () => {
    const list = folder.run('lab', 'ls').stdout
    assert.match(list, /^two +running +\d+ +host1 host2 +.*two\.yaml$/m)
    assert.match(folder.run('lab', 'ps', 'two').stdout, /^echo +host2 +- +virtual +10\.5\.0\.2$/m)
    const { status, stderr } = folder.run('up', '-d', 'two.yaml')
    assert.equal(status, 1)
    assert.match(stderr, /the lab 'two' runs already: process \d+/)
    on('host2', 'network', 'create', 'later')
    assert.equal(folder.tryDocker('two', 'host1', 'network', 'inspect', 'later').status, 1)
    assert.match(on('host2', 'network', 'inspect', 'later', '--format', '{{(index .IPAM.Config 0).Subnet}}'), /^172\.18\.0\.0\/16$/)
  })

  test('down ends everything, also after kill -9', () => {
    process.kill(folder.pid('two'), 'SIGKILL')
    const { status, stdout } = folder.run('down', 'two.yaml')
    assert.equal(status, 0)
    assert.equal(stdout, 'lab two is down\n')
    assert.deepEqual(folder.leftovers, [])
    assert.match(folder.run('down', 'two').stderr, /there is no lab 'two'; no lab runs/)
  })

  test('after kill -9 its name can be used again, and what was left is gone', () => {
    folder.write('one.yaml', ONE)
    folder.up('one.yaml')
    const pid = (): number => Number(folder.docker('one', 'host1', 'inspect', 'idle', '--format', '{{.State.Pid}}'))
    const before = pid()
    process.kill(folder.pid('one'), 'SIGKILL')
    folder.up('one.yaml')
    assert.notEqual(pid(), before)
    assert.throws(() => process.kill(before, 0), { code: 'ESRCH' })
    assert.equal(folder.run('down', 'one').status, 0)
    assert.deepEqual(folder.leftovers, [])
  })

  test('Ctrl-C while it starts leaves nothing', async () => {
    const child = folder.start('up', folder.write('waiting.yaml', WAITING))
    let stdout = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      if (stdout.includes('next on host1')) child.kill('SIGINT')
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 130)
    assert.deepEqual(folder.leftovers, [])
  })

  test('down while it is started in the background ends it, as soon as there is anything of it', async () => {
    const file = folder.write('waiting.yaml', WAITING)
    const starting = folder.start('up', '-d', file)
    const ended = once(starting, 'exit')
    while (!existsSync(path.join(folder.labs, 'waiting', 'start-lock'))) await sleep(5)
    const { status, stderr } = folder.run('down', 'waiting')
    assert.deepEqual([status, stderr], [0, ''])
    assert.deepEqual(await ended, [130, null])
    assert.deepEqual(folder.leftovers, [])
  })

  test('what is wrong before its process has the lab is told, too, and nothing is left', () => {
    // The process in the background has no standard input.
    folder.write('one.yaml', ONE)
    const { status, stderr } = folder.runWith('one.yaml', 'up', '-d', '/dev/stdin')
    assert.deepEqual([status, stderr.split('\n')[0]], [1, 'netloom: /dev/stdin:1:1: this must be a mapping (name: value), not nothing'])
    assert.deepEqual(folder.leftovers, [])
  })

  test('a service that cannot be started ends the lab with the words of its host', () => {
    const file = folder.write(
      'bad.yaml',
      'name: bad\nservices: { web: { image: alpine, command: /no/such } }\nx-netloom: { uplink: none }\n'
    )
    const { status, stderr } = folder.run('up', '-d', file)
    assert.equal(status, 1)
    assert.match(stderr, /^netloom: web on host1: .*\/no\/such/m)
    assert.deepEqual(folder.leftovers, [])
  })
})
