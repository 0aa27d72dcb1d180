import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPath, type PathCase, twoEnds } from '../path-case.ts'
import { projectRoot } from '../project-root.ts'

const PROGRAM = fileURLToPath(new URL('../user-uplink-path.js', import.meta.url))

/** An address of the server that is not its loopback, which containers do not reach. Packets to it go by lo, as with the others. */
const OUTSIDE = '198.51.100.2'

/** The way out of `--uplink user`, from a container on a bridge network: MTU 1500, NAT and router of netloom in between. */
export const userUplink: PathCase = {
  name: 'netloom-user',
  title: 'netloom, user uplink',
  missing: () => (existsSync(path.join(projectRoot, 'build/Release/netloom-uplink')) ? null : 'netloom-uplink is not built'),
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      await server.run('ip', 'address', 'add', `${OUTSIDE}/32`, 'dev', 'lo')
      await server.run('sysctl', '-qw', 'net.ipv4.ping_group_range=0 2147483647')
      const daemon = parts.process(server.start(process.execPath, PROGRAM, client.path))
      await daemon.until('line "ready"', () => daemon.stdout.includes('ready'), 10)
      // The helper is a child of it, whose CPU time nobody would count: none stands in the table rather than too little.
      return { client, server, address: OUTSIDE, forwarders: [], ping: true }
    })
}
