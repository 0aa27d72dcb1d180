/**
 * What a daemon sees of the copy that it keeps: endpoints with the life and the VTEP of their hosts, and each change of that, told once.
 */
import type { ClusterEndpoint, ClusterHost, ClusterNetwork, EndpointRecord } from './cluster-records.ts'

/** `evicted`: an endpoint of this host that somebody else removed, or took the place of; it has to be unplugged. */
export type ClusterChange =
  | { readonly kind: 'host'; readonly type: 'added' | 'changed' | 'removed'; readonly host: ClusterHost }
  | { readonly kind: 'network'; readonly type: 'added' | 'changed' | 'removed'; readonly network: ClusterNetwork }
  | { readonly kind: 'endpoint'; readonly type: 'added' | 'changed' | 'removed' | 'evicted'; readonly endpoint: ClusterEndpoint }

/** Of something that is there after it, or was before. */
interface Change<T> {
  readonly before?: T | undefined
  readonly after?: T | undefined
}

export class ClusterView {
  private readonly hostOf: (id: string) => ClusterHost | undefined
  private readonly tell: (change: ClusterChange) => void
  /** By network and id. */
  private readonly shown = new Map<string, Map<string, ClusterEndpoint>>()

  /** `hostOf` knows those that live. */
  constructor(hostOf: (id: string) => ClusterHost | undefined, tell: (change: ClusterChange) => void) {
    this.hostOf = hostOf
    this.tell = tell
  }

  /** By id. */
  endpoints(networkId: string): ReadonlyMap<string, ClusterEndpoint> {
    return this.shown.get(networkId) ?? new Map()
  }

  networkChanged(change: Change<ClusterNetwork>): void {
    this.tell({ kind: 'network', type: typeOf(change), network: (change.after ?? change.before)! })
  }

  endpointChanged({ before, after }: Change<EndpointRecord>): void {
    const record = (after ?? before)!
    const type = typeOf({ before, after })
    const endpoints = this.shown.get(record.networkId)
    if (type === 'removed') {
      const endpoint = endpoints?.get(record.id) ?? this.seen(record)
      endpoints?.delete(record.id)
      if (endpoints?.size === 0) this.shown.delete(record.networkId)
      return this.tell({ kind: 'endpoint', type, endpoint })
    }
    const endpoint = this.seen(record)
    if (endpoints === undefined) this.shown.set(record.networkId, new Map([[record.id, endpoint]]))
    else endpoints.set(record.id, endpoint)
    this.tell({ kind: 'endpoint', type, endpoint })
  }

  /** Its endpoints, of `records`, come, go or move with it. */
  hostChanged(id: string, before: ClusterHost | undefined, records: Iterable<EndpointRecord>): void {
    const after = this.hostOf(id)
    this.tell({ kind: 'host', type: typeOf({ before, after }), host: (after ?? before)! })
    for (const record of records) {
      if (record.hostId !== id) continue
      const shown = this.shown.get(record.networkId)?.get(record.id)
      const next = this.seen(record)
      if (shown !== undefined && (shown.isAlive !== next.isAlive || shown.vtep !== next.vtep))
        this.endpointChanged({ before: record, after: record })
    }
  }

  evicted(record: EndpointRecord): void {
    this.tell({ kind: 'endpoint', type: 'evicted', endpoint: this.seen(record) })
  }

  private seen(record: EndpointRecord): ClusterEndpoint {
    const host = this.hostOf(record.hostId)
    return { ...record, vtep: host?.address ?? record.vtep, isAlive: host !== undefined }
  }
}

function typeOf({ before, after }: { before?: unknown; after?: unknown }): 'added' | 'changed' | 'removed' {
  return before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
}
