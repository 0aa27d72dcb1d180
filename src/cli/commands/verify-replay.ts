/** `netloom replay --verify FILE`: a recording played under the virtual clock, in this process, and what came out compared. */
import type { Verification } from '../../lab/verify-recording.ts'
import type { CliContext } from '../context.ts'
import { Output } from '../output.ts'

/** Differences of a port that are told; the rest is counted. */
const TOLD_MAX = 20

export async function verifyReplay(file: string, options: { readonly json?: boolean }, context: CliContext): Promise<void> {
  const { verifyRecording } = await import('../../lab/verify-recording.ts')
  const result = await verifyRecording(file)
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  output.result(result)
  tell(result, output)
  if (!result.isSame) context.exitCode = 1
}

function tell({ ports, leftOut, isSame, seconds }: Verification, output: Output): void {
  const rows = ports.map(({ port, recorded, played, same, isOrdered }) => [
    port,
    String(recorded),
    String(played),
    String(same),
    isOrdered ? 'yes' : 'no'
  ])
  output.table(['PORT', 'RECORDED', 'PLAYED', 'SAME', 'IN ORDER'], rows, [1, 2, 3])
  for (const { port, differences } of ports) {
    for (const { kind, index, recorded, played, offset } of differences.slice(0, TOLD_MAX)) {
      output.line(`${port} ${index} ${output.style('red', kind)}${offset === null ? '' : ` at byte ${offset}`}`)
      if (recorded !== null) output.line(`  - ${recorded}`)
      if (played !== null) output.line(`  + ${played}`)
    }
    if (differences.length > TOLD_MAX) output.line(`${port}: ${differences.length - TOLD_MAX} more`)
  }
  if (leftOut.length > 0) output.line(`not compared: ${leftOut.join(', ')}`)
  const verdict = isSame ? output.style('green', 'the same') : output.style('red', 'not the same')
  output.line(`${verdict}: ${seconds.toFixed(3)} s of ${ports.length} ports`)
}
