/** GET /netloom/nat, routes, neighbors, fdb, drops, explain: what the engine holds, and what it would do. Nothing is changed. */
import { addressFamily } from '../wire/address.ts'
import { formatAddress, parseAddress } from '../wire/cidr.ts'
import { ApiError } from './api-error.ts'
import type { InspectionBackend } from './inspection-backend.ts'
import type { Router } from './router.ts'

const LIMIT_MAX = 1_000_000
/** As flows have them; those of others are numbers. */
const PROTOCOLS: readonly string[] = ['tcp', 'udp', 'icmp', 'icmpv6']

export function inspectionRoutes(router: Router, backend: InspectionBackend): void {
  router.add('GET', '/netloom/nat', async ({ query }, response) => {
    const [address, protocol, port] = [query.get('address'), query.get('protocol'), query.get('port')]
    const filter = {
      ...(address && { address: readAddress(address) }),
      ...(protocol && { protocol: readProtocol(protocol) }),
      ...(port && { port: readNumber('port', port, 65_535) })
    }
    response.json(200, await backend.flows(filter, readNumber('limit', query.get('limit') || '1000', LIMIT_MAX)))
  })
  router.add('GET', '/netloom/routes', async (_request, response) => response.json(200, await backend.routes()))
  router.add('GET', '/netloom/neighbors', async (_request, response) => response.json(200, await backend.neighbors()))
  router.add('GET', '/netloom/fdb', async ({ query }, response) => {
    response.json(200, await backend.fdb(query.get('network') || undefined))
  })
  router.add('GET', '/netloom/drops', async (_request, response) => response.json(200, backend.drops()))
  router.add('GET', '/netloom/explain', async ({ query }, response) => {
    const [from, to] = [query.get('from') ?? '', query.get('to') ?? '']
    if (from === '' || to === '') throw ApiError.badRequest('explain: from and to must be given: ?from=web&to=192.0.2.60:80/tcp')
    response.json(200, await backend.explain(from, to))
  })
}

/** As flows have it. */
function readAddress(text: string): string {
  if (addressFamily(text) !== 0) return formatAddress(parseAddress(text))
  throw ApiError.badRequest(`address ${text} is neither an IPv4 nor an IPv6 address`)
}

function readProtocol(text: string): string {
  if (PROTOCOLS.includes(text) || (/^\d{1,3}$/.test(text) && Number(text) <= 255)) return text
  throw ApiError.badRequest(`protocol ${text} is none of ${PROTOCOLS.join(', ')}, and no number of another one`)
}

function readNumber(name: string, text: string, most: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0 && number <= most) return number
  throw ApiError.badRequest(`${name} ${text} is not a whole number from 1 to ${most}`)
}
