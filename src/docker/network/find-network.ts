/**
 * Finds a network by its id, its name, or the beginning of its id, in this order. Docker words ambiguity in three ways.
 */
import { ApiError } from '../../api/api-error.ts'
import type { DockerNetwork } from './docker-network.ts'

/** Who asks: inspect, remove, or all others (connect, disconnect, start). */
export type Asker = 'inspect' | 'remove' | 'use'

/** Throws ApiError 404, and 400 when several fit. */
export function findNetwork(networks: Iterable<DockerNetwork>, reference: string, asker: Asker = 'use'): DockerNetwork {
  const byName: DockerNetwork[] = []
  const byPrefix: DockerNetwork[] = []
  for (const network of networks) {
    if (network.id === reference) return network
    if (network.name === reference) byName.push(network)
    if (reference !== '' && network.id.startsWith(reference)) byPrefix.push(network)
  }
  const found = byName.length > 0 ? byName : byPrefix
  if (found.length === 1) return found[0]!
  if (found.length === 0) throw ApiError.notFound(`network ${reference} not found`)
  throw ApiError.badRequest(ambiguity(reference, found.length, byName.length > 0, asker))
}

function ambiguity(reference: string, count: number, byName: boolean, asker: Asker): string {
  const basis = byName ? 'name' : 'ID prefix'
  if (asker === 'inspect') return `${count} matches found based on ${basis}: network ${reference} is ambiguous`
  const found = byName && asker === 'use' ? 'matches found on' : 'matches found based on'
  return `network ${reference} is ambiguous (${count} ${found} ${basis})`
}
