// Two containers on one bridge, or on an overlay of two emulated hosts, in one engine.
//   node emulated-process.js bridge|overlay NETNS NETNS ADDRESS ADDRESS
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'

const VNI = 256
/** The same for both: what differs is the way, not the segments. */
const MTU = 1450
const VTEPS = ['192.0.2.50', '192.0.2.51'] as const

const [kind, ...rest] = process.argv.slice(2)
const paths = rest.slice(0, 2)
const containerAddresses = rest.slice(2)
const native = loadNative()
const elements: Record<string, TopologyElement> = {}
const links: TopologyLink[] = []
const sides = kind === 'bridge' ? ['host', 'host'] : ['left', 'right']
for (const side of [0, 1]) {
  const netns = native.openNetns(paths[side])
  const { fd, name, vnetHeaderLength, offloads } = openTap(native, { netns, name: 'eth0' })
  const netlink = Netlink.inNamespace(native, netns)
  await netlink.links.set(name, { mtu: MTU, up: true })
  await netlink.addresses.add(name, `${containerAddresses[side]}/24`)
  elements[`eth${side}`] = { type: 'tap', options: { fd, name, mtu: MTU, vnetHeaderLength, offloads } }
  elements[`${sides[side]}/bridge`] = { type: 'bridge' }
  links.push({ a: [`eth${side}`, 0], b: [`${sides[side]}/bridge`, side + 1] })
  if (kind === 'bridge') continue
  const options = {
    addresses: [VTEPS[side]],
    mac: `02:cc:00:00:01:0${side}`,
    nextHopMac: `02:cc:00:00:01:0${1 - side}`,
    segments: { [VNI]: { port: 1, mtu: MTU, bum: 'flood', learning: true, remotes: [VTEPS[1 - side]] } }
  }
  elements[`${sides[side]}/vxlan`] = { type: 'vxlan', options }
  links.push({ a: [`${sides[side]}/bridge`, 0], b: [`${sides[side]}/vxlan`, 1] })
}
if (kind !== 'bridge') links.push({ a: ['left/vxlan', 0], b: ['right/vxlan', 0] })
const engine = new ThreadedEngine({ seed: 1 })
await engine.configure({ elements, links })
console.log('ready')

await once(process.stdin.resume(), 'end')
await engine.close()
