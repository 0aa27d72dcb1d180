import type { BenchNamespace } from './bench-namespace.ts'
import { type PathParts, twoEnds } from './path-case.ts'

/** Outside: the server has this address, and knows nothing of the client's network. */
export const OUTSIDE = '198.51.100.2'
const HOST = '198.51.100.1'

/** Client, server, and between them a host with a veth to the server; how the client is joined to the host is up to the case. */
export async function aroundHost(parts: PathParts): Promise<{ client: BenchNamespace; host: BenchNamespace; server: BenchNamespace }> {
  const { client, server } = await twoEnds(parts)
  const host = await parts.namespace()
  await host.run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', server.path)
  await host.configure('up0', `${HOST}/24`)
  await server.configure('eth0', `${OUTSIDE}/24`)
  await host.run('ip', 'route', 'add', 'default', 'via', OUTSIDE)
  return { client, host, server }
}
