import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import path from 'node:path'
import readline from 'node:readline'
import type { TestNamespace } from './test-namespace.ts'

interface Answer {
  readonly result?: unknown
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string; readonly fix?: string }
}

/** A host uplink in its own process in a test's namespace; see host-uplink-process. */
export class HostUplinkClient {
  /** What it logged. */
  readonly logs: string[] = []
  /** What it told of the host's addresses, the latest last. */
  readonly addresses: string[][] = []
  private readonly child: ChildProcess
  private readonly answers: ((answer: Answer) => void)[] = []
  private onAddresses = (): void => {}
  private onLog = (): void => {}

  constructor(netns: TestNamespace, stateDirectory: string) {
    const program = path.join(import.meta.dirname, 'host-uplink-process.js')
    const args = [`--net=${netns.path}`, process.execPath, program, stateDirectory]
    this.child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    readline.createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const message = JSON.parse(line) as Answer & { log?: string; addresses?: string[] }
      if (message.log !== undefined) {
        this.logs.push(message.log)
        this.onLog()
      } else if (message.addresses !== undefined) {
        this.addresses.push(message.addresses)
        this.onAddresses()
      } else this.answers.shift()?.(message)
    })
    this.child.on('close', () => {
      for (const answer of this.answers.splice(0)) answer({ error: { name: 'Error', message: 'the process ended' } })
    })
  }

  /** Rejects with an error that has the members of the uplink's. */
  async call(name: string, argument: unknown = null): Promise<unknown> {
    const answer = new Promise<Answer>((resolve) => {
      this.answers.push(resolve)
    })
    this.child.stdin!.write(`${JSON.stringify({ call: name, argument })}\n`)
    const { result, error } = await answer
    if (error !== undefined) throw Object.assign(new Error(error.message), error)
    return result
  }

  /** Resolves when addresses that fulfil `wanted` have been told. */
  async toldAddresses(wanted: (addresses: string[]) => boolean): Promise<void> {
    while (!wanted(this.addresses.at(-1) ?? [])) {
      await new Promise<void>((resolve) => {
        this.onAddresses = resolve
      })
    }
  }

  /** Resolves when something like this has been logged. */
  async logged(wanted: RegExp): Promise<void> {
    while (!this.logs.some((line) => wanted.test(line))) {
      await new Promise<void>((resolve) => {
        this.onLog = resolve
      })
    }
  }

  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      this.child.once('close', () => resolve())
      this.child.kill('SIGKILL')
    })
  }
}
