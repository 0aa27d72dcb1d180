/**
 * A network of a lab and what is plugged into it.
 */
import type { NetworkController } from '../network/controller.ts'
import { endpointAddresses } from '../network/endpoint.ts'
import type { Network } from '../network/network.ts'
import { gatewaysOf } from '../network/topology-builder.ts'
import type { NamespaceTarget } from '../sandbox/network-namespace.ts'
import { addressFamily } from '../wire/address.ts'
import { type EndpointOptions, endpointSpec } from './endpoint-options.ts'
import type { Lab } from './lab.ts'
import { type AttachOptions, LabAttachment } from './lab-attachment.ts'
import { LabHost } from './lab-host.ts'
import { LabMachine, type MachineOptions } from './lab-machine.ts'
import { LabReplay, type LabReplayOptions } from './lab-replay.ts'
import { LabSandbox, type SandboxOptions } from './lab-sandbox.ts'
import { type LinkOption, linkChange } from './link-option.ts'
import { LabLink } from './testing/lab-link.ts'

export interface HostOptions extends EndpointOptions {
  /** UDP ports that send every datagram back. */
  readonly udpEcho?: readonly number[]
  /** Longest packet, bytes; default 1500. */
  readonly mtu?: number
}

export class LabNetwork {
  readonly network: Network
  private readonly lab: Lab
  private readonly controller: NetworkController

  constructor(lab: Lab, controller: NetworkController, network: Network) {
    this.lab = lab
    this.controller = controller
    this.network = network
  }

  get name(): string {
    return this.network.name
  }

  get subnet(): string {
    return this.network.pool.subnet
  }

  get gateway(): string | null {
    return this.network.pool.gateway
  }

  /** Plugs in a virtual host. Rejects for a name, address or MAC that cannot be or is taken. */
  async host(name: string, options: HostOptions = {}): Promise<LabHost> {
    const spec = endpointSpec(name, options)
    const gateways = this.network.internal ? [] : gatewaysOf(this.network)
    const endpoint = await this.controller.connect(this.name, spec, (begun) => ({
      type: 'host',
      options: {
        mac: begun.mac,
        addresses: endpointAddresses(begun),
        gateway: gateways.find((address) => addressFamily(address) === 4),
        gateway6: gateways.find((address) => addressFamily(address) === 6),
        udpEcho: options.udpEcho ?? [],
        mtu: options.mtu ?? 1500
      }
    }))
    return new LabHost(this.controller, this, endpoint)
  }

  /** Makes namespaces with an eth0 on this network, in which processes can be started. Real time and the addon only. */
  sandbox(name: string, options: SandboxOptions = {}): Promise<LabSandbox> {
    return LabSandbox.create(this.lab, this.controller, this, name, options)
  }

  /** Plugs in the namespace of a process that somebody else started. Real time and the addon only. */
  attach(name: string, target: NamespaceTarget, options: AttachOptions = {}): Promise<LabAttachment> {
    return LabAttachment.create(this.lab, this.controller, this, name, target, options)
  }

  /** Plugs in a TAP for a virtual machine that somebody else runs. Real time and the addon only. */
  machine(name: string, options: MachineOptions): Promise<LabMachine> {
    return LabMachine.create(this.lab, this.controller, this, name, options)
  }

  /** Plugs in a capture, a file or its bytes: its frames are sent as recorded, and nobody answers. Rejects for a capture that is none. */
  replay(name: string, capture: string | Uint8Array, options: LabReplayOptions = {}): Promise<LabReplay> {
    return LabReplay.create(this.lab, this.controller, this, name, capture, options)
  }

  /** The link of an endpoint. */
  link(endpoint: string): LabLink {
    const place = `${this.network.element}/${endpoint}`
    return new LabLink(
      place,
      (on) => (on ? this.lab.faults.cut(place) : this.lab.faults.restore(place)),
      (link) => this.setLink(endpoint, link)
    )
  }

  /** Sets how the link of an endpoint behaves, from now on. Rejects for words that are none, and for a name that is not there. */
  async setLink(endpoint: string, link: LinkOption): Promise<void> {
    await this.controller.setLink(this.name, endpoint, linkChange(link))
  }

  /** The same for all endpoints of the network, and for those that come. */
  async setLinks(link: LinkOption): Promise<void> {
    await this.controller.setLinks(this.name, linkChange(link))
  }

  /** Ends the network; everything must be unplugged before. */
  remove(): Promise<void> {
    return this.controller.removeNetwork(this.name)
  }
}
