/**
 * A lab in a process of its own that outlives this one: started, listened to until it is up, left alone.
 *
 *   netloom up -d  --spawn-->  netloom up --report 3
 *                  <-- fd 3 --  one JSON object a line: progress, up or error
 */
import { spawn } from 'node:child_process'
import { openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { LabDirectory } from '../../emulation/lab-directory.ts'
import type { LabView } from '../../emulation/lab-view.ts'
import { clearLab } from '../../emulation/remove-lab.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { packageRoot } from '../package-root.ts'
import type { LabReport } from './run-lab.ts'

export type ReportLine =
  | { readonly progress: readonly [done: number, total: number, next: string] }
  | { readonly up: LabView }
  | { readonly error: { readonly message: string; readonly code: string; readonly fix?: string | undefined } }

/** The child's side. What is written when nobody listens any more is lost. */
export function reportTo(fd: number): LabReport & { failed(error: Error): void } {
  const write = (line: ReportLine): void => {
    try {
      writeSync(fd, `${JSON.stringify(line)}\n`)
    } catch {
      // Whoever started it is gone; the lab goes on.
    }
  }
  return {
    progress: (...progress) => write({ progress }),
    up: (up) => write({ up }),
    failed: (error) => {
      const { code = 'ERR_INTERNAL', fix } = error as { code?: string; fix?: string }
      write({ error: { message: error.message, code, fix } })
    }
  }
}

/**
 * The parent's side: resolves when the lab is up. Rejects with what the child said; a signal here ends the child first. Nothing is left
 * then, but for the log of a child that ended without a word.
 */
export async function startInBackground(
  args: readonly string[],
  directory: LabDirectory,
  report: LabReport,
  context: CliContext
): Promise<void> {
  const signal = context.interruption()
  const release = directory.acquireStart()
  try {
    await start(args, directory, report, signal, context.env)
  } finally {
    release()
  }
}

async function start(
  args: readonly string[],
  directory: LabDirectory,
  report: LabReport,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv
): Promise<void> {
  const output = openSync(directory.log, 'a', 0o600)
  const child = spawn(process.execPath, [path.join(packageRoot(), 'bin/netloom.js'), ...args, '--report', '3'], {
    detached: true,
    stdio: ['ignore', output, output, 'pipe'],
    env
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stop = (): void => void child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  let failure: Error | null = null
  try {
    for await (const text of createInterface({ input: child.stdio[3] as Readable })) {
      const line = JSON.parse(text) as ReportLine
      if ('progress' in line) report.progress(...line.progress)
      else if ('error' in line) failure = new CliError(line.error.message, line.error)
      else if ('up' in line) {
        report.up(line.up)
        return
      }
    }
    const code = await ended
    if (failure === null && !signal.aborted) {
      throw new CliError(`the lab's process ended with ${code}`, { code: 'ERR_LAB_START', fix: `its log: ${directory.log}` })
    }
    // Unless somebody else has taken its name.
    await clearLab(directory).catch(() => {})
    signal.throwIfAborted()
    throw failure
  } finally {
    signal.removeEventListener('abort', stop)
    if (child.exitCode === null) {
      child.stdio[3]?.destroy()
      child.unref()
    }
  }
}
