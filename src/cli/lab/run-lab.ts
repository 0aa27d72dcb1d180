/** A lab in this process, from its file to its end. */
import path from 'node:path'
import { Logger } from '../../api/logger.ts'
import { Client } from '../../client/client.ts'
import type { LabFile } from '../../compose/lab-file.ts'
import { defaultConfig } from '../../daemon/daemon-config.ts'
import { EmulatedLab } from '../../emulation/emulated-lab.ts'
import { LabDirectory } from '../../emulation/lab-directory.ts'
import { startLab } from '../../emulation/lab-start.ts'
import { type LabView, viewLab } from '../../emulation/lab-view.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { packageVersion } from '../package-root.ts'

/** Hears how far it is. */
export interface LabReport {
  progress(done: number, total: number, next: string): void
  up(view: LabView): void
}

/** Resolves when the lab was told to end, and has. Rejects with what kept it from coming up, or made it end. */
export async function runLab(file: LabFile, fileName: string, labs: string, report: LabReport, context: CliContext): Promise<void> {
  const signal = context.interruption()
  const logger = new Logger(context.env['NETLOOM_DEBUG'] ? 'debug' : 'warn', (line) => context.stderr.write(line))
  // A defect in one answer is told; the others go on.
  process.on('unhandledRejection', (error) => logger.error('internal error', { error }))
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {}) // it may happen while nobody waits for it yet
  const stopped = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  stopped.catch(() => {})
  const lab = await EmulatedLab.start({
    file,
    path: path.resolve(fileName),
    directory: new LabDirectory(labs, file.name),
    config: defaultConfig(context.env, process.getuid?.() === 0),
    logger,
    version: packageVersion(),
    onFailure: (error) =>
      fail(new CliError(`the engine ended: ${error.message}`, { code: 'ERR_ENGINE', fix: 'please report this defect', cause: error }))
  })
  try {
    const sockets = new Map(lab.record('starting').hosts.map(({ name, socket }) => [name, socket]))
    const starting = startLab({
      file,
      client: (host) => new Client(sockets.get(host)!),
      tell: (done, total, next) => report.progress(done, total, next),
      signal,
      warn: (problem) => logger.warn(problem)
    })
    starting.catch(() => {}) // after a signal it ends by itself, with the hosts
    await Promise.race([starting, failed, stopped])
    lab.ready()
    report.up(await viewLab(lab.record('running')))
    await Promise.race([failed, stopped])
  } finally {
    await lab.stop()
  }
}
