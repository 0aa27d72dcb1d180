// What an ordinary user's daemon has between a container and the outside, in a process of its own, whose network namespace is the
// outside: engine thread, bridge, NAT, router, user uplink.
//   node user-uplink-path.js CLIENT-NETNS
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import { Random } from '../../src/engine/random.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { plugTap } from '../../src/lab/plug-tap.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import { UserUplink } from '../../src/network/uplinks/user-uplink.ts'
import { NetworkNamespace } from '../../src/sandbox/network-namespace.ts'
import { CLIENT_ADDRESS, SUBNET } from './path-case.ts'

const [clientNetns] = process.argv.slice(2)
const engine = new ThreadedEngine({ seed: 1 })
const random = new Random('bench')
const controller = new NetworkController({ engine, addresses: new AddressSpace(), random, uplink: new UserUplink(), log: console.error })
await controller.start()
const network = await controller.createNetwork({ name: 'bench', subnet: SUBNET })
const client = await NetworkNamespace.open({ path: clientNetns })
const spec = { name: 'client', address: CLIENT_ADDRESS }
await plugTap(controller, network, client, spec, { interfaceName: 'eth0', mtu: network.mtu, foreign: false })
console.log('ready')

await once(process.stdin.resume(), 'end')
await controller.closeUplink()
await engine.close()
