/** `netloom wireshark install|uninstall`: netloom's networks in Wireshark's list of interfaces. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { makeFolder } from '../../store/make-folder.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { Output } from '../output.ts'
import { packageRoot } from '../package-root.ts'

interface WiresharkOptions {
  readonly dir?: string
  readonly host?: string
  readonly json?: boolean
}

const NAME = 'netloom'

const HELP = `
Wireshark and tshark then list every network and endpoint of the daemon (\`tshark -D\`), capture on them (\`tshark -i netloom:lan/web\`),
and Wireshark has a toolbar (View, Interface Toolbars, netloom) that sets delay, loss and rate of the captured link.`

export function registerWireshark(program: Command, context: CliContext): void {
  const group = program
    .command('wireshark')
    .description("netloom's networks in Wireshark's list of interfaces")
    .helpGroup(CommandGroup.machine)
    .helpCommand(false)
  const withOptions = (command: Command): Command =>
    command
      .option('--dir <folder>', "Wireshark's folder of extcap programs, when it is not found by itself")
      .option('--json', 'print the path as JSON')
  withOptions(group.command('install'))
    .description('make Wireshark and tshark list them')
    .option('-H, --host <host>', 'the daemon: unix:///path (default: the one of whoever runs Wireshark)')
    .addHelpText('after', HELP)
    .action((options: WiresharkOptions) => install(options, context))
  withOptions(group.command('uninstall'))
    .description('undo it')
    .action((options: WiresharkOptions) => uninstall(options, context))
}

async function install(options: WiresharkOptions, context: CliContext): Promise<void> {
  const { CONFIG_ANSWER, DLTS_ANSWER } = await import('../extcap/extcap-answers.ts')
  const { extcapScript, isOurs } = await import('../extcap/wireshark-folder.ts')
  const file = await programPath(options, context)
  if (existsSync(file) && !isOurs(readFileSync(file, 'utf8'))) throw notOurs(file)
  const script = extcapScript({
    node: process.execPath,
    program: path.join(packageRoot(), 'bin/netloom.js'),
    host: options.host ?? context.env['NETLOOM_HOST'],
    dlts: DLTS_ANSWER,
    config: CONFIG_ANSWER
  })
  makeFolder(path.dirname(file))
  writeFileSync(file, script)
  chmodSync(file, 0o755)
  tell(`installed ${file}`, file, options, context)
}

async function uninstall(options: WiresharkOptions, context: CliContext): Promise<void> {
  const { isOurs } = await import('../extcap/wireshark-folder.ts')
  const file = await programPath(options, context)
  if (!existsSync(file)) return tell(`${file} is not there`, file, options, context)
  if (!isOurs(readFileSync(file, 'utf8'))) throw notOurs(file)
  rmSync(file)
  tell(`removed ${file}`, file, options, context)
}

async function programPath({ dir }: WiresharkOptions, { env }: CliContext): Promise<string> {
  if (dir !== undefined) return path.resolve(dir, NAME)
  const { extcapFolder, isWritable } = await import('../extcap/wireshark-folder.ts')
  const asked = spawnSync('tshark', ['-G', 'folders'], { encoding: 'utf8', timeout: 30_000 })
  const own = env['WIRESHARK_EXTCAP_DIR']
  return path.join(own || extcapFolder({ home: env['HOME'] ?? '/', folders: asked.stdout ?? '', isWritable }), NAME)
}

function notOurs(file: string): CliError {
  return new CliError(`${file} is there, and not netloom's`, {
    code: 'ERR_WIRESHARK_FILE',
    fix: 'move it away, or give another folder by --dir'
  })
}

function tell(text: string, file: string, { json }: WiresharkOptions, context: CliContext): void {
  const output = new Output(context.stdout, { json, env: context.env })
  output.line(text)
  output.result({ path: file })
}
