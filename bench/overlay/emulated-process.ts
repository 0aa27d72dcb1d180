// Two containers on one bridge network, or on an overlay network of two emulated hosts, in one engine as a lab has them:
//   container -- TAP -- dns-tap -- bridge -- vxlan -- the host's router -- NAT -- trunk -- LAN -- the other host, the other way round
//   node emulated-process.js bridge|overlay NETNS NETNS ADDRESS ADDRESS MAC MAC
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import { Random } from '../../src/engine/random.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { EmulatedInterface } from '../../src/network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../../src/network/emulated/emulated-lan.ts'
import { EmulatedUnderlay } from '../../src/network/emulated/emulated-underlay.ts'
import { EmulatedUplink } from '../../src/network/emulated/emulated-uplink.ts'
import { outsidePort, ScopedEngine } from '../../src/network/scoped-engine.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import { type Container, INNER_MTU, overlayHost, plugContainer, SUBNET } from './overlay-host.ts'

const VTEPS = ['192.0.2.50', '192.0.2.51'] as const

const [kind, ...rest] = process.argv.slice(2)
const containers = [0, 1].map((side): Container => ({ netns: rest[side], address: rest[2 + side], mac: rest[4 + side] }))
const engine = new ThreadedEngine({ seed: 1 })
if (kind === 'bridge') await oneBridge()
else await twoHosts()
console.log('ready')

await once(process.stdin.resume(), 'end')
if (process.env['NETLOOM_BENCH_COUNTERS'] === '1') for (const each of engine.counters()) console.error(JSON.stringify(each))
await engine.close()

async function oneBridge(): Promise<void> {
  const controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random(1), log: console.error })
  await controller.start()
  await controller.createNetwork({ name: 'bench', subnet: SUBNET, mtu: INNER_MTU })
  for (const container of containers) await plugContainer(controller, container)
}

async function twoHosts(): Promise<void> {
  const lan = await EmulatedLan.create(engine, 'lan')
  for (const side of [0, 1]) {
    const part = new ScopedEngine(engine, `host${side + 1}/`)
    const vtep = VTEPS[side]
    const eth0 = new EmulatedInterface({ name: 'eth0', addresses: [`${vtep}/24`], mtu: lan.mtu, wire: outsidePort(lan.plug()) })
    await overlayHost({
      engine: part,
      vtep,
      underlay: () => new EmulatedUnderlay(part, eth0),
      uplink: new EmulatedUplink({ interface: eth0, routes: {} }),
      container: containers[side],
      peer: { ...containers[1 - side], vtep: VTEPS[1 - side] }
    })
  }
}
