import { DnsForwarder } from '../dns/forwarder.ts'
import { readResolvConf } from '../dns/resolv-conf.ts'
import type { DnsServer } from '../dns/upstream.ts'
import { realTimers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/index.ts'
import type { ForwardRequest } from '../network/name-forwarder.ts'

/**
 * Asks the name servers of the world outside for containers: those of the container (`--dns`), else those of the daemon, else those of
 * the machine, whose resolv.conf is read for each query.
 */
export class Forwarding {
  /** The servers of one sandbox; undefined: it has none of its own. */
  serversOf: (sandbox: string) => readonly DnsServer[] | undefined = () => undefined
  private readonly forwarder: DnsForwarder
  private readonly servers: readonly DnsServer[] | undefined

  /** `servers` of the daemon; none: the machine's. */
  constructor(servers: readonly string[]) {
    const { timeout, attempts, rotate } = readResolvConf()
    this.servers = servers.length > 0 ? servers.map((address) => ({ address })) : undefined
    // A seed of its own: ids of queries that others can foresee invite forged answers (RFC 5452).
    const random = new Random(freshSeed())
    this.forwarder = new DnsForwarder({ servers: [], timeoutMs: timeout * 1000, attempts, rotate, random, timers: realTimers })
  }

  /** null when nobody answers. */
  forward({ query, tcp, sandbox }: ForwardRequest): Promise<Uint8Array | null> {
    return this.forwarder.forward(query, tcp, this.serversOf(sandbox) ?? this.servers ?? machineServers(), sandbox)
  }

  close(): void {
    this.forwarder.close()
  }
}

/** The machine may move to another network while the daemon runs. The file is small and in memory. */
function machineServers(): readonly DnsServer[] {
  return readResolvConf().nameservers.map((address) => ({ address }))
}
