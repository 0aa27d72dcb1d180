import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'

/** A reason to skip when a tool that judges our files independently is not installed; false when it is. */
export function missing(tool: string): string | false {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined ? false : `${tool} is not installed`
}

/** Fields of every frame, as tshark sees them. */
export function tsharkFields(file: string, ...fields: string[]): string[][] {
  const args = ['-n', '-r', file, '-T', 'fields', '-E', 'separator=|', ...fields.flatMap((field) => ['-e', field])]
  return run('tshark', args)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('|'))
}

/** Runs a judge; a non-zero exit fails the test. */
export function run(tool: string, args: string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A folder that goes when the test ends. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'netloom-capture-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
