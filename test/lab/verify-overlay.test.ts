/**
 * Recordings of the two daemons of a cluster with an overlay network, each verified without the other.
 *
 * data/overlay-tap.pcapng and data/overlay-udp.pcapng are `netloom capture --every-port` of each, at the same time: real processes (TCP and UDP of
 * Node.js, ping) in c1 on the one, whose underlay is a TAP, and in c2 and c3 on the other, whose underlay is sockets. c3 comes later, and goes.
 * Of their blocks only what names the machine was taken out.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { verifyRecording } from '../../src/index.ts'
import { readRecording } from '../../src/replay/recording.ts'
import { temporaryFolder } from '../capture/judge.ts'

const HOSTS = path.resolve('test/lab/data/hosts.pcapng')
const TAP = path.resolve('test/lab/data/overlay-tap.pcapng')
const UDP = path.resolve('test/lab/data/overlay-udp.pcapng')
const [OURS, THEIRS] = ['192.0.2.11', '192.0.2.12']

/** With other words, as long, in place of each that is there. */
function reworded(file: string, words: string, others: string): Buffer {
  const bytes = readFileSync(file)
  assert.ok(words.length === others.length && bytes.includes(words))
  for (let at = bytes.indexOf(words); at >= 0; at = bytes.indexOf(words, at + 1)) bytes.write(others, at)
  return bytes
}

for (const [file, containers] of [
  [TAP, ['multi/c1']],
  [UDP, ['multi/c2', 'multi/c3']]
] as const) {
  test(`${path.basename(file)}: what containers got and what went to the other machine comes out again`, async (t) => {
    const played = path.join(temporaryFolder(t), 'played.pcapng')
    // What was played says the same of the other machine: it is a recording, too.
    for (const { isSame, ports, leftOut } of [await verifyRecording(file, { output: played }), await verifyRecording(played)]) {
      for (const { port, differences } of ports) assert.deepEqual(differences, [], port)
      assert.ok(isSame)
      assert.deepEqual(leftOut, [])
      assert.deepEqual(
        ports.map(({ port, same }) => [port, same > 2]).sort(),
        [...containers, 'underlay'].map((port) => [port, true])
      )
    }
    const told = [file, played].map((each) => readRecording(each).tunnel.map(({ timeNs, ...change }) => change))
    // What is played makes the network before anybody is told of.
    assert.deepEqual([{ vteps: [] }, ...told[0]], told[1])
  })
}

test('of other machines it is told who is there, behind which VTEP, and until when', () => {
  const { tunnel, networks } = readRecording(TAP)
  const station = { mac: '02:42:0a:09:00:04', address: '10.9.0.4', address6: '' }
  const changes = tunnel.map((change) => ('vteps' in change ? change.vteps : [change.remote.names[0], change.remote.vtep, change.isGone]))
  assert.deepEqual(changes, [[THEIRS], ['c2', THEIRS, false], ['c3', THEIRS, false], [undefined, '', true]])
  const third = tunnel[2]
  assert.ok(!('vteps' in third))
  const { names, ...remote } = third.remote
  assert.deepEqual(remote, { id: 'multi/10.9.0.4', vtep: THEIRS, ...station })
  assert.deepEqual(
    networks.map(({ name, driver, setting }) => [name, driver, setting]),
    [['multi', 'overlay', { mtu: 1450, internal: true, driverOptions: { bum: 'drop' } }]]
  )
  // A lab's capture shows the other hosts themselves.
  assert.deepEqual(readRecording(HOSTS).tunnel, [])
})

test('a station elsewhere, or none, shows', async () => {
  const moved = await verifyRecording(reworded(TAP, `behind ${THEIRS}`, 'behind 192.0.2.13'))
  const [underlay] = moved.ports.filter(({ port }) => port === 'underlay')
  assert.ok(underlay.differences.length > 5 && underlay.differences.every(({ kind }) => kind === 'changed'))
  const silent = await verifyRecording(reworded(TAP, 'station of overlay', 'station by overlay'))
  assert.ok(silent.ports.every(({ differences }) => differences.some(({ kind }) => kind === 'missing')))
})

test('packets of the VTEP are counted from elsewhere: no difference; sent from elsewhere: one', async () => {
  assert.ok((await verifyRecording(TAP, { seed: 'another' })).isSame)
  const bytes = readFileSync(TAP)
  // if_IPv4addr of the underlay: option 4, 8 bytes.
  const at = bytes.indexOf(Uint8Array.of(4, 0, 8, 0, ...OURS.split('.').map(Number)))
  assert.ok(at > 0)
  bytes[at + 7] = 99
  assert.ok(!(await verifyRecording(bytes)).isSame)
})

test('without the underlay nobody knows what came from other machines: the network is left out', () => {
  assert.throws(() => readRecording(reworded(TAP, 'next hop', 'no hop..')), /no frames that endpoints of netloom sent/)
  // if_IPv4addr becomes an option that nobody knows.
  const bytes = readFileSync(TAP)
  bytes[bytes.indexOf(Uint8Array.of(4, 0, 8, 0, ...OURS.split('.').map(Number)))] = 99
  assert.throws(() => readRecording(bytes), /no frames that endpoints of netloom sent/)
})
