/** `netloom link set|ls|clear`: how links behave. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { LinkRequest, LinkRow } from '../../api/link-json.ts'
import { usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { endOptionsAtOperand, markDockerLike } from '../docker/docker-arguments.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'

interface LinkOptions extends HostOption {
  readonly in?: boolean
  readonly out?: boolean
  readonly trace?: string
  readonly distribution?: string
  readonly json?: boolean
}

const HELP = `
TARGET is a container or endpoint (web, or front/web where several networks have one) or a network: all its endpoints. In a lab also
an interface of a host, router or station (host1/eth0), or an underlay: all that are plugged in there.
The words are those of tc netem, and some more; without --in or --out they hold for both directions:

  netloom link set web delay 50ms 5ms loss 1% rate 10mbit
  netloom link set --out web delay 20ms 5ms distribution normal loss gemodel 1% 10%
  netloom link set front/web rate 56kbit limit 50 fq_codel
  netloom link set web loss nth 3 match protocol udp dport 53
  netloom link set web loss 10% filter 'udp port 53 and src net 192.0.2.0/24'
  netloom link set --trace lte.trace web limit 200     rate, delay and loss as the file says
  netloom link set --distribution lte.dist web delay 50ms 10ms
  netloom link set web down        the same as before, but cut; \`up\` joins it again

  delay TIME [JITTER [CORRELATION]] [distribution uniform|normal|pareto]
  loss PERCENT [CORRELATION] | gemodel P [R [1-H [1-K]]] | state P13 [P31 [P32 [P23 [P14]]]] | nth N
  duplicate PERCENT   corrupt PERCENT   reorder PERCENT [CORRELATION] [gap N]
  rate RATE [OVERHEAD [CELL [CELL-OVERHEAD]]] [burst SIZE]   limit PACKETS   limit-bytes SIZE
  codel | fq_codel [target TIME] [interval TIME] [flows N] [quantum SIZE] [ecn]
  mtu BYTES   down   flap UP DOWN   match [protocol P] [port N] [sport N] [dport N] [src NET] [dst NET]
  filter EXPRESSION     as of tcpdump: which frames loss is for

A setting takes the place of the one before; it lasts until it is cleared, or the endpoint or the daemon ends.`

export function registerLink(program: Command, context: CliContext): void {
  const group = program
    .command('link')
    .description('delay, lose and limit what goes over a link')
    .helpGroup(CommandGroup.run)
    .helpCommand(false)
  const set = withHost(group.command('set'))
    .description("set a link, in tc netem's words")
    .usage('[options] TARGET WORDS...')
    .argument('<target>')
    .argument('[words...]')
    .option('--out', 'only what the target sends')
    .option('--in', 'only what the target gets')
    .option('--trace <file>', 'lines of time, rate, delay and loss: how the link changes')
    .option('--distribution <file>', "how the delay varies: numbers, as in tc netem's tables")
    .addHelpText('after', HELP)
    .action((target: string, words: string[], options: LinkOptions) => {
      const { trace, distribution } = options
      if (words.length === 0 && trace === undefined)
        throw usageError('no words were given', '`netloom link clear TARGET` takes settings away')
      const files = {
        ...(trace !== undefined && { trace: textOf(trace) }),
        ...(distribution !== undefined && { distribution: textOf(distribution) })
      }
      return change({ target, words, ...files }, options, context)
    })
  // A word may begin with a dash: an overhead of -14 bytes.
  endOptionsAtOperand(markDockerLike(set))
  withHost(group.command('clear'))
    .description('take the settings of a link away')
    .argument('<target>')
    .option('--out', 'only what the target sends')
    .option('--in', 'only what the target gets')
    .action((target: string, options: LinkOptions) => change({ target, words: [] }, options, context))
  withHost(group.command('ls'))
    .alias('list')
    .description('the links that are set, and what became of their packets')
    .option('--json', 'print them as JSON')
    .action(async (options: LinkOptions) => {
      const links = await (await openClient(options, context)).links.list()
      print(links, new Output(context.stdout, { json: options.json, env: context.env }))
    })
}

/** For the daemon, no text is no file: an empty file is one without anything in its line. */
function textOf(file: string): string {
  return readFileSync(file, 'utf8') || '\n'
}

function withHost(command: Command): Command {
  return command.option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
}

async function change(request: Omit<LinkRequest, 'direction'>, options: LinkOptions, context: CliContext): Promise<void> {
  const direction = options.in === options.out ? 'both' : options.in === true ? 'in' : 'out'
  await (await openClient(options, context)).links.set({ ...request, direction })
}

function print(links: readonly LinkRow[], output: Output): void {
  output.result(links)
  const rows = links.map((link) => [
    [link.network, link.endpoint].filter((name) => name !== '').join('/'),
    link.out || '-',
    link.in || '-',
    sum(link, 'lost'),
    sum(link, 'queueDrops')
  ])
  output.table(['LINK', 'OUT', 'IN', 'LOST', 'QUEUE DROPS'], rows)
}

/** Of both directions. */
function sum({ counters }: LinkRow, name: string): string {
  return String((counters[`out.${name}`] ?? 0) + (counters[`in.${name}`] ?? 0))
}
