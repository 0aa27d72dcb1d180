/**
 * A virtual machine on a network of the lab: a TAP in this process's own namespace, for an emulator that somebody else runs.
 *
 *     const vm = await lan.machine('vm', { tap: 'tap7', user: 'ann' })
 *     // ann: qemu-system-x86_64 ... -device virtio-net,netdev=n,mac=<vm.mac> -netdev tap,id=n,ifname=tap7,script=no,downscript=no
 *
 * The guest configures itself: the lab keeps the address for it and answers for its name, and says both here.
 */
import type { ElementCounters } from '../engine/index.ts'
import { loadNative } from '../io/load-native.ts'
import { type MachineTap, openMachineTap } from '../io/machine-tap.ts'
import type { NativeBinding } from '../io/native-binding.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import { NetworkError } from '../network/network-error.ts'
import { type EndpointOptions, endpointSpec, requireRealTime } from './endpoint-options.ts'
import type { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'

export interface MachineOptions extends EndpointOptions {
  /** Name of the TAP. One that exists is used as it is, and stays. */
  readonly tap: string
  /** Who runs the emulator, by id or name; root by default. */
  readonly user?: number | string
  /** Longest packet, bytes; default 1500. */
  readonly mtu?: number
}

export class LabMachine {
  readonly network: LabNetwork
  readonly endpoint: Endpoint
  /** Name of the TAP. */
  readonly tap: string
  private readonly controller: NetworkController
  private readonly machineTap: MachineTap
  private readonly forget: () => void
  private closing: Promise<void> | null = null

  private constructor(lab: Lab, controller: NetworkController, network: LabNetwork, endpoint: Endpoint, machineTap: MachineTap) {
    this.controller = controller
    this.network = network
    this.endpoint = endpoint
    this.tap = machineTap.socket.name
    this.machineTap = machineTap
    this.forget = lab.onClose(() => this.close())
  }

  /**
   * Rejects with NetworkError (virtual clock, unknown user, taken name), TapError (a bad TAP name, an interface that is no TAP),
   * SystemCallError (not allowed), NativeUnavailableError.
   */
  static async create(
    lab: Lab,
    controller: NetworkController,
    network: LabNetwork,
    name: string,
    options: MachineOptions
  ): Promise<LabMachine> {
    requireRealTime(lab, `machine '${name}': virtual machines`)
    const native = loadNative()
    const owner = options.user === undefined ? null : userNumber(native, options.user)
    const machineTap = await openMachineTap(native, { name: options.tap, owner, mtu: options.mtu })
    const { fd, mtu, vnetHeaderLength } = machineTap.socket
    let handedOver = false
    try {
      const spec = endpointSpec(name, options)
      const endpoint = await controller.connect(network.name, spec, () => {
        handedOver = true
        return { type: 'packet-socket', options: { fd, name: `${name}/${options.tap}`, mtu, vnetHeaderLength } }
      })
      return new LabMachine(lab, controller, network, endpoint, machineTap)
    } catch (error) {
      // Once the engine had it, the descriptor is the element's to close: closing it twice could hit somebody else's.
      if (!handedOver) native.closeFd(fd)
      await machineTap.close()
      throw error
    }
  }

  get name(): string {
    return this.endpoint.name
  }

  /** What the guest is to configure, without its prefix length. */
  get address(): string {
    return this.endpoint.address
  }

  /** Empty without IPv6. */
  get address6(): string {
    return this.endpoint.address6
  }

  /** What the emulator is to give the guest's card; others learn whatever it uses. */
  get mac(): string {
    return this.endpoint.mac
  }

  counters(): ElementCounters {
    return this.controller.endpointCounters(this.network.network, this.endpoint)
  }

  /** Unplugs the machine and removes the TAP if the lab made it, also from under a running guest. May be called again. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.forget()
    try {
      await this.controller.disconnect(this.network.name, this.name)
    } finally {
      await this.machineTap.close()
    }
  }
}

/** The largest id there is: 2^32-1 means "none" to the kernel. */
const USER_MAX = 0xfffffffe

/** Throws NetworkError. */
function userNumber(native: NativeBinding, user: number | string): number {
  const number = typeof user === 'number' ? user : /^\d+$/.test(user) ? Number(user) : native.userId(user)
  if (Number.isInteger(number) && number >= 0 && number <= USER_MAX) return number
  throw new NetworkError('invalid', `user '${user}': there is no such user on this machine`)
}
