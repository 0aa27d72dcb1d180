/**
 * What a way out is set to, in words that people read in a capture's interface comment, and from which it can be made again:
 *
 *   mtu 1500, snat 192.0.2.50, route 0.0.0.0/0 via 192.0.2.60, host 192.0.2.50, host 172.17.0.1, keeps ttl
 */
import type { UplinkPart } from './uplink.ts'

/** The part of a way out that frames do not show. */
export interface UplinkSetting extends Pick<UplinkPart, 'routes' | 'hostAddresses' | 'servesLoopback'> {
  readonly interface: Pick<UplinkPart['interface'], 'mtu' | 'snat' | 'snat6' | 'noDecrement' | 'proxyArp'>
}

const FLAGS = { noDecrement: 'keeps ttl', proxyArp: 'answers arp for all', servesLoopback: 'serves loopback' } as const

export function uplinkWords({ interface: station, routes, hostAddresses, servesLoopback }: UplinkSetting): string {
  const { mtu, snat, snat6, noDecrement, proxyArp } = station
  return [
    `mtu ${mtu}`,
    ...[snat, snat6].filter((address) => address !== undefined).map((address) => `snat ${address}`),
    ...Object.entries(routes).map(([prefix, { via }]) => `route ${prefix}${via === undefined ? '' : ` via ${via}`}`),
    ...hostAddresses.map((address) => `host ${address}`),
    ...(noDecrement === true ? [FLAGS.noDecrement] : []),
    ...(proxyArp === true ? [FLAGS.proxyArp] : []),
    ...(servesLoopback === true ? [FLAGS.servesLoopback] : [])
  ].join(', ')
}

/** Of other words there is nothing in it; without an MTU it is 1500. */
export function parseUplinkWords(text: string): UplinkSetting {
  const parts = text.split(', ')
  const after = (word: string): string[] => parts.filter((part) => part.startsWith(`${word} `)).map((part) => part.slice(word.length + 1))
  const has = (flag: keyof typeof FLAGS): Record<string, true> => (parts.includes(FLAGS[flag]) ? { [flag]: true } : {})
  const snat = after('snat').find((address) => !address.includes(':'))
  const snat6 = after('snat').find((address) => address.includes(':'))
  const routes = after('route').map((route) => {
    const [prefix, via] = route.split(' via ')
    return [prefix!, via === undefined ? {} : { via }] as const
  })
  return {
    interface: {
      mtu: Number(after('mtu')[0] ?? 1500),
      ...(snat !== undefined && { snat }),
      ...(snat6 !== undefined && { snat6 }),
      ...has('noDecrement'),
      ...has('proxyArp')
    },
    routes: Object.fromEntries(routes),
    hostAddresses: after('host'),
    ...has('servesLoopback')
  }
}
