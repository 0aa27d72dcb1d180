/**
 * What a capture cannot show of an endpoint and its network, in words that people read in its interface comment, and from which both can be
 * made again. What is as by default is not said:
 *
 *   mtu 1450, bum flood, learning, remote 192.0.2.9, vni 256, container 3a9ffad919fe
 *   parent eth0.30, mode l3, container 8077ccba2c83
 *   gateway 172.18.0.254, internal, no icc
 */
import { parseAddress } from '../wire/cidr.ts'
import type { Endpoint } from './endpoint.ts'
import type { Network, NetworkSpec } from './network.ts'

/** Digits of a container's id, as docker shows them. */
const CONTAINER_DIGITS = 12
const MTU = 1500
/** Options of drivers that elements go by. */
const DRIVER_WORDS = ['parent', 'mode', 'flag', 'bum'] as const
const FLAGS = { internal: 'internal', icc: 'no icc', dns: 'no names', masquerade: 'no masquerade' } as const

export interface EndpointSetting {
  /** What the network was made with, beside name, driver and subnets. */
  readonly network: Pick<NetworkSpec, 'gateway' | 'gateway6' | 'mtu' | 'internal' | 'icc' | 'dns' | 'masquerade' | 'driverOptions'>
  /** Of an overlay network's subnet. */
  readonly vni?: number
  /** Endpoints that have the same one are of one sandbox. */
  readonly container?: string
}

/** '' where all is as by default. */
export function endpointWords(network: Network, { id, sandbox, address }: Endpoint): string {
  const { driver, pool, pool6, mtu, internal, icc, dns, masquerade } = network
  const options = (network.driverOptions ?? {}) as Record<string, unknown>
  const vni = driver.vniOf?.(network, address)
  return [
    ...(driver.isRouted ? [...gatewayWords(pool, 'gateway'), ...(pool6 === null ? [] : gatewayWords(pool6, 'gateway6'))] : []),
    ...(mtu === MTU ? [] : [`mtu ${mtu}`]),
    ...(internal ? [FLAGS.internal] : []),
    ...(icc ? [] : [FLAGS.icc]),
    ...(dns ? [] : [FLAGS.dns]),
    ...(masquerade ? [] : [FLAGS.masquerade]),
    ...DRIVER_WORDS.flatMap((word) => (typeof options[word] === 'string' ? [`${word} ${options[word]}`] : [])),
    ...(options['learning'] === true ? ['learning'] : []),
    ...(Array.isArray(options['remotes']) ? options['remotes'].map((address) => `remote ${address}`) : []),
    ...(vni === undefined ? [] : [`vni ${vni}`]),
    ...(sandbox === id ? [] : [`container ${sandbox.slice(0, CONTAINER_DIGITS)}`])
  ].join(', ')
}

/** Of other words there is nothing in it. */
export function parseEndpointWords(text: string): EndpointSetting {
  const parts = text.split(', ')
  const after = (word: string): string | undefined => parts.find((part) => part.startsWith(`${word} `))?.slice(word.length + 1)
  const gatewayOf = (word: 'gateway' | 'gateway6'): object => {
    const address = after(word)
    return parts.includes(`no ${word}`) ? { [word]: null } : address === undefined ? {} : { [word]: address }
  }
  const options = DRIVER_WORDS.flatMap((word) => (after(word) === undefined ? [] : [[word, after(word)!]]))
  const remotes = parts.filter((part) => part.startsWith('remote ')).map((part) => part.slice('remote '.length))
  const driverOptions = {
    ...Object.fromEntries(options),
    ...(parts.includes('learning') && { learning: true }),
    ...(remotes.length > 0 && { remotes })
  }
  const [mtu, vni, container] = [after('mtu'), after('vni'), after('container')]
  return {
    network: {
      ...gatewayOf('gateway'),
      ...gatewayOf('gateway6'),
      ...(mtu !== undefined && { mtu: Number(mtu) }),
      ...(parts.includes(FLAGS.internal) && { internal: true }),
      ...(parts.includes(FLAGS.icc) && { icc: false }),
      ...(parts.includes(FLAGS.dns) && { dns: false }),
      ...(parts.includes(FLAGS.masquerade) && { masquerade: false }),
      ...(Object.keys(driverOptions).length > 0 && { driverOptions })
    },
    ...(vni !== undefined && { vni: Number(vni) }),
    ...(container !== undefined && { container })
  }
}

/** Where it is not the first address of the subnet. */
function gatewayWords({ gateway, prefix }: Network['pool'], word: 'gateway' | 'gateway6'): string[] {
  if (gateway === null) return [`no ${word}`]
  return BigInt(parseAddress(gateway)) === BigInt(prefix.network) + 1n ? [] : [`${word} ${gateway}`]
}
