/**
 * `--link` on the default bridge: names in /etc/hosts and variables in the environment, both as of the start.
 */
import { parsePortSpec } from './port-spec.ts'

export interface LinkedContainer {
  /** Of the link; also how others call the link: `/WHO/ALIAS`. */
  readonly alias: string
  readonly linkName: string
  readonly address: string
  readonly env: readonly string[]
  readonly exposedPorts: readonly string[]
}

interface Port {
  readonly number: number
  readonly protocol: string
}

/** `name`, `name:alias`, and `/name:/who/alias` as inspect shows it. undefined for anything else. */
export function parseLink(text: string): { name: string; alias: string } | undefined {
  const parts = text.split(':')
  const [name = '', alias = name] = parts
  if (text === '' || parts.length > 2) return undefined
  if (parts.length === 2 && name.startsWith('/')) return { name: name.slice(1), alias: alias.slice(alias.lastIndexOf('/') + 1) }
  return { name, alias }
}

/** The variables that tell a container of one that it is linked to. */
export function linkEnvironment({ alias, linkName, address, env, exposedPorts }: LinkedContainer): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_')
  const ports = exposedPorts.map(readPort).sort(comparePorts)
  const lines: string[] = []
  if (ports.length > 0) lines.push(`${prefix}_PORT=${url(ports[0]!, address)}`)
  for (const [first, last] of runs(ports)) {
    const start = `${prefix}_PORT_${name(first)}`
    lines.push(
      `${start}_START=${url(first, address)}`,
      `${start}_ADDR=${address}`,
      `${start}_PROTO=${first.protocol}`,
      `${start}_PORT_START=${first.number}`,
      `${prefix}_PORT_${name(last)}_END=${url(last, address)}`,
      `${prefix}_PORT_${name(last)}_PORT_END=${last.number}`
    )
  }
  for (const port of ports) {
    const variable = `${prefix}_PORT_${name(port)}`
    lines.push(
      `${variable}=${url(port, address)}`,
      `${variable}_ADDR=${address}`,
      `${variable}_PORT=${port.number}`,
      `${variable}_PROTO=${port.protocol}`
    )
  }
  lines.push(`${prefix}_NAME=${linkName}`)
  for (const entry of env) {
    const equals = entry.indexOf('=')
    const variable = entry.slice(0, equals)
    if (equals > 0 && variable !== 'HOME' && variable !== 'PATH') lines.push(`${prefix}_ENV_${entry}`)
  }
  return lines
}

function readPort(text: string): Port {
  const [protocol, number] = parsePortSpec(text)
  return { number: Number(number), protocol }
}

/** By number, TCP before others. */
function comparePorts(a: Port, b: Port): number {
  return a.number - b.number || Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp')
}

/** The first and last of neighbors, where there are two or more. */
function runs(ports: readonly Port[]): [Port, Port][] {
  const result: [Port, Port][] = []
  for (let at = 0; at < ports.length; ) {
    let last = at
    while (last + 1 < ports.length && ports[last + 1]!.number <= ports[last]!.number + 1) last++
    // Docker counts from the third on: two neighbors are told one by one.
    if (last > at + 1) result.push([ports[at]!, ports[last]!])
    at = last > at + 1 ? last + 1 : at + 1
  }
  return result
}

function name({ number, protocol }: Port): string {
  return `${number}_${protocol.toUpperCase()}`
}

function url({ number, protocol }: Port, address: string): string {
  return `${protocol}://${address}:${number}`
}
