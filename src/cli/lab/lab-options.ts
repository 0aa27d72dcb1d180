/** What the commands of labs have in common: which file, which lab, where labs are kept. */
import { createReadStream, existsSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import type { LabFile } from '../../compose/lab-file.ts'
import type { LabDirectory } from '../../emulation/lab-directory.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'

export interface LabOptions {
  readonly project?: string
  readonly labs?: string
  readonly json?: boolean
}

/** Bytes; a device has no end. */
const LONGEST_FILE = 4 << 20

/** Looked for in this order where no file is named. */
const FILES = ['netloom.yaml', 'netloom.yml', 'compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml']

export function withLabOptions(command: Command): Command {
  return command
    .option('-p, --project <name>', "the lab's name (default: the file's `name:`, or its folder's)")
    .option('--labs <dir>', 'where labs are kept (default: NETLOOM_LABS, or labs/ beside the socket of this user)')
    .option('--json', 'print the result as JSON')
}

/** The file that is meant, as it is called in messages: this one, or the one of this folder. CliError when there is none. */
export function labFileName(given: string | undefined): string {
  const found = fileOf(given)
  if (found !== undefined) return found
  throw usageError(
    `there is no lab file ${given === undefined ? 'here' : `in ${given}`}: none of ${FILES.join(', ')}`,
    'name one: netloom up FILE'
  )
}

function fileOf(given: string | undefined): string | undefined {
  if (given !== undefined && statSync(given, { throwIfNoEntry: false })?.isDirectory() !== true) return given
  return FILES.map((name) => (given === undefined ? name : path.join(given, name))).find((file) => existsSync(file))
}

/** Throws LabFileError, CliError. */
export async function readLab(file: string, project: string | undefined, { env }: CliContext): Promise<LabFile> {
  const [{ checkProject, readLabFile }, { checkUplink }] = await Promise.all([
    import('../../compose/lab-file.ts'),
    import('../../daemon/uplink-setting.ts')
  ])
  try {
    if (project !== undefined) checkProject(project)
  } catch (error) {
    throw usageError(`--project: ${(error as Error).message}`)
  }
  const text = await readText(file)
  return readLabFile(text, { file, env, project, readUplink: checkUplink })
}

async function readText(file: string): Promise<string> {
  const parts: Buffer[] = []
  try {
    for await (const part of createReadStream(file, { end: LONGEST_FILE })) parts.push(part as Buffer)
  } catch (error) {
    throw new CliError(`the lab file cannot be read: ${(error as Error).message}`, { code: 'ERR_LAB_FILE', cause: error })
  }
  const bytes = Buffer.concat(parts)
  if (bytes.length <= LONGEST_FILE) return bytes.toString('utf8')
  throw new CliError(`${file} is longer than ${LONGEST_FILE} bytes: it is no lab file`, { code: 'ERR_LAB_FILE' })
}

/** The folder of all labs of this user. */
export async function labsFolder({ labs }: LabOptions, { env }: CliContext): Promise<string> {
  const { runtimeDirectory } = await import('../../daemon/daemon-config.ts')
  return path.resolve(labs ?? env['NETLOOM_LABS'] ?? path.join(runtimeDirectory(env, process.getuid?.() === 0), 'labs'))
}

/** A lab that is there, by its name, by its file, or the only one. Throws LabError `ERR_NO_LAB`. */
export async function findLab(file: string | undefined, options: LabOptions, context: CliContext): Promise<LabDirectory> {
  const [{ LabDirectory: Directory }, { LabError }] = await Promise.all([
    import('../../emulation/lab-directory.ts'),
    import('../../emulation/lab-error.ts')
  ])
  const folder = await labsFolder(options, context)
  const all = Directory.list(folder)
  const known = all.length === 0 ? 'no lab runs' : `there is ${all.map(({ name }) => name).join(', ')}`
  const byName = (name: string): LabDirectory => {
    const found = all.find((lab) => lab.name === name)
    if (found !== undefined) return found
    throw new LabError('ERR_NO_LAB', `there is no lab '${name}'; ${known}`)
  }
  if (options.project !== undefined) return byName(options.project)
  if (file !== undefined && (!existsSync(file) || all.some(({ name }) => name === file))) return byName(file)
  const here = fileOf(file)
  if (here !== undefined) {
    const same = all.find((lab) => lab.read()?.file === path.resolve(here))
    return same ?? byName((await readLab(here, undefined, context)).name)
  }
  if (all.length === 1) return all[0]!
  throw new LabError('ERR_NO_LAB', all.length === 0 ? known : `which lab? ${known}`, { fix: 'name it: --project NAME' })
}
