/** `docker top`: the machine's own ps, and of its lines those of the container's processes. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ApiError } from '../../api/api-error.ts'
import type { Container } from './container.ts'

const run = promisify(execFile)

/** `psArgs` as the user wrote them; empty: -ef. Throws ApiError. */
export async function containerTop(container: Container, psArgs: string): Promise<{ Titles: string[]; Processes: string[][] }> {
  const args = psArgs.trim() === '' ? ['-ef'] : psArgs.trim().split(/\s+/)
  checkArguments(args)
  const pids = new Set(await container.sandbox!.processes())
  const { stdout } = await run('ps', args, { maxBuffer: 64 << 20 }).catch((error: NodeJS.ErrnoException & { stderr?: string }) => {
    const [reason] = (error.stderr?.trim() || error.message).split('\n')
    throw ApiError.internal(`ps: ${reason}`, { cause: error })
  })
  return parsePs(stdout, pids)
}

/** Lines of ps whose PID is one of `pids`; the last column may hold blanks. Throws ApiError without a column PID. */
export function parsePs(output: string, pids: ReadonlySet<number>): { Titles: string[]; Processes: string[][] } {
  const [header = '', ...lines] = output.split('\n')
  const Titles = header.trim().split(/\s+/)
  const column = Titles.indexOf('PID')
  if (column < 0) throw ApiError.internal("Couldn't find PID field in ps output")
  const Processes = lines.flatMap((line) => {
    const words = line.trim().split(/\s+/)
    if (words[0] === '' || !pids.has(Number(words[column]))) return []
    return [[...words.slice(0, Titles.length - 1), words.slice(Titles.length - 1).join(' ')]]
  })
  return { Titles, Processes }
}

/** Refuses what would make ps leave the PID out or rename it. */
function checkArguments(args: readonly string[]): void {
  for (const text of args) {
    const match = /^(?:-?o|--format=?)(.+)$/.exec(text)
    if (match?.[1] === undefined) continue
    if (/\bpid=[^,]/.test(match[1]) && !/\bpid=PID\b/.test(match[1])) {
      throw ApiError.badRequest(`specifying "${match[0]}" is not allowed`)
    }
  }
}
