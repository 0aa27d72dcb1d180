/**
 * The program of a capture filter: by tcpdump where it is installed, which knows all of libpcap's language; else, and where it is late, by
 * the built-in grammar, which refuses what it does not know. Both take the same frames.
 */
import { execFile } from 'node:child_process'
import { type BpfProgram, parseBpfProgram } from '../capture/filter/bpf-instruction.ts'
import { CaptureFilterError } from '../capture/filter/capture-filter-error.ts'
import { checkProgram } from '../capture/filter/check-program.ts'
import { compileFilter } from '../capture/filter/compile-filter.ts'
import { realTimers } from '../engine/clock.ts'

export interface CaptureFilterOptions {
  /** The program to ask, by path or by name; null: only the built-in grammar. */
  readonly tcpdump?: string | null
  /** Milliseconds for its answer, 5,000 when absent; later on the built-in grammar is asked, too. */
  readonly patience?: number
}

/** It looks up names of hosts: an answer that does not come must not be waited for. Milliseconds. */
const PATIENCE = 5000
/** An argument of a program is at most 128 KiB (execve(2)); no filter needs that. */
const TEXT_MAX = 32_768

/** Throws CaptureFilterError, with what is wrong in tcpdump's words and where it is in ours. */
export async function captureFilter(
  text: string,
  { tcpdump = 'tcpdump', patience = PATIENCE }: CaptureFilterOptions = {}
): Promise<BpfProgram> {
  if (tcpdump === null || text.trim() === '' || text.length > TEXT_MAX || text.includes('\0')) return compileFilter(text)
  const answer = await ask(tcpdump, text, patience)
  if (answer === null) return compileFilter(text)
  if (answer === 'late') return compileLate(text, patience)
  if ('complaint' in answer) throw new CaptureFilterError(`libpcap does not take the filter: ${answer.complaint}`, placeOf(text))
  const program = parseBpfProgram(answer.program)
  checkProgram(program)
  return program
}

type Answer = { program: string } | { complaint: string }

/** null: it is not there, or not what we think it is. */
function ask(tcpdump: string, text: string, patience: number): Promise<Answer | 'late' | null> {
  // Without an interface: the program is for frames as they are, with their tags in them. What follows `--` is no option.
  // -O leaves out libpcap's optimizer, which may change what a filter takes (src/capture/filter/README.md).
  const args = ['-O', '-ddd', '-y', 'EN10MB', '--', text]
  return new Promise((resolve) => {
    let isLate = false
    const child = execFile(tcpdump, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) => {
      forget()
      // Also of one that had answered when it was given up: execFile's own limit would close its pipe unread.
      if (error === null) return resolve({ program: stdout })
      if (isLate) return resolve('late')
      const complaint = /^tcpdump: (.+)/m.exec(stderr)?.[1]
      resolve(typeof error.code === 'number' && complaint !== undefined ? { complaint } : null)
    })
    const forget = realTimers.after(patience, () => {
      isLate = true
      child.kill('SIGKILL')
    })
  })
}

/** On a busy machine tcpdump may be late with any filter: most are known here. */
function compileLate(text: string, patience: number): BpfProgram {
  try {
    return compileFilter(text)
  } catch (error) {
    const late = `it took longer than ${patience / 1000} s; give addresses in place of names`
    throw new CaptureFilterError(`libpcap does not take the filter: ${late}`, (error as CaptureFilterError).offset)
  }
}

/** tcpdump does not say where: the built-in grammar does, if it stumbles too. */
function placeOf(text: string): number | undefined {
  try {
    compileFilter(text)
    return undefined
  } catch (error) {
    return (error as CaptureFilterError).offset
  }
}
