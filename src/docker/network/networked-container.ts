/**
 * What networking needs to know of a container. The Container class of src/docker/container is one.
 */
import type { PortMap } from '../../api/network-json.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { ContainerNetworking } from './container-networking.ts'

export interface NetworkedContainer {
  /** 64 hexadecimal digits. */
  readonly id: string
  /** Without a slash. */
  readonly name: string
  /** Where hosts, hostname and resolv.conf are written. */
  readonly directory: string
  readonly config: {
    Hostname: string
    Domainname: string
    ExposedPorts?: Record<string, object> | null
    MacAddress?: string
    Env?: string[] | null
    Labels?: Readonly<Record<string, string>> | null
  }
  readonly hostConfig: {
    NetworkMode: string
    PortBindings?: PortMap | null
    PublishAllPorts?: boolean
    Dns?: string[] | null
    DnsSearch?: string[] | null
    DnsOptions?: string[] | null
    ExtraHosts?: string[] | null
    Links?: string[] | null
  }
  readonly state: { readonly Running: boolean }
  /** Ours; saved with the container. */
  networking: ContainerNetworking
  /** null while it does not run. */
  readonly sandbox: Sandbox | null
  exclusive<T>(work: () => Promise<T>): Promise<T>
  save(): Promise<void>
}

/** How networking finds containers. */
export interface ContainerLookup {
  /** By name, id or prefix of an id. Throws ApiError `No such container: REF`. */
  find(reference: string): NetworkedContainer
  all(): Iterable<NetworkedContainer>
}
