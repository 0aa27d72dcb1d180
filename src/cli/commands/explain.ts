/** `netloom explain --from A --to B`: the way of a frame that is not sent, hop by hop, and how it ends. */
import type { Command } from 'commander'
import type { Explanation } from '../../api/inspection-json.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'

interface ExplainOptions extends HostOption {
  readonly from: string
  readonly to: string
  readonly json?: boolean
}

const HELP = `
A is a container or endpoint (web, or front/web where several networks have one); B is the same or an address, with a port or not:

  netloom explain --from web --to 192.0.2.60            would a ping arrive?
  netloom explain --from web --to db:5432               would a TCP connection? (db:53/udp: a UDP datagram?)
  netloom explain --from web --to [2001:db8::1]:80/tcp

Nothing is sent, learned or counted. Exit code 0 when it would arrive or leave, else 1.`

export function registerExplain(program: Command, context: CliContext): void {
  program
    .command('explain')
    .description('what would happen to a frame, and why, without sending it')
    .helpGroup(CommandGroup.run)
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
    .requiredOption('--from <endpoint>', 'who would send it')
    .requiredOption('--to <target>', 'to whom: NAME or ADDRESS, with :PORT[/PROTOCOL] or not')
    .option('--json', 'print the way as JSON')
    .addHelpText('after', HELP)
    .action(async (options: ExplainOptions) => {
      const client = await openClient(options, context)
      const explanation = await client.inspection.explain(options.from, options.to)
      const output = new Output(context.stdout, { json: options.json, env: context.env })
      printExplanation(explanation, output)
      if (explanation.verdict === 'dropped' || explanation.verdict === 'unreachable') context.exitCode = 1
    })
}

function printExplanation(explanation: Explanation, output: Output): void {
  output.result(explanation)
  // Without a way there is no source either.
  output.line([explanation.protocol, explanation.source, '>', explanation.destination].filter((word) => word !== '').join(' '))
  for (const { element, text } of explanation.hops) output.line(`  ${output.style('cyan', element)}  ${text}`)
  const isGood = explanation.verdict !== 'dropped' && explanation.verdict !== 'unreachable'
  const reason = explanation.reason === null ? '' : ` (${explanation.reason})`
  output.line(`${output.style(isGood ? 'green' : 'red', explanation.verdict)}${reason}: ${explanation.text}`)
}
