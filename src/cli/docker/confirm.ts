import { createInterface } from 'node:readline/promises'
import type { CliContext } from '../context.ts'

/** Asks on the terminal; anything but a yes is a no. */
export async function confirm(warning: string, context: CliContext): Promise<boolean> {
  context.stdout.write(`${warning}\nAre you sure you want to continue? [y/N] `)
  const lines = createInterface({ input: process.stdin })
  try {
    for await (const line of lines) return /^y(es)?$/i.test(line.trim())
    return false
  } finally {
    lines.close()
  }
}
