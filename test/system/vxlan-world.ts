/**
 * Two machines on one cable, each with a VTEP: ours on the one, Linux's vxlan device on the other.
 *
 *   inside (container) eth0 10.0.0.2 -- tap -- bridge -- vxlan -- underlay | host eth0 192.0.2.50 ---- peer eth0 192.0.2.51
 *                                                                                                       vx0 10.0.0.3
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { VxlanOptions, VxlanSegment } from '../../src/elements/vxlan/vxlan-options.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { udpUnderlayElement } from '../../src/io/udp-underlay-element.ts'
import type { Underlay, UnderlayPart } from '../../src/network/underlay.ts'
import { TapUnderlay } from '../../src/network/underlays/tap-underlay.ts'
import { UdpUnderlay } from '../../src/network/underlays/udp-underlay.ts'
import { PolledEngine } from './polled-engine.ts'
import { TestNamespace } from './test-namespace.ts'

export const VNI = 256
export const PORT = 4789
const MAC_INSIDE = '02:42:0a:00:00:02'
const MAC_PEER = '02:42:0a:00:00:03'

export interface VxlanWorldOptions {
  readonly underlay: 'tap' | 'udp'
  /** Of the cable between the machines, bytes; default 1,500. */
  readonly mtu?: number
  readonly family?: 4 | 6
  /** Of the VTEP's segment, beside port and mtu; default: it learns and replicates to the peer. */
  readonly segment?: Partial<VxlanSegment>
  readonly vtep?: Partial<VxlanOptions>
  /** Words for `ip link add vx0 type vxlan`. */
  readonly device?: readonly string[]
}

export class VxlanWorld {
  readonly host = new TestNamespace()
  readonly peer = new TestNamespace()
  readonly inside = new TestNamespace()
  readonly innerMtu: number
  readonly underlay: Underlay
  readonly directory = mkdtempSync(path.join(tmpdir(), 'netloom-vxlan-'))
  part!: UnderlayPart
  engine!: PolledEngine
  private readonly options: VxlanWorldOptions
  private readonly addresses: readonly [ours: string, theirs: string]

  private constructor(options: VxlanWorldOptions) {
    this.options = options
    const native = loadNative()
    this.addresses = options.family === 6 ? ['2001:db8:2::50', '2001:db8:2::51'] : ['192.0.2.50', '192.0.2.51']
    this.innerMtu = (options.mtu ?? 1500) - (options.family === 6 ? 70 : 50)
    this.underlay =
      options.underlay === 'tap'
        ? new TapUnderlay({ native, netns: this.host.fd, stateDirectory: this.directory })
        : new UdpUnderlay({ native, netns: this.host.fd })
  }

  static async open(options: VxlanWorldOptions): Promise<VxlanWorld> {
    const world = new VxlanWorld(options)
    world.joinMachines()
    world.addDevice()
    await world.start()
    return world
  }

  private joinMachines(): void {
    const { host, peer, options } = this
    const mtu = String(options.mtu ?? 1500)
    host.run('ip', 'link', 'add', 'eth0', 'mtu', mtu, 'type', 'veth', 'peer', 'name', 'eth0', 'mtu', mtu, 'netns', peer.path)
    for (const [end, last] of [
      [host, '50'],
      [peer, '51']
    ] as const) {
      end.run('ip', 'link', 'set', 'lo', 'up')
      end.run('ip', 'address', 'add', `192.0.2.${last}/24`, 'dev', 'eth0')
      end.run('ip', 'address', 'add', `2001:db8:2::${last}/64`, 'dev', 'eth0', 'nodad')
      end.run('ip', 'link', 'set', 'eth0', 'up')
    }
  }

  private addDevice(): void {
    const { peer, options, addresses, innerMtu } = this
    const device = ['id', String(VNI), 'dstport', String(PORT), 'local', addresses[1], ...(options.device ?? [])]
    peer.run('sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0')
    peer.run('ip', 'link', 'add', 'vx0', 'mtu', String(innerMtu), 'address', MAC_PEER, 'type', 'vxlan', ...device)
    peer.run('bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', addresses[0])
    this.addAddresses(peer, 'vx0', '3')
  }

  private addAddresses(end: TestNamespace, device: string, last: string): void {
    end.run('ip', 'address', 'add', `10.0.0.${last}/24`, 'brd', '10.0.0.255', 'dev', device)
    end.run('ip', 'address', 'add', `2001:db8:a::${last}/64`, 'dev', device, 'nodad')
    end.run('ip', 'link', 'set', device, 'up')
  }

  private async start(): Promise<void> {
    const { inside, addresses, innerMtu, options } = this
    this.part = await this.underlay.open({ address: addresses[0], port: PORT })
    const tap = openTap(loadNative(), { netns: inside.fd, name: 'eth0' })
    inside.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0')
    inside.run('ip', 'link', 'set', 'eth0', 'address', MAC_INSIDE, 'mtu', String(innerMtu))
    inside.run('ip', 'link', 'set', 'lo', 'up')
    this.addAddresses(inside, 'eth0', '2')
    const { part } = this
    const vtep: VxlanOptions = {
      addresses: [part.address],
      mac: part.mac,
      nextHopMac: part.nextHopMac,
      port: PORT,
      underlayMtu: part.mtu,
      segments: { [VNI]: { port: 1, mtu: innerMtu, bum: 'flood', learning: true, remotes: [addresses[1]], ...options.segment } },
      ...options.vtep
    }
    const { fd, name, vnetHeaderLength, offloads } = tap
    this.engine = new PolledEngine(
      {
        elements: {
          eth0: { type: 'tap', options: { fd, name, mtu: innerMtu, vnetHeaderLength, offloads } },
          bridge: { type: 'bridge' },
          vxlan: { type: 'vxlan', options: vtep },
          ...part.elements
        },
        links: [
          { a: ['eth0', 0], b: ['bridge', 1] },
          { a: ['bridge', 0], b: ['vxlan', 1] },
          { a: ['vxlan', 0], b: part.port },
          ...part.links
        ]
      },
      learningBridge as ElementType<never>,
      vxlanType as ElementType<never>,
      udpUnderlayElement as ElementType<never>
    )
  }

  async close(): Promise<void> {
    await this.engine?.close()
    await this.underlay.close()
    for (const end of [this.inside, this.peer, this.host]) end.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
