import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { installed } from '../bench-process.ts'
import { buildPath, configureEnds, type PathCase, SERVER_ADDRESS, twoEnds } from '../path-case.ts'

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'

/** Open vSwitch with its userspace datapath: internal ports are TAPs there. Database and sockets in a folder of our own. */
export const openVswitch: PathCase = {
  name: 'ovs-userspace',
  title: 'Open vSwitch, userspace datapath',
  missing: () => {
    const absent = ['ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'ovs-vsctl'].filter((command) => !installed(command))
    return absent.length === 0 ? null : `${absent.join(', ')} not installed (openvswitch-switch)`
  },
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      const middle = await parts.namespace()
      const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
      parts.cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
      const at = (name: string): string => path.join(folder, name)
      // These make every file of the daemons, lock files and sockets too, stand in our folder.
      const own = ['env', `OVS_RUNDIR=${folder}`, `OVS_LOGDIR=${folder}`, `OVS_DBDIR=${folder}`]
      const database = `unix:${at('db.sock')}`
      await middle.run(...own, 'ovsdb-tool', 'create', at('conf.db'), SCHEMA)
      const databaseServer = parts.process(
        middle.start(...own, 'ovsdb-server', at('conf.db'), `--remote=p${database}`, `--unixctl=${at('db.ctl')}`)
      )
      const vsctl = (...args: string[]): Promise<string> => middle.run(...own, 'ovs-vsctl', `--db=${database}`, '--timeout=8', ...args)
      await databaseServer.until('socket', () => existsSync(at('db.sock')))
      await vsctl('--no-wait', 'init')
      const vswitch = parts.process(middle.start(...own, 'ovs-vswitchd', database, `--unixctl=${at('vswitch.ctl')}`, '-vfile:off'))
      const internal = (port: string): string[] => ['--', 'add-port', 'br0', port, '--', 'set', 'Interface', port, 'type=internal']
      await vsctl('add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'datapath_type=netdev', ...internal('client'), ...internal('server'))
      await middle.appeared('server', vswitch)
      await middle.run('ip', 'link', 'set', 'client', 'netns', client.path)
      await middle.run('ip', 'link', 'set', 'server', 'netns', server.path)
      await configureEnds(client, 'client', server, 'server')
      return { client, server, address: SERVER_ADDRESS, forwarders: [vswitch], ping: true }
    })
}
