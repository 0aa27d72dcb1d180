// A docker command on a terminal, as a user has it before him: `docker attach`, `docker exec -it`. The terminal is script(1)'s.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { DockerLab } from './docker-lab.ts'

export const KEYS = { enter: '\r', interrupt: '\x03', end: '\x04', detach: '\x10\x11' } as const

export class TerminalSession {
  private readonly child: ChildProcess
  private text = ''
  private readonly ended: Promise<number>

  constructor(lab: DockerLab, command: string) {
    const env = { ...process.env, ...lab.environment, TERM: 'xterm' }
    this.child = spawn('script', ['-qfec', `stty rows 24 cols 200; exec ${command}`, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stdout!.on('data', (data) => {
      this.text += data
    })
    this.child.stdin!.on('error', () => {})
    this.ended = once(this.child, 'exit').then(([status]) => status as number)
  }

  /** What was shown so far, without control sequences. */
  get shown(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are driven by them
    return this.text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '')
  }

  press(keys: string): void {
    this.child.stdin!.write(keys)
  }

  /** Types a line; resolves with what was shown after it until the prompt is back. `interruptAfter`: seconds until Ctrl-C. */
  async type(line: string, interruptAfter?: number): Promise<string> {
    const start = this.shown.length
    this.press(`${line}\r`)
    if (interruptAfter !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, interruptAfter * 1000))
      this.press(KEYS.interrupt)
    }
    // Behind the line itself: a prompt before it belongs to a key that was pressed earlier.
    const isBack = (): boolean => {
      const shown = this.shown.slice(start)
      const echo = shown.indexOf(line)
      return echo >= 0 && shown.includes('\n', echo + line.length) && /\/ # $/.test(shown)
    }
    await this.until(isBack, `a prompt after '${line}'`)
    return this.shown.slice(start)
  }

  /** Waits for the first prompt; on an attached shell it comes after a key. */
  async prompt(): Promise<void> {
    let keys = 0
    for (let tries = 0; tries < 300 && !/\/ # $/.test(this.shown); tries++) {
      if (tries % 10 === 5) {
        this.press(KEYS.enter)
        keys++
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await this.until(() => /\/ # $/.test(this.shown), 'a prompt')
    // Of several keys each may bring a prompt yet, and one in the midst of what is typed next would be taken for its end.
    if (keys > 1) await this.type("echo set''tled")
    await this.until(() => keys <= 1 || /\nsettled\n\/ # $/.test(this.shown), 'the last of the prompts')
  }

  /** The status of the command, which must end by itself. */
  async end(): Promise<number> {
    const late = setTimeout(() => this.child.kill('SIGKILL'), 120_000)
    const status = await this.ended
    clearTimeout(late)
    return status
  }

  close(): void {
    this.child.kill('SIGKILL')
  }

  private async until(holds: () => boolean, what: string): Promise<void> {
    for (let tries = 0; tries < 1200; tries++) {
      if (holds()) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`${what} did not come; the terminal shows:\n${this.shown}`)
  }
}
