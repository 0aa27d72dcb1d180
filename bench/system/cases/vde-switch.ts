import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { BenchProcess, installed } from '../bench-process.ts'
import { buildPath, configureEnds, type PathCase, SERVER_ADDRESS, twoEnds } from '../path-case.ts'

/** vde_switch with a vde_plug2tap at each end: three processes, joined by Unix sockets. */
export const vdeSwitch: PathCase = {
  name: 'vde',
  title: 'VDE switch',
  missing: () => (installed('vde_switch') && installed('vde_plug2tap') ? null : 'vde_switch and vde_plug2tap are not installed (vde2)'),
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
      parts.cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
      const socket = path.join(folder, 'switch')
      // Standard input is the switch's console: it ends when that does.
      const middle = parts.process(new BenchProcess(['vde_switch', '-s', socket]))
      await middle.until('socket', () => existsSync(path.join(socket, 'ctl')))
      const forwarders = [middle]
      for (const end of [client, server]) {
        const plug = parts.process(end.start('vde_plug2tap', '-s', socket, 'eth0'))
        await end.appeared('eth0', plug)
        forwarders.push(plug)
      }
      await configureEnds(client, 'eth0', server, 'eth0')
      return { client, server, address: SERVER_ADDRESS, forwarders, ping: true }
    })
}
