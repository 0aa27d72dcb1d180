/**
 * The hosts of a recorded lab, made again under the virtual clock: LANs, routers and cables as the capture describes them, and for each host
 * a control plane of its own, as in a daemon. Whoever else was on a LAN is played.
 *
 *   endpoint (replay) -- network -- host1/uplink/eth0 -- lan/NAME -- router/NAME -- lan/NAME -- station/NAME (replay)
 */

import { TrunkPort } from '../elements/vlan/vlan-trunk.ts'
import { Random } from '../engine/index.ts'
import { AddressSpace } from '../ipam/address-space.ts'
import { CaptureControl } from '../network/capture-control.ts'
import type { CaptureSession } from '../network/capture-session.ts'
import { NetworkController } from '../network/controller.ts'
import type { NetworkControllerOptions } from '../network/controller-options.ts'
import { IpvlanDriver } from '../network/drivers/ipvlan-driver.ts'
import { MacvlanDriver } from '../network/drivers/macvlan-driver.ts'
import { OverlayDriver } from '../network/drivers/overlay-driver.ts'
import { elementRegistry } from '../network/element-registry.ts'
import type { CableSetting } from '../network/emulated/cable-words.ts'
import { EmulatedCables } from '../network/emulated/emulated-cables.ts'
import { EmulatedInterface } from '../network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../network/emulated/emulated-lan.ts'
import { EmulatedParents } from '../network/emulated/emulated-parents.ts'
import { addRouter } from '../network/emulated/emulated-router.ts'
import { EmulatedUnderlay } from '../network/emulated/emulated-underlay.ts'
import { EmulatedUplink } from '../network/emulated/emulated-uplink.ts'
import { joinVlan } from '../network/emulated/emulated-vlan.ts'
import { InlineEngine } from '../network/inline-engine.ts'
import { outsidePort, ScopedEngine } from '../network/scoped-engine.ts'
import { cableSetting, type RecordedPort, type Recording } from '../replay/recording.ts'

export interface RecordedHostsOptions extends Pick<NetworkControllerOptions, 'nat' | 'dns'> {
  readonly seed: number | string
  /** As a controller's; the asker's element has its host's name in front. */
  readonly forward: NonNullable<NetworkControllerOptions['forward']>
  /** Engine time of the recording's first frame, ns. */
  readonly startNs: number
}

export class RecordedHosts {
  readonly engine: InlineEngine
  /** By host. */
  readonly controllers = new Map<string, NetworkController>()
  /** What joins hosts, routers and stations to LANs: links can be set there. */
  readonly cables: EmulatedCables
  private readonly recording: Recording
  private readonly options: RecordedHostsOptions
  private readonly captures: CaptureControl
  private readonly lans = new Map<string, EmulatedLan>()

  private constructor(recording: Recording, options: RecordedHostsOptions) {
    this.recording = recording
    this.options = options
    this.engine = new InlineEngine({ elements: elementRegistry(), seed: options.seed })
    this.cables = new EmulatedCables(this.engine)
    this.captures = new CaptureControl({ engine: this.engine, section: { application: 'netloom', comment: `seed ${options.seed}` } })
    this.captures.addCables(this.cables)
  }

  static async create(recording: Recording, options: RecordedHostsOptions): Promise<RecordedHosts> {
    const hosts = new RecordedHosts(recording, options)
    await hosts.addLans()
    await hosts.addRouters()
    for (const cable of hosts.ends('station')) await hosts.addStation(cable)
    for (const cable of hosts.ends('host')) await hosts.addHost(cable)
    return hosts
  }

  /** Every port, into a file. */
  capture(path: string): Promise<CaptureSession> {
    return this.captures.open({ everyPort: true }, { path })
  }

  /** The element that a station beside the hosts is played by; undefined: what the cable belongs to is made again, and sends itself. */
  station(cable: RecordedPort): string | undefined {
    return cableSetting(cable).end === 'station' ? stationElement(cable) : undefined
  }

  async close(): Promise<void> {
    await this.captures.close()
    for (const controller of this.controllers.values()) await controller.close()
    await this.engine.close()
  }

  private ends(end: CableSetting['end']): RecordedPort[] {
    return this.recording.ports.filter((port) => port.kind === 'cable' && cableSetting(port).end === end)
  }

  private async addLans(): Promise<void> {
    const settings = new Map(
      this.recording.ports.flatMap((port) => (port.kind === 'cable' ? [[port.network, cableSetting(port).lan] as const] : []))
    )
    // Of a LAN that has only VLANs of it plugged in, no cable tells.
    for (const { vlan, mtu } of [...settings.values()]) {
      if (vlan !== null && !settings.has(vlan.trunk)) settings.set(vlan.trunk, { mtu, vlan: null })
    }
    for (const [name, { mtu }] of settings) this.lans.set(name, await EmulatedLan.create(this.engine, name, { mtu }))
    for (const [name, { vlan }] of settings) {
      if (vlan !== null) await joinVlan(this.engine, this.lans.get(name)!, this.lans.get(vlan.trunk)!, vlan.id)
    }
  }

  private async addRouters(): Promise<void> {
    const all = this.ends('router')
    for (const name of new Set(all.map((end) => end.name))) {
      const ends = all.filter((end) => end.name === name)
      const interfaces = ends.map(({ network, addresses, mac }) => ({ lan: this.lans.get(network)!, addresses, mac }))
      await addRouter(this.engine, name, { interfaces, routes: cableSetting(ends[0]).routes, cables: this.cables })
    }
  }

  private async addStation(cable: RecordedPort): Promise<void> {
    const { label, mac, addresses, comment: words } = cable
    const lan = this.lans.get(cable.network)!
    const [element, socket] = [stationElement(cable), lan.plug()]
    const options = { isEndpoint: true, mtu: lan.mtu, startNs: this.options.startNs }
    await this.engine.patch({ elements: { [element]: { type: 'replay', options } }, linked: [{ a: [element, 0], b: socket }] })
    this.cables.add({ name: label, lan, socket, station: [element, 0], mac, addresses, words })
  }

  private async addHost(cable: RecordedPort): Promise<void> {
    const { name, label, mac, addresses, comment: words } = cable
    const { seed, nat, dns, forward } = this.options
    const lan = this.lans.get(cable.network)!
    const socket = lan.plug()
    const eth0 = new EmulatedInterface({ name: 'eth0', addresses, mac, mtu: lan.mtu, wire: outsidePort(socket) })
    const station = [`${name}/${eth0.trunk}`, TrunkPort.cable] as const
    this.cables.add({ name: label, lan, socket, station, mac, addresses, words })
    const engine = new ScopedEngine(this.engine, `${name}/`)
    const parents = new EmulatedParents(eth0)
    const overlay = new OverlayDriver({ underlay: () => new EmulatedUnderlay(engine, eth0), address: eth0.address! })
    const controller = new NetworkController({
      engine,
      addresses: new AddressSpace(),
      random: new Random(`${seed}/${name}/control`),
      drivers: [new MacvlanDriver(parents), new IpvlanDriver(parents), overlay],
      uplink: new EmulatedUplink({ interface: eth0, routes: cableSetting(cable).routes }),
      forward: (request) => forward({ ...request, element: `${name}/${request.element}` }),
      ...(nat !== undefined && { nat }),
      ...(dns !== undefined && { dns })
    })
    const others = this.ends('host').filter((other) => other !== cable)
    overlay.setVteps(others.map((other) => addressOf(other)))
    await controller.start()
    this.controllers.set(name, controller)
    this.captures.addHost(name, controller)
  }
}

/** A host that is played by frames of more than one cable has an element for each. */
function stationElement({ label }: RecordedPort): string {
  return `station/${label}`
}

/** Without prefix length; IPv4, where there is one. */
export function addressOf({ addresses }: RecordedPort): string {
  return addresses[0].split('/')[0]
}
