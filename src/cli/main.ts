/** The program `netloom`: bin/netloom.js imports this. */
import { processContext } from './context.ts'
import { runCli } from './run-cli.ts'

// `netloom ... | head` closes our standard output early: that is the reader's choice, not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    throw error
  })
}

// Not process.exit(): it would cut off output that a pipe has not taken yet.
process.exitCode = await runCli(process.argv.slice(2), processContext())
