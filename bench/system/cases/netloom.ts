import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { readCapture } from '../../../src/capture/read-capture.ts'
import { tryLoadNative } from '../../../src/io/load-native.ts'
import { BenchProcess } from '../bench-process.ts'
import { type PathCase, type PathEnd, PathParts, type RunningPath, SERVER_ADDRESS, twoEnds } from '../path-case.ts'

const PROGRAM = fileURLToPath(new URL('../netloom-path.js', import.meta.url))

/** What the program prints at its end. */
interface Report {
  readonly capture: { readonly frames: number; readonly dropped: number } | null
}

async function start(snapLength: number | null): Promise<RunningPath> {
  const parts = new PathParts()
  try {
    const { client, server } = await twoEnds(parts)
    const argv = [process.execPath, PROGRAM, client.path, server.path]
    let file: string | null = null
    if (snapLength !== null) {
      const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
      parts.cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
      file = path.join(folder, 'capture.pcapng')
      argv.push(file, String(snapLength))
    }
    const netloom = parts.process(new BenchProcess(argv))
    await netloom.until('line "ready"', () => netloom.stdout.includes('ready'))
    const close = async (): Promise<PathEnd> => {
      netloom.child.stdin!.end()
      try {
        const { capture } = JSON.parse((await netloom.finish(120)).trim().split('\n').at(-1)!) as Report
        if (file === null || capture === null) return {}
        return { captured: { frames: capture.frames, dropped: capture.dropped, inFile: countFrames(file) } }
      } finally {
        await parts.close()
      }
    }
    return { client, server, address: SERVER_ADDRESS, forwarders: [netloom], ping: true, close }
  } catch (error) {
    await parts.close()
    throw error
  }
}

/** Files up to this size are read back; of larger ones the writer's own count stands. */
const READ_BACK_BYTES = 512 << 20

function countFrames(file: string): number | null {
  if (statSync(file).size > READ_BACK_BYTES) return null
  let count = 0
  for (const _ of readCapture(file)) count++
  return count
}

function netloomCase(name: string, title: string, snapLength: number | null): PathCase {
  return { name, title, missing: () => (tryLoadNative() === null ? 'the addon is not built' : null), start: () => start(snapLength) }
}

/** What a user of the library gets: a Lab in real time, two attached namespaces on one network. */
export const netloom = netloomCase('netloom', 'netloom, TAP to TAP', null)
export const netloomCapture128 = netloomCase('netloom-capture-128', 'netloom, capturing 128 bytes of each frame', 128)
/** Super-frames of 64 KiB are kept whole. */
export const netloomCaptureFull = netloomCase('netloom-capture-full', 'netloom, capturing frames whole', 262_144)
