import { buildPath, configureEnds, type PathCase, SERVER_ADDRESS, twoEnds } from '../path-case.ts'

/** Two veth pairs and the kernel's bridge, which stands in a namespace of its own. */
export const kernelBridge: PathCase = {
  name: 'kernel-bridge',
  title: 'kernel bridge, veth',
  missing: () => null,
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      const middle = await parts.namespace()
      await middle.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
      for (const [port, end] of [client, server].entries()) {
        await middle.run('ip', 'link', 'add', `port${port}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', end.path)
        await middle.run('ip', 'link', 'set', `port${port}`, 'master', 'br0', 'up')
      }
      await middle.run('ip', 'link', 'set', 'br0', 'up')
      await configureEnds(client, 'eth0', server, 'eth0')
      return { client, server, address: SERVER_ADDRESS, forwarders: [], ping: true }
    })
}
