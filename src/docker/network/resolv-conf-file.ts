/**
 * /etc/resolv.conf of a container: the host's, what --dns* says, or 127.0.0.11 (libnetwork: resolvconf, sandbox_dns_unix.go).
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'

/** `--dns`, `--dns-search`, `--dns-option`. */
export interface DnsFlags {
  readonly Dns?: readonly string[] | null
  readonly DnsSearch?: readonly string[] | null
  readonly DnsOptions?: readonly string[] | null
}

interface Parts {
  readonly servers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
}

const EMBEDDED = '127.0.0.11'

export function hasDnsFlags({ Dns, DnsSearch, DnsOptions }: DnsFlags): boolean {
  return [Dns, DnsSearch, DnsOptions].some((values) => (values?.length ?? 0) > 0)
}

/** Without a user-defined network: the host's text less its loopback servers, or built from the flags over the host's. */
export function plainText(host: string, flags: DnsFlags, hasIpv6: boolean): string {
  if (hasDnsFlags(flags)) return build(overlay(host, flags))
  return host
    .split('\n')
    .filter((line) => {
      const server = /^nameserver\s+(\S+)/.exec(line)?.[1]
      return server === undefined || (!isLoopback(server) && (hasIpv6 || !isIPv6(server.split('%')[0]!)))
    })
    .join('\n')
}

/** With the embedded server, which asks the IPv4 servers of `text` for the container; it lists the IPv6 ones itself. */
export function embeddedText(text: string): string {
  const { servers, search, options } = read(text)
  const hasDots = options.some((option) => /^ndots:\d+$/.test(option))
  return build({
    servers: [EMBEDDED, ...servers.filter((server) => isIPv6(server.split('%')[0]!))],
    search,
    options: hasDots ? options : [...options, 'ndots:0']
  })
}

/** The servers that are asked for this container instead of the host's; undefined: the host's. */
export function upstreamServers(host: string, flags: DnsFlags): string[] | undefined {
  if (!hasDnsFlags(flags)) return undefined
  return overlay(host, flags).servers.filter((server) => isIP(server) !== 0)
}

function overlay(host: string, flags: DnsFlags): Parts {
  const given = read(host)
  const choose = (own: readonly string[] | null | undefined, theirs: readonly string[]): readonly string[] =>
    own != null && own.length > 0 ? own : theirs
  return {
    servers: choose(flags.Dns, given.servers),
    search: choose(flags.DnsSearch, given.search),
    options: choose(flags.DnsOptions, given.options)
  }
}

/** All servers, the last search line, the last options line. */
function read(text: string): Parts {
  const servers: string[] = []
  let search: string[] = []
  let options: string[] = []
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (keyword === 'nameserver' && words[0] !== undefined) servers.push(words[0])
    else if (keyword === 'search' || keyword === 'domain') search = words
    else if (keyword === 'options') options = words
  }
  return { servers, search, options }
}

/** `--dns-search .` stands for no search list. */
function build({ servers, search, options }: Parts): string {
  const domains = search.join(' ')
  return [
    ...(search.length > 0 && domains.trim() !== '.' ? [`search ${domains}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : [])
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function isLoopback(server: string): boolean {
  return (isIPv4(server) && server.startsWith('127.')) || server === '::1'
}
