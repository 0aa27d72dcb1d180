/** `netloom images`, `import`, `load`, `tag`, `rmi`: what containers can be made of. */
import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import type { ImageSummary, ProgressMessage } from '../../client/image-calls.ts'
import { CliError, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { collect, dockerCommand, type HostOption, openClient, readFilters, tellRefusal } from '../docker/docker-command.ts'
import { goTime, humanDuration, humanSize, shortId } from '../docker/human-units.ts'
import { printList } from '../docker/list-output.ts'

const TABLE = '{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}'
const TABLE_WITH_DIGESTS = '{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}'
const HEADERS = {
  ID: 'IMAGE ID',
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE'
}

interface ListOptions extends HostOption {
  readonly all?: boolean
  readonly digests?: boolean
  readonly filter?: string[]
  readonly format?: string
  readonly trunc: boolean
  readonly quiet?: boolean
}

interface RemoveOptions extends HostOption {
  readonly force?: boolean
  readonly prune: boolean
}

export function registerImages(program: Command, context: CliContext): void {
  dockerCommand(program, 'images', 'what was imported and loaded')
    .helpGroup(CommandGroup.docker)
    .argument('[name]', 'only these: busybox, team/*')
    .option('-a, --all', 'taken for compatibility')
    .option('--digests', 'a column of digests, which only images from a registry have')
    .option('-f, --filter <filter>', 'only those with reference, dangling, label, before or since=VALUE', collect)
    .option('--format <template>', 'a Go template, table TEMPLATE, or json')
    .option('--no-trunc', 'whole ids')
    .option('-q, --quiet', 'ids only')
    .action((name: string | undefined, options: ListOptions) => listImages(name, options, context))
  dockerCommand(program, 'import', "make an image of a root file system's archive")
    .helpGroup(CommandGroup.docker)
    .argument('<file>', 'a tar file, compressed or not; - is stdin')
    .argument('[name]', "the image's name: web:1")
    .option('-c, --change <instruction>', 'CMD, ENV, EXPOSE... as in a Dockerfile; may be repeated', collect)
    .option('-m, --message <text>', "a comment for the image's history")
    .action((file: string, name: string | undefined, options: HostOption & { change?: string[]; message?: string }) =>
      importImage(file, name, options, context)
    )
  dockerCommand(program, 'load', 'take in the images of an archive of docker save')
    .helpGroup(CommandGroup.docker)
    .option('-i, --input <file>', 'the archive; stdin by default')
    .option('-q, --quiet', 'taken for compatibility')
    .action(async (options: HostOption & { input?: string }) => {
      const client = await openClient(options, context)
      if (options.input === undefined && process.stdin.isTTY === true) throw usageError('requested load from stdin, but stdin is empty')
      await tellProgress(client.images.load(archive(options.input ?? '-')), context)
    })
  dockerCommand(program, 'tag', 'give an image one more name')
    .helpGroup(CommandGroup.docker)
    .argument('<image>')
    .argument('<name>')
    .action(async (image: string, name: string, options: HostOption) => {
      const [repository, tag] = splitTag(name)
      await (await openClient(options, context)).images.tag(image, repository, tag)
    })
  dockerCommand(program, 'rmi', 'take names from images, and remove those that have none left')
    .helpGroup(CommandGroup.docker)
    .argument('<image...>')
    .option('-f, --force', 'also what containers were made of')
    .option('--no-prune', 'untagged parents stay: what is imported here has none')
    .action((names: string[], options: RemoveOptions) => removeImages(names, options, context))
}

async function listImages(name: string | undefined, options: ListOptions, context: CliContext): Promise<void> {
  const client = await openClient(options, context)
  const filters = readFilters(options.filter)
  if (name !== undefined) filters['reference'] = [...(filters['reference'] ?? []), name]
  const images = await client.images.list({ all: options.all ?? false, filters })
  const now = Date.now()
  const rows = images.flatMap((image) => imageRows(image, options.trunc, now))
  const quiet = options.quiet === true ? '{{.ID}}' : undefined
  const table = options.digests === true ? TABLE_WITH_DIGESTS : TABLE
  printList(rows, { format: options.format, table, headers: HEADERS, quiet }, context.stdout)
}

/** One for each name. */
function imageRows({ Id, RepoTags, Created, Size }: ImageSummary, isShort: boolean, now: number): object[] {
  const tags = RepoTags === null || RepoTags.length === 0 ? ['<none>:<none>'] : RepoTags
  return tags.map((name) => {
    const [Repository, Tag] = splitTag(name)
    return {
      ID: isShort ? shortId(Id) : Id,
      Repository,
      Tag,
      Digest: '<none>',
      CreatedSince: `${humanDuration(now / 1000 - Created)} ago`,
      CreatedAt: goTime(Created * 1000),
      Size: humanSize(Size)
    }
  })
}

async function importImage(
  file: string,
  name: string | undefined,
  options: HostOption & { change?: string[]; message?: string },
  context: CliContext
): Promise<void> {
  const client = await openClient(options, context)
  const [repository, tag] = splitTag(name ?? '')
  const { change: changes, message } = options
  const settings = { repository, tag, ...(changes === undefined ? {} : { changes }), ...(message === undefined ? {} : { message }) }
  await tellProgress(client.images.import(archive(file), settings), context)
}

async function removeImages(names: readonly string[], options: RemoveOptions, context: CliContext): Promise<void> {
  const client = await openClient(options, context)
  for (const name of names) {
    try {
      for (const step of await client.images.remove(name, options)) {
        context.stdout.write('Untagged' in step ? `Untagged: ${step.Untagged}\n` : `Deleted: ${step.Deleted}\n`)
      }
    } catch (error) {
      tellRefusal(error, context)
      context.exitCode = 1
    }
  }
}

function archive(file: string): AsyncIterable<Uint8Array> {
  return file === '-' ? process.stdin : createReadStream(file)
}

async function tellProgress(messages: AsyncIterable<ProgressMessage>, context: CliContext): Promise<void> {
  for await (const { status, stream, error, progress } of messages) {
    if (error !== undefined) throw new CliError(error, { code: 'ERR_DAEMON', isPlain: true })
    if (stream !== undefined) context.stdout.write(stream)
    else if (progress === undefined) context.stdout.write(`${status}\n`)
  }
}

/** A colon behind the last slash begins a tag; one before it, a port. */
function splitTag(name: string): [repository: string, tag: string] {
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/') ? [name.slice(0, colon), name.slice(colon + 1)] : [name, '']
}
