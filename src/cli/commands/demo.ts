/** `netloom demo`: the main job, end to end, on this machine. */
import path from 'node:path'
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import type { DemoResult } from '../demo/run-demo.ts'
import { Output } from '../output.ts'

interface DemoOptions {
  readonly json?: boolean
  readonly capture: string
}

export function registerDemo(program: Command, context: CliContext): void {
  program
    .command('demo')
    .description('two processes and a virtual host talk by name through the engine; a capture shows every frame')
    .helpGroup(CommandGroup.run)
    .option('-w, --capture <file>', 'where the capture goes', 'netloom-demo.pcapng')
    .option('--json', 'print the result as JSON')
    .action(async (options: DemoOptions) => {
      const output = new Output(context.stdout, { json: options.json, env: context.env })
      const interrupted = context.interruption()
      const { Lab, runDemo } = await library()
      const capture = path.resolve(options.capture)
      let stop: (error: Error) => void = () => {}
      const stopped = new Promise<never>((_, reject) => {
        stop = reject
      })
      interrupted.addEventListener('abort', () => stop(interrupted.reason))
      await using lab = await Lab.create({ onCrash: (error) => stop(error) })
      // A signal ends the wait; leaving this block then ends the lab, processes and namespaces with it.
      const result = await Promise.race([runDemo(lab, capture, output), stopped])
      printResult(result, output)
      output.result(result)
      const { error } = result.capture
      if (error !== undefined) throw new CliError(error, { code: 'ERR_CAPTURE' })
    })
}

/** Loaded when it is needed: `--help` stays quick. (tsc rewrites no import within a function that has `await using`.) */
async function library() {
  const [{ Lab }, { runDemo }] = await Promise.all([import('../../lab/lab.ts'), import('../demo/run-demo.ts')])
  return { Lab, runDemo }
}

function printResult(result: DemoResult, output: Output): void {
  output.line()
  output.table(
    ['NAME', 'IP', 'MAC', 'RX FRAMES', 'RX BYTES', 'TX FRAMES', 'TX BYTES', 'DROPS'],
    result.endpoints.map((endpoint) => [
      endpoint.name,
      endpoint.ip,
      endpoint.mac,
      String(endpoint.rxFrames),
      String(endpoint.rxBytes),
      String(endpoint.txFrames),
      String(endpoint.txBytes),
      dropsText(endpoint.drops)
    ]),
    [3, 4, 5, 6]
  )
  const { capture, transfer } = result
  output.line()
  output.line(`throughput  ${transfer.gbitPerSecond.toFixed(2)} Gbit/s (${transfer.bytes} bytes in ${transfer.seconds.toFixed(2)} s)`)
  output.line(`capture     ${capture.path}`)
  output.line(`            ${capture.frames} frames, ${capture.dropped} copies dropped, ${capture.bytes} bytes`)
  if (capture.frames === 0) return
  output.line(`            open it: wireshark ${capture.path}`)
  output.line(`            or read: tshark -r ${capture.path}`)
}

function dropsText(drops: Readonly<Record<string, number>>): string {
  const entries = Object.entries(drops)
  return entries.length === 0 ? '0' : entries.map(([reason, count]) => `${reason} ${count}`).join(', ')
}
