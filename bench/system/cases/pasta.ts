import { installed } from '../bench-process.ts'
import { buildPath, type PathCase, twoEnds } from '../path-case.ts'

/** Stands for the host's uplink, from which pasta copies address and gateway into the client's namespace. */
const UPLINK = '198.51.100.2/24'
/** pasta maps it to the loopback of the namespace that it runs in. */
const GATEWAY = '198.51.100.1'

export const pasta: PathCase = {
  name: 'pasta',
  title: 'pasta, MTU 65520',
  missing: () => (installed('pasta') ? null : 'pasta is not installed (passt)'),
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      await server.run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'upstream')
      await server.run('ip', 'link', 'set', 'upstream', 'up')
      await server.configure('uplink', UPLINK)
      await server.run('ip', 'route', 'add', 'default', 'via', GATEWAY)
      const ports = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none']
      const options = ['--config-net', '--foreground', '--netns-only', '--runas', '0', '-4', ...ports, '-I', 'eth0']
      // pasta gives up the capability to look into another process's /proc before it opens the namespace.
      const script = 'namespace=$1; shift; exec 9<"$namespace"; exec pasta "$@" --netns /proc/self/fd/9'
      const process = parts.process(server.start('sh', '-c', script, 'sh', client.path, ...options))
      await client.appeared('eth0', process)
      await process.until('route', async () => (await client.run('ip', 'route')).includes('default'))
      return { client, server, address: GATEWAY, forwarders: [process], ping: false }
    })
}
