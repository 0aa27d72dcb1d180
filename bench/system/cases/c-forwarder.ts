import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { BenchError, BenchProcess, installed } from '../bench-process.ts'
import { buildPath, configureEnds, type PathCase, SERVER_ADDRESS, twoEnds } from '../path-case.ts'
import { projectRoot } from '../project-root.ts'

const SOURCE = 'bench/reference/tap-forward.c'
let binary = ''

/** Compiled once per benchmark, into a folder that goes with it. */
function compiled(): string {
  if (binary !== '') return binary
  const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const output = path.join(folder, 'tap-forward')
  const result = spawnSync('cc', ['-O2', '-Wall', '-o', output, path.join(projectRoot, SOURCE)], { encoding: 'utf8' })
  if (result.status !== 0) throw new BenchError(`cc ${SOURCE}: ${result.stderr}`)
  return (binary = output)
}

/** The limit of what a TAP allows: two TAPs, read and write, no table, no pool. */
export const cForwarder: PathCase = {
  name: 'c-forwarder',
  title: 'plain C forwarder, TAP',
  missing: () => (installed('cc') ? null : 'no C compiler (cc)'),
  start: () =>
    buildPath(async (parts) => {
      const { client, server } = await twoEnds(parts)
      const forwarder = parts.process(new BenchProcess([compiled(), client.path, 'eth0', server.path, 'eth0']))
      await forwarder.until('line "ready"', () => forwarder.stdout.includes('ready'))
      await configureEnds(client, 'eth0', server, 'eth0')
      return { client, server, address: SERVER_ADDRESS, forwarders: [forwarder], ping: true }
    })
}
