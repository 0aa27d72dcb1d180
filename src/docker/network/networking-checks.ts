/**
 * What `docker run` and `create` refuse about networks, with Docker's texts (moby: runconfig, daemon/container.go).
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { ApiError } from '../../api/api-error.ts'
import type { EndpointConfig, PortMap } from '../../api/network-json.ts'
import { parsePortRange, parsePortSpec } from './port-spec.ts'

/** The part of a create request that is about networks, as it came: before the image's configuration is merged into it. */
export interface NetworkingRequest {
  readonly Hostname?: string
  readonly MacAddress?: string
  readonly ExposedPorts?: Readonly<Record<string, object>> | null
  readonly HostConfig?: {
    readonly NetworkMode?: string
    readonly PortBindings?: PortMap | null
    readonly PublishAllPorts?: boolean
    readonly Dns?: readonly string[] | null
    readonly ExtraHosts?: readonly string[] | null
    readonly Links?: readonly string[] | null
  } | null
  readonly NetworkingConfig?: { readonly EndpointsConfig?: Readonly<Record<string, EndpointConfig | null>> | null } | null
}

/** Throws ApiError 400. Returns warnings. */
export function checkNetworking(request: NetworkingRequest): string[] {
  const host = request.HostConfig ?? {}
  checkMode(request)
  checkPorts(host.PortBindings ?? {})
  for (const entry of host.ExtraHosts ?? []) checkExtraHost(entry)
  checkEndpoints(request.NetworkingConfig?.EndpointsConfig ?? {})
  const isDiscarded = host.NetworkMode === 'host' && Object.keys(host.PortBindings ?? {}).length > 0
  return isDiscarded ? ['Published ports are discarded when using host network mode'] : []
}

/** `container:X`, or undefined for another mode. */
export function sharedContainer(mode: string): string | undefined {
  return mode === 'container' || mode.startsWith('container:') ? mode.slice('container:'.length) : undefined
}

function checkMode(request: NetworkingRequest): void {
  const host = request.HostConfig ?? {}
  const mode = host.NetworkMode ?? ''
  const shared = sharedContainer(mode)
  if (shared !== undefined) {
    if (shared.split(':')[0] === '') refuse('Invalid network mode: invalid container format container:<name|id>')
    if (request.Hostname) conflict('hostname and the network mode')
    if (isFilled(host.Links)) conflict("container type network can't be used with links. This would result in undefined behavior")
    if (isFilled(host.Dns)) conflict('dns and the network mode')
    if (isFilled(host.ExtraHosts)) conflict('custom host-to-IP mapping and the network mode')
  }
  if ((shared !== undefined || mode === 'host') && request.MacAddress) conflict('mac-address and the network mode')
  if (shared !== undefined) {
    if (isFilled(host.PortBindings) || host.PublishAllPorts) conflict('port publishing and the container type network mode')
    if (isFilled(request.ExposedPorts)) conflict('port exposing and the container type network mode')
  }
  if (mode === 'host' && isFilled(host.Links)) {
    conflict("host type networking can't be used with links. This would result in undefined behavior")
  }
}

function checkPorts(bindings: PortMap): void {
  for (const [port, hostPorts] of Object.entries(bindings)) {
    const [, number] = parsePortSpec(port)
    if (parsePortRange(number) === undefined || number === '') refuse(`invalid port specification: ${JSON.stringify(number)}`)
    for (const { HostPort = '' } of hostPorts ?? []) {
      if (parsePortRange(parsePortSpec(HostPort)[1]) === undefined) refuse(`invalid port specification: ${JSON.stringify(HostPort)}`)
    }
  }
}

function checkExtraHost(entry: string): void {
  const colon = entry.indexOf(':')
  if (colon < 1) refuse(`bad format for add-host: ${JSON.stringify(entry)}`)
  const address = entry.slice(colon + 1)
  if (address !== 'host-gateway' && isIP(address) === 0) refuse(`invalid IP address in add-host: ${JSON.stringify(address)}`)
}

function checkEndpoints(endpoints: Readonly<Record<string, EndpointConfig | null>>): void {
  const names = Object.keys(endpoints)
  if (names.length > 1) refuse(`Container cannot be connected to network endpoints: ${names.join(', ')}`)
  for (const [name, config] of Object.entries(endpoints)) {
    if (config === null) refuse(`no EndpointSettings for ${name}`)
    const { IPv4Address = '', IPv6Address = '' } = config?.IPAMConfig ?? {}
    if (IPv4Address !== '' && !isIPv4(IPv4Address)) refuse(`invalid IPv4 address: ${IPv4Address}`)
    if (IPv6Address !== '' && !isIPv6(IPv6Address)) refuse(`invalid IPv6 address: ${IPv6Address}`)
  }
}

function conflict(what: string): never {
  return refuse(`conflicting options: ${what}`)
}

function refuse(message: string): never {
  throw ApiError.badRequest(message)
}

function isFilled(value: object | null | undefined): boolean {
  return value !== null && value !== undefined && Object.keys(value).length > 0
}
