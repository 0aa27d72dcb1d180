// Random frames at both sides of a VTEP, and through two of them. NETLOOM_FUZZ=long: a hundred times as many.
// NETLOOM_FUZZ_SEED=n: the same again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { VxlanOptions } from '../../src/elements/vxlan/vxlan-options.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../src/wire/address.ts'
import { put16, put32 } from '../../src/wire/big-endian.ts'
import { LOCAL_MAC, outer, PEER_MAC } from '../elements/vxlan/vtep-bench.ts'
import { TestBench } from '../engine/test-bench.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { fuzzSeed } from './fuzz-seed.ts'
import { Mutator, type Targets } from './mutator.ts'
import { seedFrames } from './seed-frames.ts'

const FRAMES = process.env.NETLOOM_FUZZ === 'long' ? 5_000_000 : 50_000
const TURN = 16
const VNI = 256
const MACS = ['02:cc:00:00:01:00', '02:cc:00:00:01:01'] as const
const VTEPS = ['192.0.2.50', '192.0.2.51'] as const
const VTEPS6 = ['2001:db8::50', '2001:db8::51'] as const
/** Where frames come in: the segment of either side, and both sides of a third VTEP, which is alone. */
const PORTS = ['left', 'right', 'underlay', 'alone'] as const
const seed = fuzzSeed()

/** Two VTEPs that replicate to each other, one over IPv4 and one over IPv6 as well, and one whose underlay is open. */
function bench(): TestBench {
  const options = (side: 0 | 1, learning: boolean): VxlanOptions => ({
    addresses: [VTEPS[side], VTEPS6[side]],
    mac: MACS[side],
    nextHopMac: MACS[1 - side],
    udpChecksum: side === 1,
    segments: { [VNI]: { port: 1, bum: 'flood', learning, remotes: [VTEPS[1 - side], VTEPS6[1 - side]] } },
    peers: { [`${VNI}/${PEER_MAC}`]: { vtep: VTEPS6[1 - side], addresses: ['10.0.0.3', '2001:db8:a::3'] } }
  })
  const result = new TestBench({ types: [vxlanType as ElementType<never>], seed })
  const port = { type: 'test-port' }
  result.configure(
    {
      left: port,
      right: port,
      underlay: port,
      alone: port,
      leftVtep: { type: 'vxlan', options: options(0, true) },
      rightVtep: { type: 'vxlan', options: { ...options(1, true), peers: {} } },
      third: { type: 'vxlan', options: options(0, false) }
    },
    [
      { a: ['left', 0], b: ['leftVtep', 1] },
      { a: ['leftVtep', 0], b: ['rightVtep', 0] },
      { a: ['right', 0], b: ['rightVtep', 1] },
      { a: ['underlay', 0], b: ['third', 0] },
      { a: ['alone', 0], b: ['third', 1] }
    ]
  )
  return result
}

const mac = (text: string): Uint8Array => {
  const { hi, lo } = parseMac(text)
  const bytes = new Uint8Array(6)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}
const ipv4 = (text: string): Uint8Array => {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseIpv4(text))
  return bytes
}
const TARGETS: Targets = {
  macs: [LOCAL_MAC, PEER_MAC, ...MACS, 'ff:ff:ff:ff:ff:ff'].map(mac),
  service: mac(PEER_MAC),
  sources: [LOCAL_MAC, PEER_MAC].map(mac),
  ipv4: ['10.0.0.2', '10.0.0.3', ...VTEPS].map(ipv4),
  ipv6: ['2001:db8:a::2', '2001:db8:a::3', ...VTEPS6].map((text) => parseIpv6(text)),
  ports: [4789, 80, 53]
}

test(`${FRAMES} random frames at VTEPs, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const network = bench()
  const seeds = seedFrames()
  const mutators = PORTS.map((port) => new Mutator(`${seed}/${port}`, seeds, TARGETS))
  const frame = new FuzzFrame()
  let sent = 0
  let arrived = 0
  const out = { left: 0, right: 0, underlay: 0, alone: 0 }
  for (let number = 0; number < FRAMES; number++) {
    const at = number % PORTS.length
    const random = mutators[at].make(number, frame)
    const bytes = frame.bytes.slice(0, frame.length)
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame
    const fields = { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset }
    // Of what comes by the underlay half is VXLAN of a known VTEP outside, and anything inside.
    const isTunnel = PORTS[at] === 'underlay' && random.below(2) === 0 && bytes.length < 60_000
    const ends = { source: VTEPS[1], destination: VTEPS[0], mac: MACS[0], checksum: random.below(4) === 0 }
    if (isTunnel) network.port('underlay').send(outer(bytes, ends))
    else network.port(PORTS[at]).send(bytes, fields)
    sent++
    if (number % TURN !== TURN - 1) continue
    network.run()
    if (random.below(50) === 0) network.advance(random.below(200))
    for (const name of ['left', 'right', 'underlay', 'alone'] as const) {
      const { arrived: frames } = network.port(name)
      out[name] += frames.length
      arrived += frames.length
      frames.length = 0
    }
  }
  network.advance(1000)
  for (const name of ['left', 'right', 'underlay', 'alone'] as const) arrived += network.port(name).arrived.length
  const copies = network.total(({ counters }) => (counters['copies'] ?? 0) + (counters['errors'] ?? 0))
  const drops = network.total((each) => Object.values(each.drops).reduce((sum, count) => sum + count, 0))
  const ingress = network.total((each) => Object.values(each.ingressDrops).reduce((sum, count) => sum + count, 0))
  assert.equal(sent + copies, arrived + drops, 'frames in + copies + errors = frames out + drops')
  assert.ok(ingress <= drops)
  assert.equal(network.engine.frames.inUse, 0)
  context.diagnostic(`left: ${JSON.stringify(out)}, ${copies} copies and errors, ${drops} drops`)
  // A fuzz whose frames all end at the first check shows nothing.
  for (const [where, count] of Object.entries(out)) assert.ok(count > 0, `nothing ever left at ${where}`)
})
