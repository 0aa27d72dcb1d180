/**
 * Who asks at each port of the DNS service, and what becomes of queries that the networks' names do not answer: they are asked of the
 * world outside, in the name of who asked.
 */
import { DNS_PORTS_MAX } from '../dns/dns-directory.ts'
import type { DnsForwardEvent } from '../dns/dns-service.ts'
import type { Endpoint } from './endpoint.ts'
import type { EngineHost } from './engine-host.ts'
import { NetworkError } from './network-error.ts'
import { NumberPool } from './number-pool.ts'
import { DNS_ELEMENT } from './topology-builder.ts'

/** A query that the network's names do not answer. */
export interface ForwardRequest {
  readonly query: Uint8Array
  readonly tcp: boolean
  /** Whose query it is: `EndpointSpec.sandbox`. */
  readonly sandbox: string
  /** At which endpoint it asked: `lan/web`. */
  readonly element: string
}

/** Asks the world outside; null when nobody answers. */
export type ForwardNames = (request: ForwardRequest) => Promise<Uint8Array | null>

export class NameForwarder {
  private readonly engine: EngineHost
  private readonly forward: ForwardNames | undefined
  private readonly ports = new NumberPool(DNS_PORTS_MAX)
  private readonly askers = new Map<number, Endpoint>()

  /** Without `forward` the service is told that there is no answer. */
  constructor(engine: EngineHost, forward?: ForwardNames) {
    this.engine = engine
    this.forward = forward
    engine.listen(DNS_ELEMENT, (event) => this.hear(event as DnsForwardEvent))
  }

  /** A port for an endpoint that is to be. Throws NetworkError `exhausted`. */
  takePort(): number {
    const port = this.ports.take()
    if (port < 0) throw new NetworkError('exhausted', `there are ${DNS_PORTS_MAX} endpoints: no more fit`)
    return port
  }

  /** The endpoint is not, or is not any more. */
  givePort(port: number): void {
    this.askers.delete(port)
    this.ports.give(port)
  }

  /** From now on the endpoint asks at its port. */
  plug(endpoint: Endpoint): void {
    this.askers.set(endpoint.dnsPort, endpoint)
  }

  private hear({ kind, id, asker, query, tcp }: DnsForwardEvent): void {
    if (kind !== 'dns-forward') return
    const { sandbox = '', element = '' } = this.askers.get(asker) ?? {}
    const answer = this.forward?.({ query, tcp, sandbox, element }) ?? Promise.resolve(null)
    answer
      .catch(() => null)
      .then((response) => this.engine.command(DNS_ELEMENT, 'answer', { id, response }))
      .catch(() => {}) // the engine ended meanwhile
  }
}
