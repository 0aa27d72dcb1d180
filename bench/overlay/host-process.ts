// One machine of an overlay benchmark: an engine in its own process and thread, as a daemon has it.
//   node host-process.js HOST-NETNS CONTAINER-NETNS UNDERLAY OWN PEER CONTAINER-ADDRESS CONTAINER-MAC PEER-MAC
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { loadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import type { Underlay } from '../../src/network/underlay.ts'
import { TapUnderlay } from '../../src/network/underlays/tap-underlay.ts'
import { UdpUnderlay } from '../../src/network/underlays/udp-underlay.ts'

const VNI = 256
const INNER_MTU = 1450
const PREFIX_LENGTH = 24

const [hostPath, containerPath, kind, own, peer, address, mac, peerMac] = process.argv.slice(2)
const native = loadNative()
const netns = native.openNetns(hostPath)
const container = native.openNetns(containerPath)
const stateDirectory = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
const underlay: Underlay = kind === 'tap' ? new TapUnderlay({ native, netns, stateDirectory }) : new UdpUnderlay({ native, netns })
const part = await underlay.open({ address: own, port: 4789 })
const { fd, name, vnetHeaderLength, offloads } = openTap(native, { netns: container, name: 'eth0' })
const { links, addresses } = Netlink.inNamespace(native, container)
await links.set(name, { mac, mtu: INNER_MTU, up: true })
await addresses.add(name, `${address}/${PREFIX_LENGTH}`)
const engine = new ThreadedEngine({ seed: 1 })
const vtep = {
  addresses: [part.address],
  mac: part.mac,
  nextHopMac: part.nextHopMac,
  underlayMtu: part.mtu,
  segments: { [VNI]: { port: 1, mtu: INNER_MTU, bum: 'flood' } },
  peers: { [`${VNI}/${peerMac}`]: { vtep: peer } }
}
await engine.configure({
  elements: {
    eth0: { type: 'tap', options: { fd, name, mtu: INNER_MTU, vnetHeaderLength, offloads } },
    bridge: { type: 'bridge' },
    vxlan: { type: 'vxlan', options: vtep },
    ...part.elements
  },
  links: [{ a: ['eth0', 0], b: ['bridge', 1] }, { a: ['bridge', 0], b: ['vxlan', 1] }, { a: ['vxlan', 0], b: part.port }, ...part.links]
})
console.log('ready')

await once(process.stdin.resume(), 'end')
if (process.env['NETLOOM_BENCH_COUNTERS'] === '1') for (const each of engine.counters()) console.error(JSON.stringify(each))
await engine.close()
await underlay.close()
rmSync(stateDirectory, { recursive: true, force: true })
