/** The tree of commands. Each file of commands/ adds its own. */
import { Command } from 'commander'
import { registerAttach } from './commands/attach.ts'
import { registerCapture } from './commands/capture.ts'
import { registerCompletion } from './commands/completion.ts'
import { registerContainers } from './commands/containers.ts'
import { registerDaemon } from './commands/daemon.ts'
import { registerDemo } from './commands/demo.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerExec } from './commands/exec.ts'
import { registerExplain } from './commands/explain.ts'
import { registerExtcap } from './commands/extcap.ts'
import { registerHelp } from './commands/help.ts'
import { registerImages } from './commands/images.ts'
import { registerInspect } from './commands/inspect.ts'
import { registerLab } from './commands/lab.ts'
import { registerLink } from './commands/link.ts'
import { registerLogs } from './commands/logs.ts'
import { registerNetwork } from './commands/network.ts'
import { registerReplay } from './commands/replay.ts'
import { registerRun } from './commands/run.ts'
import { registerShow } from './commands/show.ts'
import { registerSim } from './commands/sim.ts'
import { registerStart } from './commands/start.ts'
import { registerTrace } from './commands/trace.ts'
import { registerWireshark } from './commands/wireshark.ts'
import type { CliContext } from './context.ts'
import { packageVersion } from './package-root.ts'
import { hasColours, paint } from './terminal.ts'

/** In the order of `netloom --help`. */
const REGISTRATIONS = [
  registerDemo,
  registerSim,
  registerDaemon,
  registerLab,
  registerAttach,
  registerShow,
  registerExplain,
  registerTrace,
  registerCapture,
  registerLink,
  registerReplay,
  registerNetwork,
  registerRun,
  registerExec,
  registerStart,
  registerContainers,
  registerLogs,
  registerInspect,
  registerImages,
  registerDoctor,
  registerWireshark,
  registerExtcap,
  registerCompletion,
  registerHelp
]

const EXAMPLES = `
Examples:
  netloom demo                      two processes and a virtual host talk; a capture shows every frame
  netloom up lab.yaml               hosts, networks and containers of a Compose file
  netloom sim lossy.js --seeds 1..100 a scenario in virtual time, for a hundred seeds
  netloom network create front      a network of the daemon, as with docker's client
  netloom attach lan --pid 4711     the process 4711 gets an eth0 on the network lan
  netloom capture lan               every frame of the network lan, a line each
  netloom doctor                    can this machine run it, and what is missing?
  netloom help doctor               what a command does, its options
  source <(netloom completion bash) complete commands and options with the Tab key

Exit codes: 0 done, 1 failed, 2 the command line was wrong; of docker's commands those that docker has (125, 126, 127, the container's).
NO_COLOR=1 turns colours off, NETLOOM_DEBUG=1 is --debug.`

export function createProgram(context: CliContext): Command {
  const program = new Command('netloom')
    .description("A network emulator: Docker's networks, on frames that you can watch.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--debug', 'print the stack of an error')
    .helpOption('-h, --help', 'print this help, or that of a command')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
    // Errors are told in one place, run-cli.ts, so commander throws them and says nothing.
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
      // 0 columns: a terminal that nobody gave a size.
      getOutHelpWidth: () => context.stdout.columns || 100,
      getErrHelpWidth: () => context.stderr.columns || 100
    })
    .configureHelp({ showGlobalOptions: true, styleTitle: (title) => paint(hasColours(context.stdout, context.env), 'bold', title) })
  for (const register of REGISTRATIONS) register(program, context)
  return program
}
