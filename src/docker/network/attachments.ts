/**
 * Endpoints that no container owns: a process that somebody else started, a network namespace, a TAP for a virtual machine, a virtual
 * host.
 * Network inspect shows them under `ep-ENDPOINT-ID`. They live as long as the daemon: what it gave to a namespace goes with it.
 */
import { ApiError } from '../../api/api-error.ts'
import type { AttachedResource, AttachRequest } from '../../api/network-json.ts'
import type { Random } from '../../engine/index.ts'
import { loadNative } from '../../io/load-native.ts'
import { openMachineTap } from '../../io/machine-tap.ts'
import type { NetworkController } from '../../network/controller.ts'
import { type Endpoint, type EndpointSpec, endpointAddresses } from '../../network/endpoint.ts'
import { NetworkError } from '../../network/network-error.ts'
import { NetworkNamespace } from '../../sandbox/network-namespace.ts'
import { DNS_SERVICE_MAC } from '../../stack/host-config.ts'
import { newDockerId } from '../docker-id.ts'
import type { DockerNetwork } from './docker-network.ts'
import { checkedMac, connectError, nameTaken } from './endpoint-checks.ts'
import { linkShapeOf } from './link-options.ts'
import type { NetworkService } from './network-service.ts'
import { BY_DEVICE } from './sandbox-interfaces.ts'

export interface AttachmentsOptions {
  readonly networks: NetworkService
  readonly controller: NetworkController
  /** Draws ids. */
  readonly random: Random
  /** Descriptor of the network namespace in which TAPs for virtual machines are made; default: the daemon's own. */
  readonly tapNamespace?: number
}

interface Attached {
  readonly networkId: string
  readonly owner: string
  readonly name: string
  /** Takes away what was made at the other end. */
  readonly undo: () => Promise<void>
}

/** What stands at the other end of an endpoint. */
interface Plug {
  readonly endpoint: Endpoint
  readonly undo: () => Promise<void>
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

export class Attachments {
  private readonly options: AttachmentsOptions
  /** By `NETWORK-ID/NAME`. */
  private readonly attached = new Map<string, Attached>()

  constructor(options: AttachmentsOptions) {
    this.options = options
  }

  has(networkId: string, name: string): boolean {
    return this.attached.has(`${networkId}/${name}`)
  }

  /** Throws ApiError, and what the sandbox and the kernel throw (no such process, not allowed). */
  async attach(request: AttachRequest): Promise<AttachedResource> {
    const network = this.options.networks.find(request.network)
    if (!network.isPlugged) throw ApiError.badRequest(`network ${network.name} has no endpoints that could be attached`)
    const targets = [request.pid, request.netns, request.tap, request.virtual].filter((target) => target !== undefined)
    if (targets.length !== 1) throw ApiError.badRequest('exactly one of pid, netns, tap and virtual must be given')
    const name = request.name ?? defaultName(request)
    if (!NAME.test(name)) throw ApiError.badRequest(`endpoint name '${name}' is invalid: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
    if (network.endpointNamed(name) !== undefined) throw nameTaken(name, network)
    const spec = this.spec(request, name, network)
    const ifname = request.tap?.name ?? request.ifname ?? 'eth0'
    await this.options.networks.ready(network)
    try {
      let undo = async (): Promise<void> => {}
      const endpoint = await this.options.networks.admit(network, spec, async (admitted) => {
        const plugged = await this.plug(network, admitted, request, ifname)
        undo = plugged.undo
        return plugged.endpoint
      })
      const attached = { networkId: network.id, owner: `ep-${endpoint.id}`, name, undo }
      const key = `${network.id}/${name}`
      this.attached.set(key, attached)
      const { id, address, prefixLength, address6, prefixLength6, mac } = endpoint
      try {
        await this.options.networks.addEndpoint({ ...attached, id, address, prefixLength, address6, prefixLength6, mac })
        this.options.networks.confirm(network, id, name)
      } catch (error) {
        // Nothing that has no record stays: nobody could take it away.
        const isHere = this.attached.get(key) === attached // else it is evicted already
        if (isHere) await this.end(key, attached).catch(() => {}) // the store may be what failed
        throw error
      }
      const { gateway, record } = network
      const { subnet = '' } = record.pool ?? {}
      return { network: network.name, id, name, ip: address, ip6: address6, mac, subnet, gateway, ifname }
    } catch (error) {
      throw plainError(connectError(error, name, network))
    }
  }

  /** Throws ApiError 404. */
  async detach(reference: string, name: string): Promise<void> {
    const network = this.options.networks.find(reference)
    const key = `${network.id}/${name}`
    const attached = this.attached.get(key)
    if (attached === undefined) throw ApiError.notFound(`endpoint ${name} not found`)
    await this.end(key, attached)
  }

  /** Another host removed an endpoint by force. False when it is none of these. */
  async evict(networkId: string, endpointId: string): Promise<boolean> {
    for (const [key, attached] of this.attached) {
      if (attached.networkId !== networkId || attached.owner !== `ep-${endpointId}`) continue
      await this.end(key, attached)
      return true
    }
    return false
  }

  /** At the daemon's end. */
  async close(): Promise<void> {
    for (const [key, attached] of [...this.attached]) await this.end(key, attached).catch(() => {})
  }

  private async end(key: string, attached: Attached): Promise<void> {
    this.attached.delete(key)
    try {
      await attached.undo()
    } finally {
      await this.options.networks.removeEndpoint(attached)
    }
  }

  private spec({ ip, ip6, mac, aliases = [], tap, driverOpts }: AttachRequest, name: string, { isOverlay }: DockerNetwork): EndpointSpec {
    const link = linkShapeOf(driverOpts)
    return {
      id: newDockerId(this.options.random),
      name,
      names: [name, ...aliases],
      // A guest has no 127.0.0.11 that leads to us: it asks the gateway.
      gatewayDns: tap !== undefined,
      // Who starts a virtual machine often gives its card another MAC than ours; the hosts of an overlay are told one.
      ownMac: tap !== undefined && mac === undefined && !isOverlay,
      ...(ip !== undefined && { address: ip }),
      ...(ip6 !== undefined && { address6: ip6 }),
      ...(mac !== undefined && { mac: checkedMac(mac) }),
      ...(link !== undefined && { link })
    }
  }

  private plug(network: DockerNetwork, spec: EndpointSpec, request: AttachRequest, ifname: string): Promise<Plug> {
    const { tap, virtual } = request
    if (tap !== undefined) return this.plugTap(network, spec, request, tap)
    return virtual === undefined ? this.plugNamespace(network, spec, request, ifname) : this.plugVirtual(network, spec, virtual, request)
  }

  private async plugVirtual(
    network: DockerNetwork,
    spec: EndpointSpec,
    { udpEcho, silent = false }: NonNullable<AttachRequest['virtual']>,
    request: AttachRequest
  ): Promise<Plug> {
    const { controller } = this.options
    const mtu = request.mtu ?? controller.network(network.id).mtu
    if (silent) {
      const endpoint = await controller.connect(network.id, spec, () => ({ type: 'replay', options: { isEndpoint: true, mtu } }))
      return { endpoint, undo: () => controller.disconnect(network.id, spec.name) }
    }
    // It asks by ARP, which nobody answers there.
    if (network.isPointToPoint) throw ApiError.badRequest(`network ${network.name} has no ARP, which a virtual host needs`)
    const gatewayFor = (address: string): string => (network.record.internal || address === '' ? '' : network.gatewayFor(address))
    const endpoint = await controller.connect(network.id, spec, (begun) => ({
      type: 'host',
      options: {
        mac: begun.mac,
        addresses: endpointAddresses(begun),
        udpEcho,
        mtu,
        sharesMac: network.hasOneMac,
        ...(gatewayFor(begun.address) !== '' && { gateway: gatewayFor(begun.address) }),
        ...(gatewayFor(begun.address6) !== '' && { gateway6: gatewayFor(begun.address6) })
      }
    }))
    return { endpoint, undo: () => controller.disconnect(network.id, spec.name) }
  }

  private async plugNamespace(network: DockerNetwork, spec: EndpointSpec, request: AttachRequest, ifname: string): Promise<Plug> {
    const { controller } = this.options
    const mtu = request.mtu ?? controller.network(network.id).mtu
    const namespace = await NetworkNamespace.open(request.pid === undefined ? { path: request.netns! } : { pid: request.pid })
    try {
      const tap = namespace.openTap({ name: ifname })
      let handedOver = false
      const endpoint = await controller
        .connect(network.id, spec, () => {
          handedOver = true
          const { fd, vnetHeaderLength, offloads } = tap
          return { type: 'tap', options: { fd, name: `${spec.name}/${ifname}`, mtu, vnetHeaderLength, offloads } }
        })
        .catch((error) => {
          // Once the engine had it, the descriptor is the element's to close.
          if (!handedOver) loadNative().closeFd(tap.fd)
          throw error
        })
      const undo = async (): Promise<void> => {
        await namespace.unrouteResolver(ifname).catch(() => {}) // the namespace may be on its way out
        await controller.disconnect(network.id, spec.name)
        namespace.close()
      }
      await this.configure(namespace, network, endpoint, ifname, mtu).catch(async (error) => {
        await undo()
        throw error
      })
      return { endpoint, undo }
    } catch (error) {
      namespace.close()
      throw error
    }
  }

  /** What the namespace has already, a default route or a way to 127.0.0.11, is its owner's and stays. */
  private async configure(
    namespace: NetworkNamespace,
    network: DockerNetwork,
    endpoint: Endpoint,
    name: string,
    mtu: number
  ): Promise<void> {
    const { mac, address, prefixLength, address6, prefixLength6 } = endpoint
    const byDevice = network.isPointToPoint && !network.isClosed
    const gateway = byDevice ? BY_DEVICE : network.record.internal ? '' : network.gatewayFor(address)
    const gateway6 = network.record.internal || address6 === '' ? '' : network.gatewayFor(address6)
    await namespace.configureInterface({
      name,
      mac,
      mtu,
      address: `${address}/${prefixLength}`,
      keepDefaultRoute: true,
      ...(network.isPointToPoint && { arp: false }),
      ...(gateway !== '' && { gateway }),
      ...(address6 !== '' && { address6: `${address6}/${prefixLength6}`, ...(gateway6 !== '' && { gateway6 }) })
    })
    await namespace.routeResolver({ device: name, source: address, serviceMac: DNS_SERVICE_MAC, keep: true })
  }

  private async plugTap(
    network: DockerNetwork,
    spec: EndpointSpec,
    request: AttachRequest,
    tap: NonNullable<AttachRequest['tap']>
  ): Promise<Plug> {
    const native = loadNative()
    const owner = tap.user === undefined ? null : /^\d+$/.test(tap.user) ? Number(tap.user) : native.userId(tap.user)
    if (owner !== null && owner < 0) throw ApiError.badRequest(`user '${tap.user}': there is no such user on this machine`)
    const machineTap = await openMachineTap(native, {
      name: tap.name,
      owner,
      mtu: request.mtu ?? this.options.controller.network(network.id).mtu,
      ...(this.options.tapNamespace !== undefined && { netns: this.options.tapNamespace })
    })
    const { fd, mtu, vnetHeaderLength } = machineTap.socket
    let handedOver = false
    try {
      const endpoint = await this.options.controller.connect(network.id, spec, () => {
        handedOver = true
        return { type: 'packet-socket', options: { fd, name: `${spec.name}/${tap.name}`, mtu, vnetHeaderLength } }
      })
      const undo = async (): Promise<void> => {
        try {
          await this.options.controller.disconnect(network.id, spec.name)
        } finally {
          await machineTap.close()
        }
      }
      return { endpoint, undo }
    } catch (error) {
      if (!handedOver) native.closeFd(fd)
      await machineTap.close()
      throw error
    }
  }
}

function defaultName({ pid, netns, tap, virtual }: AttachRequest): string {
  if (pid !== undefined) return `pid-${pid}`
  if (virtual !== undefined) throw ApiError.badRequest('a virtual host needs a name')
  return netns === undefined ? tap!.name : netns.slice(netns.lastIndexOf('/') + 1)
}

const STATUS: Readonly<Record<string, number>> = { ESRCH: 404, ENOENT: 404, EPERM: 403, EACCES: 403, EBUSY: 409, EEXIST: 409, EINVAL: 400 }

/** Errors of the kernel and of the sandbox with a status; others as they are. */
function plainError(error: unknown): unknown {
  if (error instanceof ApiError || error instanceof NetworkError || !(error instanceof Error)) return error
  const status = STATUS[(error as NodeJS.ErrnoException).code ?? '']
  return status === undefined ? error : new ApiError(status, error.message, { cause: error })
}
