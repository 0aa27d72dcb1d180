import { installed } from '../bench-process.ts'
import { aroundHost, OUTSIDE } from '../masquerading-host.ts'
import { buildPath, CLIENT_ADDRESS, type PathCase, SERVER_ADDRESS } from '../path-case.ts'

/** What Docker makes of the kernel: veth, bridge, forwarding and a masquerade rule. */
export const kernelNat: PathCase = {
  name: 'kernel-nat',
  title: 'kernel bridge, masquerade',
  missing: () => (installed('nft') ? null : 'nft is not installed (nftables)'),
  start: () =>
    buildPath(async (parts) => {
      const { client, host, server } = await aroundHost(parts)
      await host.run('ip', 'link', 'add', 'docker0', 'type', 'bridge')
      await host.run('ip', 'link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client.path)
      await host.run('ip', 'link', 'set', 'port0', 'master', 'docker0', 'up')
      await host.configure('docker0', `${SERVER_ADDRESS}/24`) // the gateway here
      await client.configure('eth0', `${CLIENT_ADDRESS}/24`)
      await client.run('ip', 'route', 'add', 'default', 'via', SERVER_ADDRESS)
      await host.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
      const chain = 'add chain ip t c { type nat hook postrouting priority srcnat; }'
      await host.run('nft', `add table ip t; ${chain}; add rule ip t c ip saddr 192.0.2.0/24 oifname != docker0 masquerade`)
      return { client, server, address: OUTSIDE, forwarders: [], ping: true }
    })
}
