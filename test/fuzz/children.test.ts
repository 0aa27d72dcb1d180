// Random frames at a cable with every kind of parent on it: macvlan in all modes, the first on the cable itself, and ipvlan in all modes with
// all flags, each on a VLAN of its own. What comes in at one of them must never be seen at another.
// NETLOOM_FUZZ=long: a hundred times as many. NETLOOM_FUZZ_SEED=n: the same again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipvlanType } from '../../src/elements/ipvlan/ipvlan.ts'
import { IPVLAN_FLAGS, IPVLAN_MODES } from '../../src/elements/ipvlan/ipvlan-options.ts'
import { macvlanType } from '../../src/elements/macvlan/macvlan.ts'
import { MACVLAN_MODES } from '../../src/elements/macvlan/macvlan-options.ts'
import { TrunkPort, vlanPort, vlanTrunkType } from '../../src/elements/vlan/vlan-trunk.ts'
import type { ElementType, Plain } from '../../src/engine/element.ts'
import type { ElementUpdate, TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../src/wire/address.ts'
import { put16, put32 } from '../../src/wire/big-endian.ts'
import { BROADCAST, station } from '../elements/bridge-domain.ts'
import { TestBench } from '../engine/test-bench.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { fuzzSeed } from './fuzz-seed.ts'
import { Mutator, type Targets } from './mutator.ts'
import { seedFrames } from './seed-frames.ts'

const FRAMES = process.env.NETLOOM_FUZZ === 'long' ? 3_000_000 : 30_000
const seed = fuzzSeed()
const PARENT = station(0xaa)
const CABLE = 'cable'
const FIRST_VLAN = 30
const [WIRE, STACK, FIRST_CHILD] = [0, 1, 2]
/** More would only be more of the same; passthru takes one. */
const CHILDREN = 3
const ADDRESSES = [1, 2, 3].map((last) => [`192.0.2.${last}`, `2001:db8::${last}`])

/** Who stands on the cable: the first on itself, the others on VLANs from 30 on. */
interface Parent {
  readonly type: string
  readonly options: Plain
  readonly children: Readonly<Record<string, Plain>>
}

const macvlans: Parent[] = MACVLAN_MODES.map((mode) => ({
  type: 'macvlan',
  options: { mode, mac: PARENT, mtu: 1500 },
  children: Object.fromEntries(ADDRESSES.slice(0, mode === 'passthru' ? 1 : CHILDREN).map((_, i) => [FIRST_CHILD + i, station(i + 1)]))
}))
const ipvlans: Parent[] = IPVLAN_MODES.flatMap((mode) =>
  IPVLAN_FLAGS.map((flag) => ({
    type: 'ipvlan',
    options: { mode, flag, mac: PARENT, mtu: 1500 },
    children: Object.fromEntries(ADDRESSES.map((addresses, i) => [FIRST_CHILD + i, addresses]))
  }))
)
const parents = [...macvlans, ...ipvlans]

/** The VLAN of the parent with this number; 0: the cable itself. */
const vlanOf = (number: number): number => (number === 0 ? 0 : FIRST_VLAN + number)

/** Test ports by name with the number of their parent; the cable's is -1. */
function build(): { network: TestBench; ports: Map<string, number> } {
  const network = new TestBench({ types: [macvlanType, ipvlanType, vlanTrunkType] as unknown as ElementType<never>[], seed })
  const ports = new Map([[CABLE, -1]])
  const elements: Record<string, TopologyElement> = { [CABLE]: { type: 'test-port' }, trunk: { type: 'vlan-trunk' } }
  const links: TopologyLink[] = [{ a: [CABLE, 0], b: ['trunk', TrunkPort.cable] }]
  const updates: ElementUpdate[] = []
  const attach = (number: number, name: string, to: readonly [string, number]): void => {
    ports.set(name, number)
    elements[name] = { type: 'test-port' }
    links.push({ a: [name, 0], b: to })
  }
  for (const [number, { type, options, children }] of parents.entries()) {
    const it = `p${number}`
    elements[it] = { type, options }
    updates.push({ element: it, change: { children } })
    links.push({ a: [it, WIRE], b: ['trunk', number === 0 ? TrunkPort.untagged : vlanPort(vlanOf(number))] })
    if (number === 0) {
      links.push({ a: [it, STACK], b: ['trunk', TrunkPort.besideStack] })
      attach(number, `${it}-stack`, ['trunk', TrunkPort.stack])
    } else attach(number, `${it}-stack`, [it, STACK])
    for (const port of Object.keys(children)) attach(number, `${it}-${port}`, [it, Number(port)])
  }
  network.configure(elements, links)
  network.engine.patch({ updates })
  return { network, ports }
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
const stations = [PARENT, station(1), station(2), station(3)]
const TARGETS: Targets = {
  macs: [...stations, BROADCAST, '01:00:5e:00:00:fb', '33:33:00:00:00:01'].map(mac),
  service: mac(PARENT),
  sources: stations.map(mac),
  ipv4: ADDRESSES.map(([four]) => ipv4(four)),
  ipv6: ADDRESSES.map(([, six]) => parseIpv6(six)),
  ports: [80, 53]
}

/** The VLAN that a frame says it is of; 0: none. */
function tagOf(bytes: Uint8Array): number {
  return bytes.length >= 18 && bytes[12] === 0x81 && bytes[13] === 0x00 ? ((bytes[14] << 8) | bytes[15]) & 0xfff : 0
}

function tagged(bytes: Uint8Array, vlan: number): Uint8Array {
  const result = new Uint8Array(bytes.length + 4)
  result.set(bytes.subarray(0, 12))
  result.set([0x81, 0x00, vlan >>> 8, vlan & 255], 12)
  result.set(bytes.subarray(12), 16)
  return result
}

test(`${FRAMES} random frames at macvlan, ipvlan and VLANs, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const { network, ports } = build()
  const names = [...ports.keys()]
  const frame = new FuzzFrame()
  const mutator = new Mutator(seed, seedFrames(), TARGETS)
  const out = new Map(names.map((name) => [name, 0]))
  let arrived = 0
  for (let number = 0; number < FRAMES; number++) {
    const random = mutator.make(number, frame)
    // The cable as often as all others together: who is where is decided there.
    const name = random.below(2) === 0 ? CABLE : names[random.below(names.length)]
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame
    let bytes: Uint8Array = frame.bytes.slice(0, frame.length)
    const isPlain = flags === 0 && bytes.length >= 12 && bytes.length < 60_000
    if (name === CABLE && isPlain && random.below(8) > 0) bytes = tagged(bytes, vlanOf(random.below(parents.length)))
    network.port(name).send(bytes, { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset })
    network.run()
    const from = ports.get(name)!
    const vlan = from === -1 ? tagOf(bytes) : vlanOf(from)
    for (const [to, at] of ports) {
      const { arrived: got } = network.port(to)
      for (const { bytes: seen } of got) {
        const where = `frame ${number} from ${name} at ${to}, seed ${seed}`
        if (at === -1) assert.ok(from !== -1 && (vlan === 0 || tagOf(seen) === vlan), where)
        else assert.equal(vlanOf(at), vlan, where)
      }
      out.set(to, out.get(to)! + got.length)
      arrived += got.length
      got.length = 0
    }
  }
  const copies = network.total(({ counters }) => counters['copies'] ?? 0)
  const drops = network.total((each) => Object.values(each.drops).reduce((sum, count) => sum + count, 0))
  assert.equal(FRAMES + copies, arrived + drops, 'frames in + copies = frames out + drops')
  assert.equal(network.engine.frames.inUse, 0)
  context.diagnostic(`${arrived} arrived, ${copies} copies, ${drops} drops`)
  // A fuzz whose frames all end at the first check shows nothing.
  for (const [name, count] of out) assert.ok(count > 0, `nothing ever left at ${name}`)
})
