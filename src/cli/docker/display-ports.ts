/** The column PORTS of `ps`: published ones with where they are, others by number, neighbours as ranges. */
import type { PortSummary } from '../../api/network-json.ts'

interface Range {
  first: number
  last: number
}

/** '0.0.0.0:8080-8081->80-81/tcp, [::]:8080-8081->80-81/tcp, 443/tcp' */
export function displayPorts(ports: readonly PortSummary[]): string {
  const groups = new Map<string, Range>()
  const shown: string[] = []
  const published: string[] = []
  for (const port of [...ports].sort(comparePorts)) {
    const { IP: ip, PublicPort: hostPort, PrivatePort: containerPort, Type: protocol } = port
    const address = ip === undefined || ip === '' ? '' : ip.includes(':') ? `[${ip}]` : ip
    if (ip !== undefined && hostPort !== containerPort) {
      published.push(`${address}:${hostPort}->${containerPort}/${protocol}`)
      continue
    }
    const key = ip === undefined ? protocol : `${address}/${protocol}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { first: containerPort, last: containerPort })
    else if (group.last + 1 === containerPort) group.last = containerPort
    else {
      shown.push(rangeText(key, group))
      groups.set(key, { first: containerPort, last: containerPort })
    }
  }
  shown.push(...[...groups].map(([key, group]) => rangeText(key, group)))
  return [...shown, ...published].join(', ')
}

/** `key` is 'tcp' or, for a port published under its own number, '0.0.0.0/tcp'. */
function rangeText(key: string, { first, last }: Range): string {
  const range = first === last ? `${first}` : `${first}-${last}`
  const slash = key.lastIndexOf('/')
  if (slash === -1) return `${range}/${key}`
  return `${key.slice(0, slash)}:${range}->${range}/${key.slice(slash + 1)}`
}

function comparePorts(a: PortSummary, b: PortSummary): number {
  return (
    a.PrivatePort - b.PrivatePort ||
    compareTexts(a.IP ?? '', b.IP ?? '') ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    compareTexts(a.Type, b.Type)
  )
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
