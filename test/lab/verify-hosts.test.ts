/**
 * Recordings of labs of several hosts: overlay, bridge behind a host's NAT, macvlan, ipvlan in mode l3 on a VLAN, a router and a station.
 *
 * data/hosts.pcapng is `netloom capture --every-port` of real processes (ping, TCP and UDP of Node.js) in containers of such a lab; of its
 * blocks only what names the machine was taken out. data/parent.pcapng is the same of a daemon with a macvlan network on its `eth0` and an ipvlan
 * network on VLAN 30 of it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { verifyRecording } from '../../src/index.ts'
import { readRecording } from '../../src/replay/recording.ts'
import { temporaryFolder } from '../capture/judge.ts'

const HOSTS = path.resolve('test/lab/data/hosts.pcapng')
const PARENT = path.resolve('test/lab/data/parent.pcapng')

/** Cables and VTEPs. */
function isOutside(port: string): boolean {
  return /\/(eth\d|underlay)$/.test(port)
}

test('what real processes got on two hosts comes out again, byte by byte, and all of what was played', async (t) => {
  const played = path.join(temporaryFolder(t), 'played.pcapng')
  const first = await verifyRecording(HOSTS, { output: played })
  for (const { port, recorded, played, isOrdered, differences } of first.ports) {
    // How outer packets are numbered (IPv4 identification) is the VTEP's own affair and may change; what is in them is the processes'.
    if (isOutside(port)) assert.deepEqual([port, recorded, isOrdered], [port, played, true])
    else assert.deepEqual([port, differences, isOrdered], [port, [], true])
  }
  // What was played describes networks, hosts and routers itself: it is a recording, too.
  const second = await verifyRecording(played)
  assert.ok(second.isSame)
  for (const { ports, leftOut } of [first, second]) {
    assert.deepEqual(leftOut, [])
    const got = new Map(ports.map(({ port, played: frames }) => [port.replace(/gateway_.*/, 'gateway'), frames]))
    for (const port of ['edge/eth0', 'edge/eth1', 'echo/eth0', 'host1/eth0', 'host1/underlay', 'host2/underlay']) {
      assert.ok(got.get(port)! > 2, port)
    }
    for (const port of ['host1/front/web', 'host1/multi/web', 'host2/office/phone', 'host2/guests/one', 'host2/multi/client']) {
      assert.ok(got.get(port)! > 0, port)
    }
  }
  assert.deepEqual(
    readRecording(played).networks.map(({ host, name, driver, setting }) => [host, name, driver, setting]),
    readRecording(HOSTS).networks.map(({ host, name, driver, setting }) => [host, name, driver, setting])
  )
})

test('a cable that is set otherwise shows, and so does a network', async () => {
  const lossy = await verifyRecording(HOSTS, {
    prepareHosts: async ({ cables }) => void (await cables.setLink(['host1/eth0'], { out: { loss: { model: 'nth', n: 2 } } }))
  })
  const missing = lossy.ports.filter(({ differences }) => differences.some(({ kind }) => kind === 'missing')).map(({ port }) => port)
  assert.ok(missing.includes('host2/multi/client') && missing.includes('edge/eth0'), missing.join(' '))
  const other = await verifyRecording(HOSTS, { networks: { 'host1/front': { masquerade: false } } })
  assert.ok(!other.isSame, 'no echo comes back to an address behind the NAT')
})

test('without words at the cables nobody knows which end is a host: what stood there is left out', async () => {
  const bytes = readFileSync(HOSTS)
  for (let at = bytes.indexOf('host, mtu'); at >= 0; at = bytes.indexOf('host, mtu', at + 1)) bytes.write('none', at)
  const { leftOut, ports } = await verifyRecording(bytes)
  assert.ok(leftOut.includes('host1/multi/web') && leftOut.includes('host2/underlay'))
  assert.deepEqual(
    ports.map(({ port }) => port),
    ['edge/eth0', 'edge/eth1', 'echo/eth0', 'host1/eth0', 'host2/eth0']
  )
  // A super-frame of the tunnel is none any more: a capture does not tell it from a packet that is too long.
  for (const { port, recorded, played } of ports) if (port !== 'host2/eth0') assert.equal(recorded, played, port)
})

test('networks on an interface of the machine: what came by it comes in again, what goes out by it is compared', async (t) => {
  const played = path.join(temporaryFolder(t), 'played.pcapng')
  for (const { isSame, ports, leftOut } of [await verifyRecording(PARENT, { output: played }), await verifyRecording(played)]) {
    for (const { port, differences } of ports) assert.deepEqual(differences, [], port)
    assert.ok(isSame)
    assert.deepEqual(leftOut, [])
    assert.deepEqual(
      ports.map(({ port, same }) => [port, same > 2]),
      ['parent/eth0', 'mv/aa', 'iv/bb', 'iv/cc'].map((port) => [port, true])
    )
  }
})

test('networks whose parent was not captured are left out', () => {
  const bytes = readFileSync(PARENT)
  // The interface block says that it is something else, in as many bytes.
  const words = 'interface eth0, parent of networks'
  const at = bytes.indexOf(words)
  assert.ok(at > 0)
  bytes.write('x'.repeat(words.length), at)
  assert.throws(() => readRecording(bytes), /no frames that endpoints of netloom sent/)
})
