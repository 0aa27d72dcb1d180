/**
 * Names outside the lab, asked of the machine's own name servers or of those that the caller names.
 */
import { DnsForwarder } from '../dns/forwarder.ts'
import { readResolvConf } from '../dns/resolv-conf.ts'
import type { DnsServer } from '../dns/upstream.ts'
import { realTimers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/index.ts'
import { NetworkError } from '../network/network-error.ts'
import { addressFamily } from '../wire/address.ts'

/** `upstreams` are addresses, or `address:port` and `[address6]:port`. Throws NetworkError for one that is neither. */
export function hostForwarder(upstreams: readonly string[] | undefined): DnsForwarder {
  const { nameservers, timeout, attempts, rotate } = readResolvConf()
  const servers = upstreams?.map(parseServer) ?? nameservers.map((address) => ({ address }))
  // Not the lab's seed: ids that others can foresee invite forged answers (RFC 5452).
  return new DnsForwarder({ servers, timeoutMs: timeout * 1000, attempts, rotate, random: new Random(freshSeed()), timers: realTimers })
}

function parseServer(text: string): DnsServer {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [undefined, undefined, text]
  const address = bracketed ?? plain
  const port = digits === undefined ? 53 : Number(digits)
  if (addressFamily(address) === 0 || port < 1 || port > 65535) {
    throw new NetworkError('invalid', `upstreams: '${text}' is not an address such as 192.0.2.53, [2001:db8::53]:5353`)
  }
  return { address, port }
}
