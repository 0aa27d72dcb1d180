/**
 * Mutated frames on all ports of a router with every switch on, while its records change under it: nothing throws, every frame is
 * accounted for, nothing is held in the end. NETLOOM_FUZZ=long: ten times as many. NETLOOM_FUZZ_SEED=n: the same again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouterChange } from '../../../src/elements/router/router-options.ts'
import { FrameFlag, type FrameHandle } from '../../../src/engine/frame-pool.ts'
import type { Random } from '../../../src/engine/random.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../../src/wire/address.ts'
import { put16, put32 } from '../../../src/wire/big-endian.ts'
import { FuzzFrame } from '../../fuzz/fuzz-frame.ts'
import { fuzzSeed } from '../../fuzz/fuzz-seed.ts'
import { Mutator, type Targets } from '../../fuzz/mutator.ts'
import { seedFrames } from '../../fuzz/seed-frames.ts'
import { ECHO, INTERFACES, ROUTER_MACS, RouterLab, station, udp } from './router-lab.ts'

const FRAMES = process.env['NETLOOM_FUZZ'] === 'long' ? 600_000 : 60_000
const seed = fuzzSeed()

function mac(text: string): Uint8Array {
  const bytes = new Uint8Array(6)
  const { hi, lo } = parseMac(text)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

function ipv4(text: string): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseIpv4(text))
  return bytes
}

const STATIONS = [station(0, 7), station(1, 9), station(2, 254)]
const TARGETS: Targets = {
  macs: [...ROUTER_MACS, ...ROUTER_MACS, ...ROUTER_MACS, 'ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01', station(0, 8)].map(mac),
  service: mac(ROUTER_MACS[0]),
  sources: STATIONS.map(mac),
  ipv4: [
    '192.0.2.1',
    '192.0.2.7',
    '192.0.2.77',
    '198.51.100.1',
    '198.51.100.9',
    '198.51.100.255',
    '203.0.113.254',
    '198.18.0.1',
    '224.0.0.1',
    '0.0.0.0'
  ].map(ipv4),
  ipv6: [
    '2001:db8:a::1',
    '2001:db8:a::7',
    '2001:db8:b::9',
    '2001:db8:ff::1',
    'ff02::1',
    'ff02::1:ff00:1',
    'fe80::7',
    'fe80::cc:ff:fe00:a',
    '::'
  ].map(parseIpv6),
  ports: [53, 7, 80, 33434]
}

function isForRouter({ bytes, length }: FuzzFrame): boolean {
  return length >= 6 && bytes[0] === 2 && bytes[1] === 0xcc && bytes[2] === 0 && bytes[3] === 0 && bytes[4] === 0
}

/** What the control plane does meanwhile. */
function change(random: Random): RouterChange {
  const number = random.below(3)
  switch (random.below(6)) {
    case 0:
      return { routes: { '::/0': random.next() < 0.5 ? null : { via: '2001:db8:c::fe', interface: number } } }
    case 1:
      return { interfaces: { [number]: { ...INTERFACES[number], mtu: [68, 576, 1280, 1500, 9000][random.below(5)] } } }
    case 2:
      return { interfaces: { [number]: { ...INTERFACES[number], noDecrement: random.next() < 0.5, proxyArp: true, advertise: true } } }
    case 3:
      return { routes: { '198.18.0.0/15': random.next() < 0.5 ? null : { via: '198.51.100.9', interface: number } } }
    case 4:
      return { bindings: { '192.0.2.7': random.next() < 0.5 ? null : STATIONS[random.below(3)], '2001:db8:b::9': null } }
    default:
      return {
        interfaces: Object.fromEntries(Object.entries(INTERFACES).map(([key, spec]) => [key, { ...spec, answers: random.next() < 0.7 }]))
      }
  }
}

test(`${FRAMES} mutated frames, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const lab = new RouterLab({ neighborCapacity: 64 }, { seed })
  const mutator = new Mutator(seed, seedFrames(), TARGETS)
  const made = new FuzzFrame()
  const { frames } = lab.net.engine
  const mark = (frame: FrameHandle, random: Random): void => {
    frames.flags[frame] = made.flags | (random.next() < 0.02 ? FrameFlag.reassembled : 0)
    frames.gsoType[frame] = made.gsoType
    frames.gsoSize[frame] = made.gsoSize
    frames.hdrLen[frame] = made.hdrLen
    frames.csumStart[frame] = made.csumStart
    frames.csumOffset[frame] = made.csumOffset
  }
  for (let number = 0; number < FRAMES; number++) {
    const random = mutator.make(number, made)
    const port = random.below(3)
    // Most are for the interface that they come to; the others would all end as somebody else's.
    if (isForRouter(made) && random.next() < 0.95) made.bytes.set(TARGETS.macs[port], 0)
    lab.put(port, made.bytes.subarray(0, made.length), (frame) => mark(frame, random))
    if (random.next() < 0.002) lab.update(change(random))
    if (random.next() < 0.0005) lab.update({ interfaces: { [port]: null } }, { interfaces: { [port]: INTERFACES[port] } })
    if (random.next() < 0.01) lab.run(random.next() * 3)
    if (number % 500 === 0) for (const each of [0, 1, 2]) lab.bytes(each)
  }
  // An honest station is served as ever.
  lab.update({ interfaces: INTERFACES, routes: { '198.18.0.0/15': null }, bindings: { '192.0.2.7': null } })
  lab.run(60)
  lab.meet()
  lab.send(0, 7, '192.0.2.7', '198.51.100.9', udp())
  lab.send(0, 7, '192.0.2.7', '192.0.2.1', ECHO)
  assert.equal(lab.take(1).length, 1)
  assert.match(lab.take(0).join(), /echo-reply 7\/1 56/)
  const { drops } = lab
  context.diagnostic(
    `${Object.keys(drops).length} reasons: ${Object.entries(drops)
      .map(([reason, count]) => `${reason} ${count}`)
      .join(', ')}`
  )
  for (const reason of ['malformed', 'badChecksum', 'neighborInvalid', 'neighborConflict', 'tooBig', 'noRoute', 'notForUs']) {
    assert.ok(drops[`router.${reason}`] > 0, `nothing was dropped as router.${reason}: the mutator no longer reaches it`)
  }
  lab.ends()
})
