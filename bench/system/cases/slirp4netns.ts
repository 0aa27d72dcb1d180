import { installed } from '../bench-process.ts'
import { buildPath, type PathCase, twoEnds } from '../path-case.ts'

/** The gateway, as which slirp reaches the loopback of the namespace that it runs in. */
const GATEWAY = '10.0.2.2'

/** User-mode TCP/IP: not a layer-2 path, but what rootless containers have. MTU 65520, its best. */
export const slirp4netns: PathCase = {
  name: 'slirp4netns',
  title: 'slirp4netns, MTU 65520',
  missing: () => (installed('slirp4netns') ? null : 'slirp4netns is not installed'),
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      const slirp = parts.process(server.start('slirp4netns', '--configure', '--mtu=65520', '--netns-type=path', client.path, 'eth0'))
      await client.appeared('eth0', slirp)
      await slirp.until('route', async () => (await client.run('ip', 'route')).includes('default'))
      return { client, server, address: GATEWAY, forwarders: [slirp], ping: false }
    })
}
