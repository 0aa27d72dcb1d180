import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { aroundHost, OUTSIDE } from '../masquerading-host.ts'
import { buildPath, type PathCase } from '../path-case.ts'

const PROGRAM = fileURLToPath(new URL('../host-uplink-path.js', import.meta.url))

/** The way out of `--uplink host`, from a container on a bridge network through both NATs. */
export const hostUplink: PathCase = {
  name: 'netloom-host',
  title: 'netloom, host uplink',
  missing: () => null,
  start: () =>
    buildPath(async (parts) => {
      const { client, host, server } = await aroundHost(parts)
      const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
      parts.cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
      const daemon = parts.process(host.start(process.execPath, PROGRAM, client.path, folder))
      await daemon.until('line "ready"', () => daemon.stdout.includes('ready'), 10)
      return { client, server, address: OUTSIDE, forwarders: [daemon], ping: true }
    })
}
