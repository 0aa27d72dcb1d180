/**
 * The settings by which daemons become one cluster: where their store is, and by which address the others reach this host.
 */
import { networkInterfaces } from 'node:os'
import { readStoreOptions } from '../cluster/store-options.ts'
import { addressFamily } from '../wire/address.ts'
import { DaemonError } from './daemon-error.ts'

/** `etcd://[USER:PASSWORD@]HOST[:PORT][,HOST...][/PREFIX]`, `zk://...` or `consul://...`; '' for none. Throws ClusterError `invalid`. */
export function checkClusterStore(text: string): string {
  if (text !== '') readStoreOptions(text)
  return text
}

/** `ADDR:PORT` or `IFACE:PORT`; '' for none. Throws RangeError. */
export function checkClusterAdvertise(text: string): string {
  if (text !== '') split(text)
  return text
}

/** Members, or texts `KEY=VALUE`. Throws RangeError. */
export function checkStoreOptions(value: unknown): Readonly<Record<string, string>> {
  if (Array.isArray(value)) return Object.assign({}, ...value.map(pair))
  if (typeof value !== 'object' || value === null) throw new RangeError(`${JSON.stringify(value)} is not an object of options`)
  for (const [name, each] of Object.entries(value)) {
    if (typeof each !== 'string') throw new RangeError(`option ${name}: ${JSON.stringify(each)} is not a text`)
  }
  return value as Record<string, string>
}

export interface ClusterSetting {
  readonly store: string
  readonly options: Readonly<Record<string, string>>
  /** What `info` shows: ADDR:PORT. */
  readonly advertise: string
  /** The address that VXLAN packets of the other hosts go to. */
  readonly address: string
}

interface ClusterMembers {
  readonly 'cluster-store': string
  readonly 'cluster-store-opts': Readonly<Record<string, string>>
  readonly 'cluster-advertise': string
}

/** What the settings say together; undefined: this daemon is on its own. Throws DaemonError. */
export function clusterSetting(config: ClusterMembers): ClusterSetting | undefined {
  const { 'cluster-store': store, 'cluster-store-opts': options, 'cluster-advertise': advertise } = config
  if (store === '') {
    if (advertise === '' && Object.keys(options).length === 0) return undefined
    throw invalid('--cluster-advertise must be accompanied by --cluster-store configuration')
  }
  if (advertise === '') {
    throw invalid('--cluster-store needs --cluster-advertise ADDR:PORT or IFACE:PORT, by which the other hosts reach this one')
  }
  const { host, port } = split(advertise)
  const address = addressFamily(host) === 0 ? interfaceAddress(host) : host
  return { store, options, advertise: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`, address }
}

/** Throws DaemonError. */
function interfaceAddress(name: string): string {
  const addresses = networkInterfaces()[name] ?? []
  // IPv4 first, as dockerd; a link-local address is nothing that other hosts could be told.
  const usable = addresses.filter(({ address }) => !/^fe80:/i.test(address))
  const found = usable.find(({ family }) => family === 'IPv4') ?? usable[0]
  if (found !== undefined) return found.address
  throw invalid(`unable to parse --cluster-advertise: the host has no interface ${name} with an address`)
}

function split(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port < 1 || port > 65535) throw new RangeError(`'${text}' is neither ADDR:PORT nor IFACE:PORT`)
  return { host: match[1] ?? match[2]!, port }
}

function pair(value: unknown): Record<string, string> {
  const equals = typeof value === 'string' ? value.indexOf('=') : -1
  if (equals < 1) throw new RangeError(`${JSON.stringify(value)} is not KEY=VALUE`)
  return { [(value as string).slice(0, equals)]: (value as string).slice(equals + 1) }
}

function invalid(message: string): DaemonError {
  return new DaemonError('ERR_DAEMON_CONFIG', `invalid cluster configuration: ${message}`)
}
