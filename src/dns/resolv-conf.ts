/**
 * /etc/resolv.conf as resolv.conf(5) describes it, with glibc's limits.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

export interface ResolvConf {
  /** Addresses, at most three (MAXNS); an IPv6 one may have a zone (`fe80::1%eth0`). */
  readonly nameservers: readonly string[]
  /** At most six (MAXDNSRCH); the last `search` or `domain` line counts. */
  readonly search: readonly string[]
  /** Dots from which on a name is tried as it stands first: 0 to 15. */
  readonly ndots: number
  /** Seconds for one question to one server: 1 to 30. */
  readonly timeout: number
  /** Rounds through the servers: 1 to 5. */
  readonly attempts: number
  /** Begin with another server each time. */
  readonly rotate: boolean
  /** Ask by TCP only (`use-vc`). */
  readonly useTcp: boolean
  /** All words of `options` lines, also those not known here. */
  readonly options: readonly string[]
}

const NAMESERVERS_MAX = 3
const SEARCH_MAX = 6

/** Lines that cannot be understood are skipped, as the resolver does. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = []
  let search: string[] = []
  const options: string[] = []
  for (const line of text.split('\n')) {
    // A comment sign counts in the first column only.
    if (line.startsWith('#') || line.startsWith(';')) continue
    const [keyword, ...words] = line.trim().split(/[ \t]+/)
    if (keyword === 'nameserver' && words.length > 0 && isAddress(words[0])) nameservers.push(words[0])
    else if (keyword === 'search') search = words
    else if (keyword === 'domain') search = words.slice(0, 1)
    else if (keyword === 'options') options.push(...words)
  }
  return {
    nameservers: nameservers.slice(0, NAMESERVERS_MAX),
    search: search.slice(0, SEARCH_MAX),
    ndots: number(options, 'ndots', 1, 0, 15),
    timeout: number(options, 'timeout', 5, 1, 30),
    attempts: number(options, 'attempts', 2, 1, 5),
    rotate: options.includes('rotate'),
    useTcp: options.includes('use-vc'),
    options
  }
}

/** The file's content, or the defaults where it cannot be read: resolv.conf(5) then asks the machine itself. */
export function readResolvConf(path = '/etc/resolv.conf'): ResolvConf {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // No file: the defaults.
  }
  const conf = parseResolvConf(text)
  return conf.nameservers.length > 0 ? conf : { ...conf, nameservers: ['127.0.0.1'] }
}

function isAddress(text: string): boolean {
  return isIP(text.split('%')[0]) !== 0
}

/** The value of the last `name:value` word, within limits. */
function number(options: readonly string[], name: string, standard: number, least: number, most: number): number {
  const word = options.findLast((option) => option.startsWith(`${name}:`))
  const value = Number.parseInt(word?.slice(name.length + 1) ?? '', 10)
  return Number.isNaN(value) ? standard : Math.min(most, Math.max(least, value))
}
