/**
 * Published ports: which host ports a container gets, in Docker's order and with its refusals. Book-keeping only: what is behind
 * them follows in container-ports.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { ApiError } from '../../api/api-error.ts'
import type { PortBinding, PortMap, PortSummary } from '../../api/network-json.ts'
import type { PortProbe } from './host-ports.ts'
import type { NetworkedContainer } from './networked-container.ts'
import type { PortAllocator } from './port-allocator.ts'
import { type PortRange, parsePortRange, parsePortSpec } from './port-spec.ts'

interface Wish {
  /** `80/tcp`. */
  readonly port: string
  readonly protocol: string
  readonly hostIp: string
  /** 0 to 0: any. */
  readonly range: PortRange
}

interface Held {
  readonly address: string
  readonly protocol: string
  readonly port: number
}

export interface PublishOptions {
  /** Where ports go that name no address: the network's host_binding_ipv4, '0.0.0.0' for all. */
  readonly hostBinding: string
  /** Addresses of gateways, which the host has in the emulated network only: they are not tried. */
  readonly isGateway: (address: string) => boolean
}

/** Docker tries so often when nobody named the port. */
const ATTEMPTS = 10

export class PortPublisher {
  private readonly allocator: PortAllocator
  private readonly probe: PortProbe
  private readonly held: Held[] = []

  constructor(allocator: PortAllocator, probe: PortProbe) {
    this.allocator = allocator
    this.probe = probe
  }

  /** What inspect shows: every exposed port, with its bindings where it is published. Throws ApiError; nothing is taken then. */
  async publish(container: NetworkedContainer, options: PublishOptions): Promise<PortMap> {
    const result: PortMap = {}
    const taken: Held[] = []
    const { wishes, exposed } = wishesOf(container)
    for (const port of exposed) result[port] = null
    try {
      for (const wish of wishes) {
        for (const address of addressesOf(wish, options.hostBinding)) {
          const port = await this.take({ ...wish, hostIp: address }, options)
          taken.push({ address, protocol: wish.protocol, port })
          const bindings: PortBinding[] = result[wish.port] ?? []
          result[wish.port] = [...bindings, { HostIp: address, HostPort: String(port) }]
        }
      }
    } catch (error) {
      for (const one of taken) this.give(one)
      throw error
    }
    return result
  }

  /** Gives everything back that `publish` or `restore` took. */
  release(ports: PortMap): void {
    for (const one of heldBy(ports)) this.give(one)
  }

  /** After the daemon's start: what a container that runs has. */
  restore(ports: PortMap): void {
    for (const one of heldBy(ports)) if (this.allocator.claim(one.address, one.protocol, one.port)) this.held.push(one)
  }

  private async take(wish: Wish, options: PublishOptions): Promise<number> {
    const isAny = wish.range.first === 0
    for (let attempt = 1; ; attempt++) {
      const port = this.allocate(wish)
      const one = { address: wish.hostIp, protocol: wish.protocol, port }
      const problem = await this.listenProblem(one, options)
      if (problem === undefined) {
        this.held.push(one)
        return port
      }
      this.allocator.release(one.address, one.protocol, port)
      if (!isAny || attempt === ATTEMPTS) throw ApiError.internal(problem)
    }
  }

  private allocate({ hostIp, protocol, range }: Wish): number {
    const { first, last } = range
    if (first !== 0 && first === last) {
      if (this.allocator.claim(hostIp, protocol, first)) return first
      throw ApiError.internal(`Bind for ${hostIp}:${first} failed: port is already allocated`)
    }
    const port = this.allocator.claimAny(hostIp, protocol, first === 0 ? undefined : range)
    if (port === undefined) throw ApiError.internal('all ports are allocated')
    return port
  }

  /** Why nobody could listen there, in the words of Docker's proxy. */
  private async listenProblem({ address, protocol, port }: Held, { isGateway }: PublishOptions): Promise<string | undefined> {
    const one = { address, protocol, port }
    const isShared = this.held.some((other) => other.protocol === protocol && other.port === port && share(other.address, address))
    if (isShared) return listenText(one, 'EADDRINUSE')
    if (isGateway(address)) return undefined
    const code = await this.probe(address, protocol, port)
    // A host without IPv6 has nobody there who could be refused.
    if (code === undefined || (isIPv6(address) && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') && address === '::'))
      return undefined
    return listenText(one, code)
  }

  private give(one: Held): void {
    const index = this.held.findIndex((other) => isSame(one, other))
    if (index < 0) return
    this.held.splice(index, 1)
    this.allocator.release(one.address, one.protocol, one.port)
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied'
}

/** Docker's words for a port that nobody can listen on; `code` is the system's. */
export function listenText({ address, protocol, port }: Held, code: string): string {
  const where = isIPv6(address) ? `${protocol}6 [${address}]` : `${protocol}4 ${address}`
  return `Error starting userland proxy: listen ${where}:${port}: bind: ${PROBLEMS[code] ?? code}`
}

/** Members of `Ports` in the list of containers. */
export function portSummaries(ports: PortMap): PortSummary[] {
  return Object.entries(ports).flatMap(([port, bindings]) => {
    const [Type, number] = parsePortSpec(port)
    const PrivatePort = Number(number)
    if (bindings === null || bindings.length === 0) return [{ PrivatePort, Type }]
    return bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, PrivatePort, PublicPort: Number(HostPort), Type }))
  })
}

/** In Docker's order: the larger host port first, then the larger port, TCP before the others. */
function wishesOf({ config, hostConfig }: NetworkedContainer): { wishes: Wish[]; exposed: string[] } {
  const exposed = Object.keys(config.ExposedPorts ?? {}).map(canonical)
  const bindings = new Map(Object.entries(hostConfig.PortBindings ?? {}).map(([port, value]) => [canonical(port), value ?? []]))
  const wishes: Wish[] = []
  for (const port of exposed) {
    const given = bindings.get(port) ?? []
    const all = given.length === 0 && hostConfig.PublishAllPorts === true ? [{ HostIp: '', HostPort: '' }] : given
    for (const { HostIp = '', HostPort = '' } of all) {
      wishes.push({ port, protocol: parsePortSpec(port)[0], hostIp: HostIp, range: parsePortRange(parsePortSpec(HostPort)[1])! })
    }
  }
  wishes.sort(
    (a, b) => b.range.first - a.range.first || numberOf(b) - numberOf(a) || Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp')
  )
  return { wishes, exposed }
}

/** The addresses of the host that a binding means: where it names none, those of both families. */
function addressesOf({ hostIp }: Wish, hostBinding: string): string[] {
  if (isIPv4(hostIp) || isIPv6(hostIp)) return [hostIp]
  return hostBinding === '0.0.0.0' ? ['0.0.0.0', '::'] : [hostBinding]
}

function heldBy(ports: PortMap): Held[] {
  return Object.entries(ports).flatMap(([port, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => ({ address: HostIp, protocol: parsePortSpec(port)[0], port: Number(HostPort) }))
  )
}

function canonical(port: string): string {
  const [protocol, number] = parsePortSpec(port)
  return `${number}/${protocol}`
}

function numberOf({ port }: Wish): number {
  return Number(parsePortSpec(port)[1])
}

/** Whether nobody can listen on both: an address and that of all of its family. */
function share(a: string, b: string): boolean {
  return isIPv6(a) === isIPv6(b) && (a === b || a === '0.0.0.0' || b === '0.0.0.0' || a === '::' || b === '::')
}

function isSame(a: Held, b: Held): boolean {
  return a.address === b.address && a.protocol === b.protocol && a.port === b.port
}
