/** The program `netloom`: bin/netloom.js imports this. */
import { ExitCode } from './cli-error.ts'
import { processContext } from './context.ts'
import { runCli } from './run-cli.ts'

// `netloom ... | head` closes our standard output early: that is the reader's choice, not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    // A full disk behind `> file`. There is no other stream left to fail when it is this one that cannot be written.
    if (stream === process.stdout) process.stderr.write(`netloom: cannot write to standard output: ${error.message}\n`)
    process.exit(ExitCode.failed)
  })
}

// Not process.exit(): it would cut off output that a pipe has not taken yet.
process.exitCode = await runCli(process.argv.slice(2), processContext())
