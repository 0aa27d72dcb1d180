/** Frames that once did harm, as text: `DEVICE PAUSE FIELDS HEX` a line (see Shot and FuzzFrame.format), `#` begins a comment. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Shot } from './fuzz-run.ts'

const FOLDER = path.join(import.meta.dirname, '../../../test/fuzz/regressions')

export function formatFixture(shots: readonly Shot[]): string {
  return shots.map(({ device, pause, line }) => `${device} ${pause} ${line}`).join('\n')
}

export function parseFixture(text: string): Shot[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [device, pause, ...rest] = line.split(' ')
    return { device, pause: Number(pause), line: rest.join(' ') }
  })
}

/** By name. */
export function fixtures(): [name: string, shots: Shot[]][] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))
  return names.sort().map((name) => [name, parseFixture(readFileSync(path.join(FOLDER, name), 'utf8'))])
}
