/** `netloom trace [TARGET]`: what every element does with the next frames. */
import { type Command, InvalidArgumentError } from 'commander'
import type { FrameWalk } from '../../api/trace-json.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'

interface TraceOptions extends HostOption {
  readonly filter?: string
  readonly count: number
  readonly timeout?: number
  readonly json?: boolean
}

const HELP = `
TARGET is where the frames enter: a network, a container or endpoint (web, or front/web where several networks have one), or an element
such as uplink. Without it they may enter anywhere. The filter is a capture filter of libpcap; it sees frames as they enter.

  netloom trace -n 1 -f 'tcp port 80'     the way of the next frame of HTTP
  netloom trace web --timeout 5           what web sends in the next five seconds, ten frames at most

Each line is a visit: microseconds since the frame entered, the element, and what it did. A frame keeps its number through NAT and VXLAN.
Ctrl-C and the end of the time print what was seen until then.`

export function registerTrace(program: Command, context: CliContext): void {
  program
    .command('trace')
    .description("the next frames' whole walk, element by element")
    .helpGroup(CommandGroup.run)
    .argument('[target]')
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
    .option('-f, --filter <filter>', 'only frames that this capture filter takes')
    .option('-n, --count <frames>', 'how many frames', wholeNumber, 10)
    .option('--timeout <seconds>', 'end after this time', seconds)
    .option('--json', 'print the walks as one JSON document')
    .addHelpText('after', HELP)
    .action((target: string | undefined, options: TraceOptions) => trace(target, options, context))
}

async function trace(target: string | undefined, options: TraceOptions, context: CliContext): Promise<void> {
  const { filter, count, timeout, json } = options
  const client = await openClient(options, context)
  const output = new Output(context.stdout, { json, env: context.env })
  const interruption = context.interruption()
  const walks = await client.traces.open(
    {
      count,
      ...(target !== undefined && { target }),
      ...(filter !== undefined && { filter }),
      ...(timeout && { timeoutSeconds: timeout })
    },
    interruption
  )
  const seen: FrameWalk[] = []
  try {
    for await (const walk of walks) {
      seen.push(walk)
      printWalk(walk, seen.length, output)
    }
  } catch (error) {
    if (!interruption.aborted) throw error
    context.exitCode = 0 // being stopped is how it ends
  }
  output.result({ frames: seen })
  if (seen.length < count) context.stderr.write(`${seen.length} of ${count} frames seen\n`)
}

function printWalk({ packetId, frame, steps }: FrameWalk, number: number, output: Output): void {
  if (number > 1) output.line()
  output.line(output.style('bold', `frame ${number}, packet ${packetId}: ${frame}`))
  const width = Math.max(...steps.map(({ element }) => element.length))
  for (const { time, element, text } of steps) {
    const at = (time / 1000).toFixed(3).padStart(12)
    const colour = text.includes('dropped: ') ? output.style('red', text) : text
    output.line(`${at} us  ${output.style('cyan', element.padEnd(width))}  ${colour}`)
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 10_000) throw new InvalidArgumentError('it must be a whole number from 1 to 10000')
  return Number(text)
}

function seconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text) || Number(text) === 0) throw new InvalidArgumentError('it must be a positive number of seconds')
  return Number(text)
}
