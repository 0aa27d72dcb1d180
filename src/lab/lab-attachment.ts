/**
 * A foreign namespace on a network of the lab: an interface in the namespace of a process that we did not start.
 */
import type { ElementCounters } from '../engine/index.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import { type NamespaceTarget, NetworkNamespace } from '../sandbox/network-namespace.ts'
import { type EndpointOptions, endpointSpec, requireRealTime } from './endpoint-options.ts'
import type { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'
import { plugTap } from './plug-tap.ts'

export interface AttachOptions extends EndpointOptions {
  /** The interface's name in the namespace; default eth0. */
  readonly interfaceName?: string
  /** Longest packet, bytes; default 1500. */
  readonly mtu?: number
}

export class LabAttachment {
  readonly network: LabNetwork
  readonly endpoint: Endpoint
  private readonly controller: NetworkController
  private readonly namespace: NetworkNamespace
  private readonly interfaceName: string
  private readonly forget: () => void
  private closing: Promise<void> | null = null

  private constructor(
    lab: Lab,
    controller: NetworkController,
    network: LabNetwork,
    endpoint: Endpoint,
    namespace: NetworkNamespace,
    interfaceName: string
  ) {
    this.interfaceName = interfaceName
    this.controller = controller
    this.network = network
    this.endpoint = endpoint
    this.namespace = namespace
    this.forget = lab.onClose(() => this.close())
  }

  /** Rejects with SandboxError (no such process or file, not allowed), NetlinkError, NetworkError under a virtual clock. */
  static async create(
    lab: Lab,
    controller: NetworkController,
    network: LabNetwork,
    name: string,
    target: NamespaceTarget,
    options: AttachOptions
  ): Promise<LabAttachment> {
    requireRealTime(lab, `attach '${name}': processes`)
    const namespace = await NetworkNamespace.open(target)
    try {
      const spec = endpointSpec(name, options)
      const plug = { interfaceName: options.interfaceName ?? 'eth0', mtu: options.mtu ?? 1500, foreign: true }
      const endpoint = await plugTap(controller, network.network, namespace, spec, plug)
      return new LabAttachment(lab, controller, network, endpoint, namespace, plug.interfaceName)
    } catch (error) {
      namespace.close()
      throw error
    }
  }

  get name(): string {
    return this.endpoint.name
  }

  get address(): string {
    return this.endpoint.address
  }

  counters(): ElementCounters {
    return this.controller.endpointCounters(this.network.network, this.endpoint)
  }

  /** Takes the interface and the route to 127.0.0.11 away again. May be called again. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.forget()
    try {
      await this.namespace.unrouteResolver(this.interfaceName)
    } finally {
      await this.controller.disconnect(this.network.name, this.name)
      this.namespace.close()
    }
  }
}
