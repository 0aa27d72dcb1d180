// What root's daemon has between a container and the outside, in a process of its own, whose network namespace is the daemon's host:
// engine thread, bridge, divert, NAT, router, netloom0; forwarding and masquerade are the kernel's.
//   node host-uplink-path.js CLIENT-NETNS STATE-DIRECTORY
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import { Random } from '../../src/engine/random.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { plugTap } from '../../src/lab/plug-tap.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import { HostUplink } from '../../src/network/uplinks/host-uplink.ts'
import { NetworkNamespace } from '../../src/sandbox/network-namespace.ts'
import { CLIENT_ADDRESS, SUBNET } from './path-case.ts'

const [clientNetns, stateDirectory] = process.argv.slice(2)
const engine = new ThreadedEngine({ seed: 1 })
const uplink = new HostUplink({ native: loadNative(), stateDirectory })
const random = new Random('bench')
const controller = new NetworkController({ engine, addresses: new AddressSpace(), random, uplink, log: console.error })
await controller.start()
const network = await controller.createNetwork({ name: 'bench', subnet: SUBNET })
const client = await NetworkNamespace.open({ path: clientNetns })
const spec = { name: 'client', address: CLIENT_ADDRESS }
await plugTap(controller, network, client, spec, { interfaceName: 'eth0', mtu: network.mtu, foreign: false })
console.log('ready')

await once(process.stdin.resume(), 'end')
await controller.closeUplink()
await engine.close()
