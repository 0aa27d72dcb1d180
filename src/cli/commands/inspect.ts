/** `netloom inspect`: all that is known of containers, images and networks, whichever has the name. */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { dockerCommand, type HostOption, isRefusal, openClient, refusalText } from '../docker/docker-command.ts'
import { printInspected } from '../docker/inspect-output.ts'

interface InspectOptions extends HostOption {
  readonly format?: string
  readonly size?: boolean
  readonly type?: string
}

/** In the order in which a name is looked up. */
const KINDS: Readonly<Record<string, (client: Client, name: string, size: boolean) => Promise<unknown>>> = {
  container: (client, name, size) => client.containers.inspect(name, size),
  image: (client, name) => client.images.inspect(name),
  network: (client, name) => client.networks.inspect(name)
}

export function registerInspect(program: Command, context: CliContext): void {
  dockerCommand(program, 'inspect', 'all that is known of containers, images and networks')
    .helpGroup(CommandGroup.docker)
    .argument('<name...>')
    .option('-f, --format <template>', 'a Go template for each')
    .option('-s, --size', 'with what containers wrote')
    .option('--type <type>', 'container, image or network')
    .action(async (names: string[], options: InspectOptions) => {
      const { type, size = false } = options
      if (type !== undefined && !Object.hasOwn(KINDS, type)) {
        const message = `unknown type: "${type}": must be one of "container", "image", "network"`
        throw new CliError(message, { code: 'ERR_USAGE', isPlain: true })
      }
      const client = await openClient(options, context)
      const kinds = type === undefined ? Object.keys(KINDS) : [type]
      const explain = type === undefined ? (_error: Error, name: string) => `Error: No such object: ${name}` : refusalText
      await printInspected(names, (name) => findAny(client, kinds, name, size), options, context, explain)
    })
}

async function findAny(client: Client, kinds: readonly string[], name: string, size: boolean): Promise<unknown> {
  let missing: unknown
  for (const kind of kinds) {
    try {
      return await KINDS[kind]!(client, name, size)
    } catch (error) {
      // Names that are no image's ("Web") are bad requests, and may be a network's.
      if (!isRefusal(error) || (error.status !== 404 && error.status !== 400)) throw error
      missing = error
    }
  }
  throw missing
}
