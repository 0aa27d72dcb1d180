// Frames that nobody honest sends, found by test/fuzz or by thinking like an attacker: each once did harm.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ElementType } from '../../src/engine/element.ts'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { fillTransport } from '../../src/wire/checksum.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { VirtualLab } from './virtual-lab.ts'

const OURS = '02cc00000002'
const HOST = { mac: '02:cc:00:00:00:02', addresses: ['192.0.2.2/24'], udpEcho: [7, 5000] }

function lab(): VirtualLab {
  const topology = {
    elements: { host: { type: 'host', options: HOST }, probe: { type: 'probe' } },
    links: [{ a: ['host', 0] as const, b: ['probe', 0] as const }]
  }
  return new VirtualLab(topology, [virtualHostType as ElementType<never>])
}

interface Ipv4 {
  to?: string
  from?: string
  source?: string
  id?: number
  /** Flags and offset, as the header has them. */
  fragment?: number
}

/** An IPv4 packet for 192.0.2.2 with the right header checksum. */
function ipv4(
  protocol: number,
  payload: Uint8Array,
  { to = OURS, from = '02cc00000001', source = 'c0000201', id = 1, fragment = 0 }: Ipv4
) {
  const header = Buffer.from(`${to}${from}0800450000000000000040000000${source}c0000202`, 'hex')
  const frame = Buffer.concat([header, payload])
  frame.writeUInt16BE(frame.length - 14, 16)
  frame.writeUInt16BE(id, 18)
  frame.writeUInt16BE(fragment, 20)
  frame[23] = protocol
  fillIpv4Checksum(frame, 14)
  return frame
}

function udp(fromPort: number, toPort: number, size: number, options: Ipv4 = {}): Buffer {
  const datagram = Buffer.alloc(8 + size)
  datagram.writeUInt16BE(fromPort, 0)
  datagram.writeUInt16BE(toPort, 2)
  datagram.writeUInt16BE(datagram.length, 4)
  const frame = ipv4(17, datagram, options)
  fillTransport(frame, 34, frame.length, 14, 17, 40)
  return frame
}

test('two echo services do not talk to each other for ever', () => {
  const of = lab()
  // From our own address and echo port, by broadcast so that no bridge stops it: the answer would be the next question.
  of.probe('probe').inject(udp(7, 7, 4, { to: 'ffffffffffff', source: 'c0000202' }))
  of.probe('probe').inject(udp(5000, 7, 4, { from: OURS, source: 'c0000202' }))
  // Another host's echo, or any of the old services that answer everything.
  of.probe('probe').inject(udp(7, 5000, 4))
  of.probe('probe').inject(udp(19, 7, 4))
  for (let turn = 0; turn < 10; turn++) of.engine.turn()
  assert.equal(of.engine.busy, false, 'the host answers itself without end')
  assert.deepEqual(of.probe('probe').take(), [])
  assert.deepEqual(of.drops('host'), { 'stack.echoLoop': 3, 'stack.ownSource': 1 })
  of.probe('probe').inject(udp(40_000, 7, 4))
  of.settle()
  assert.equal(of.probe('probe').take().length, 1)
})

test('a last fragment that ends before what is there already does not complete the datagram with old memory', () => {
  const of = lab()
  const probe = of.probe('probe')
  // 8 bytes at 800, and then "the last 8 bytes" at 8: as many bytes as a datagram of 16 has, but not its first ones.
  probe.inject(ipv4(17, new Uint8Array(8), { fragment: 0x2000 | 100 }))
  probe.inject(ipv4(17, new Uint8Array(8), { fragment: 1 }))
  of.run(100)
  assert.deepEqual(of.drops('host'), { 'stack.fragmentOverlap': 2 })
  assert.equal(of.engine.frames.inUse, 0)
})

test('a batch of more datagrams than Linux makes is refused, not answered datagram by datagram', () => {
  const of = lab()
  const frame = udp(40_000, 7, 60_000)
  of.probe('probe').inject(frame, 0, (handle) => {
    const { frames } = of.engine
    frames.flags[handle] = FrameFlag.gso | FrameFlag.csum
    frames.gsoType[handle] = 5
    frames.gsoSize[handle] = 1
  })
  of.settle()
  assert.deepEqual(of.drops('host'), { 'stack.malformed': 1 })
  assert.deepEqual(of.probe('probe').take(), [])
})
