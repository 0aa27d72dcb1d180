/** `-p` and `--expose` of run. Texts of errors are those of Docker's client. */
import net from 'node:net'
import type { PortBinding } from '../api/network-json.ts'

export interface PortMappings {
  readonly exposed: Record<string, Record<string, never>>
  readonly bindings: Record<string, PortBinding[]>
}

/** Throws RangeError with Docker's text. */
export function readPortMappings(published: readonly string[], exposed: readonly string[]): PortMappings {
  const result: PortMappings = { exposed: {}, bindings: {} }
  for (const text of published) addPublished(text, result)
  for (const text of exposed) {
    if (text.includes(':')) throw new RangeError(`invalid port format for --expose: ${text}`)
    const { range, protocol } = splitProtocol(text)
    const ports = readRange(range)
    if (ports === null) throw new RangeError(`invalid range format for --expose: ${range}, error: ${rangeProblem(range)}`)
    for (let port = ports[0]; port <= ports[1]; port++) result.exposed[`${port}/${protocol}`] = {}
  }
  return result
}

/** [ADDRESS:][HOST PORTS:]CONTAINER PORTS[/PROTOCOL] */
function addPublished(text: string, { exposed, bindings }: PortMappings): void {
  const { range, protocol } = splitProtocol(text)
  const { ip, hostPorts, containerPorts } = splitPublished(range)
  if (containerPorts === '') throw new RangeError(`no port specified: ${text}<empty>`)
  const inside = readRange(containerPorts)
  if (inside === null) throw new RangeError(`invalid containerPort: ${containerPorts}`)
  const outside = hostPorts === '' ? null : readRange(hostPorts)
  if (hostPorts !== '' && outside === null) throw new RangeError(`invalid hostPort: ${hostPorts}`)
  const isOneInside = inside[0] === inside[1]
  if (outside !== null && !isOneInside && outside[1] - outside[0] !== inside[1] - inside[0]) {
    throw new RangeError(`invalid ranges specified for container and host Ports: ${containerPorts} and ${hostPorts}`)
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw new RangeError(`invalid proto: ${protocol}`)
  for (let port = inside[0]; port <= inside[1]; port++) {
    const key = `${port}/${protocol}`
    // One container port and many of the host: the daemon takes a free one of them.
    const isChoice = isOneInside && outside !== null && outside[0] !== outside[1]
    const HostPort = outside === null ? '' : isChoice ? `${outside[0]}-${outside[1]}` : String(outside[0] + port - inside[0])
    exposed[key] = {}
    bindings[key] = [...(bindings[key] ?? []), { HostIp: ip, HostPort }]
  }
}

function splitProtocol(text: string): { range: string; protocol: string } {
  const slash = text.indexOf('/')
  return slash === -1
    ? { range: text, protocol: 'tcp' }
    : { range: text.slice(0, slash), protocol: text.slice(slash + 1).toLowerCase() || 'tcp' }
}

function splitPublished(text: string): { ip: string; hostPorts: string; containerPorts: string } {
  const parts = text.split(':')
  const containerPorts = parts.pop()!
  const hostPorts = parts.pop() ?? ''
  const ip = parts.join(':').replace(/^\[(.*)\]$/, '$1')
  if (ip !== '' && net.isIP(ip) === 0) throw new RangeError(`invalid IP address: ${ip}`)
  return { ip, hostPorts, containerPorts }
}

/** In the words of Go and of Docker's client. */
function rangeProblem(range: string): string {
  const [first = '', last = first] = range.split('-')
  const wrong = [first, last].find((port) => !/^\d+$/.test(port))
  if (wrong !== undefined) return `strconv.ParseUint: parsing ${JSON.stringify(wrong)}: invalid syntax`
  const large = [first, last].find((port) => Number(port) > 65535)
  return large === undefined ? `invalid range specified for port: ${range}` : `strconv.ParseUint: parsing "${large}": value out of range`
}

function readRange(text: string): [first: number, last: number] | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return null
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
  return first <= last && last <= 65535 ? [first, last] : null
}
