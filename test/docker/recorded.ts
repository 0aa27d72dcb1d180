/** The oracle's transcripts, and `docker network create` as the docker client puts it to the API. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { IpamPoolConfig, NetworkCreateRequest } from '../../src/api/network-json.ts'
import { parseAddress, parseCidr, prefixContains } from '../../src/wire/cidr.ts'

const ORACLE = fileURLToPath(new URL('../../../test/oracle', import.meta.url))

export interface Step {
  readonly cmd: string
  readonly stdout: string
  readonly stderr: string
  readonly rc: number
}

export function transcript(name: string): Step[] {
  return JSON.parse(readFileSync(path.join(ORACLE, 'transcripts', `${name}.json`), 'utf8')).steps
}

/** Words of a shell line with quotes and nothing else. */
export function shellWords(line: string): string[] {
  return Array.from(line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g), ([word]) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

/** Flags without a value. */
const SWITCHES: Readonly<Record<string, keyof NetworkCreateRequest>> = {
  '--ipv6': 'EnableIPv6',
  '--internal': 'Internal',
  '--attachable': 'Attachable',
  '--ingress': 'Ingress',
  '--config-only': 'ConfigOnly'
}

/** What the client of version 28 sends for `docker network create ARGS`. Flags as the scenarios use them. */
export function createRequest(args: readonly string[]): NetworkCreateRequest {
  const values: Record<string, string[]> = {}
  const request: NetworkCreateRequest = { CheckDuplicate: true }
  const rest: string[] = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (arg === '--') rest.push(...args.slice(at + 1))
    if (arg === '--') break
    if (SWITCHES[arg] !== undefined) Object.assign(request, { [SWITCHES[arg]]: true })
    else if (arg.startsWith('-') && arg !== '-') (values[{ '-d': '--driver', '-o': '--opt' }[arg] ?? arg] ??= []).push(args[++at]!)
    else rest.push(arg)
  }
  return {
    ...request,
    Name: rest[0],
    Driver: values['--driver']?.[0] ?? 'bridge',
    Scope: values['--scope']?.[0] ?? '',
    IPAM: { Driver: values['--ipam-driver']?.[0] ?? 'default', Options: pairs(values['--ipam-opt']), Config: pools(values) },
    Options: pairs(values['--opt']),
    Labels: pairs(values['--label']),
    ConfigFrom: values['--config-from'] === undefined ? null : { Network: values['--config-from'][0] }
  }
}

function pools(values: Record<string, string[]>): IpamPoolConfig[] {
  return (values['--subnet'] ?? []).map((Subnet) => {
    const inside = (address: string): boolean => contains(Subnet, address)
    const auxiliary = pairs(values['--aux-address'])
    return {
      Subnet,
      Gateway: values['--gateway']?.find((gateway) => inside(gateway.split('/')[0]!)),
      IPRange: values['--ip-range']?.find((range) => inside(range.split('/')[0]!)),
      AuxiliaryAddresses: Object.fromEntries(Object.entries(auxiliary).filter(([, address]) => inside(address)))
    }
  })
}

function contains(subnet: string, address: string): boolean {
  try {
    return prefixContains(parseCidr(subnet), parseAddress(address))
  } catch {
    return false
  }
}

function pairs(texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [name, ...value] = text.split('=')
      return [name, value.join('=')]
    })
  )
}
