/**
 * A sandbox of a lab: namespaces with an eth0 that is a TAP of ours, in which real processes run.
 */
import type { ElementCounters } from '../engine/index.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import type { HostsEntry } from '../sandbox/hosts-file.ts'
import { Sandbox } from '../sandbox/sandbox.ts'
import type { SandboxProcess, SpawnOptions } from '../sandbox/sandbox-process.ts'
import { type EndpointOptions, endpointSpec, requireRealTime } from './endpoint-options.ts'
import type { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'
import { plugTap } from './plug-tap.ts'

export interface SandboxOptions extends EndpointOptions {
  /** Default: the name. */
  readonly hostname?: string
  /** More entries of /etc/hosts. */
  readonly hosts?: readonly HostsEntry[]
  /** Longest packet of eth0, bytes; default 1500. */
  readonly mtu?: number
}

const INTERFACE = 'eth0'

export class LabSandbox {
  readonly network: LabNetwork
  readonly endpoint: Endpoint
  readonly sandbox: Sandbox
  private readonly controller: NetworkController
  private readonly forget: () => void
  private closing: Promise<void> | null = null

  private constructor(lab: Lab, controller: NetworkController, network: LabNetwork, endpoint: Endpoint, sandbox: Sandbox) {
    this.controller = controller
    this.network = network
    this.endpoint = endpoint
    this.sandbox = sandbox
    this.forget = lab.onClose(() => this.close())
  }

  /** Rejects with SandboxError or NativeUnavailableError where this machine or user cannot, NetworkError under a virtual clock. */
  static async create(
    lab: Lab,
    controller: NetworkController,
    network: LabNetwork,
    name: string,
    options: SandboxOptions
  ): Promise<LabSandbox> {
    requireRealTime(lab, `sandbox '${name}': processes`)
    const hostname = options.hostname ?? name
    const sandbox = await Sandbox.create({ name, hostname })
    // A lab that is closed meanwhile must not leave it behind.
    const forget = lab.onClose(() => sandbox.close())
    try {
      const spec = endpointSpec(name, options)
      const plug = { interfaceName: INTERFACE, mtu: options.mtu ?? 1500, foreign: false }
      const endpoint = await plugTap(controller, network.network, sandbox, spec, plug)
      await sandbox.setHosts([{ address: endpoint.address, names: [hostname] }, ...(options.hosts ?? [])])
      return new LabSandbox(lab, controller, network, endpoint, sandbox)
    } catch (error) {
      await sandbox.close()
      throw error
    } finally {
      forget()
    }
  }

  get name(): string {
    return this.endpoint.name
  }

  get address(): string {
    return this.endpoint.address
  }

  /** Starts a process; resolves when its program runs. */
  spawn(argv: readonly string[], options: Omit<SpawnOptions, 'argv'> = {}): Promise<SandboxProcess> {
    return this.sandbox.spawn({ ...options, argv })
  }

  counters(): ElementCounters {
    return this.controller.endpointCounters(this.network.network, this.endpoint)
  }

  /** Ends every process in it and unplugs it. May be called again. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.forget()
    await this.sandbox.close()
    await this.controller.disconnect(this.network.name, this.name)
  }
}
