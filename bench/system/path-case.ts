/**
 * One way between two network namespaces, as the suite sees it: who carries the frames is up to the case.
 */
import { BenchNamespace } from './bench-namespace.ts'
import type { BenchProcess } from './bench-process.ts'

export const SUBNET = '192.0.2.0/24'
export const CLIENT_ADDRESS = '192.0.2.11'
export const SERVER_ADDRESS = '192.0.2.12'
const PREFIX_LENGTH = 24

export interface PathCase {
  /** Stands in tables and in JSON. */
  readonly name: string
  readonly title: string
  /** Why it cannot run here; null when it can. */
  missing(): string | null
  start(): Promise<RunningPath>
}

export interface RunningPath {
  readonly client: BenchNamespace
  readonly server: BenchNamespace
  /** Where the client reaches the server. */
  readonly address: string
  /** Processes that carry the frames; empty when the kernel does. */
  readonly forwarders: readonly BenchProcess[]
  /** False when echo requests do not reach the server: the path's own process answers them. */
  readonly ping: boolean
  /** Ends everything that the path has made. Returns what the path knows only now. */
  close(): Promise<PathEnd>
}

export interface PathEnd {
  /** Frames that the capture wrote and dropped; `inFile` is what a reader finds in it, null where it is too large to be read. */
  readonly captured?: { readonly frames: number; readonly dropped: number; readonly inFile: number | null }
}

/** Collects what a starting path has made, so that a failure half-way leaves nothing. */
export class PathParts {
  readonly namespaces: BenchNamespace[] = []
  readonly processes: BenchProcess[] = []
  readonly cleanups: (() => Promise<void> | void)[] = []

  async namespace(): Promise<BenchNamespace> {
    const namespace = await BenchNamespace.create()
    this.namespaces.push(namespace)
    return namespace
  }

  process(started: BenchProcess): BenchProcess {
    this.processes.push(started)
    return started
  }

  async close(): Promise<void> {
    for (const process of this.processes.reverse()) await process.stop()
    for (const cleanup of this.cleanups.reverse()) await cleanup()
    for (const namespace of this.namespaces) namespace.close()
  }
}

/** Builds a path; what `build` has made is removed when it fails. */
export async function buildPath(build: (parts: PathParts) => Promise<Omit<RunningPath, 'close'>>): Promise<RunningPath> {
  const parts = new PathParts()
  try {
    const path = await build(parts)
    return {
      ...path,
      close: async () => {
        await parts.close()
        return {}
      }
    }
  } catch (error) {
    await parts.close()
    throw error
  }
}

/** The common form: one device at each end, an address on each. */
export async function twoEnds(parts: PathParts): Promise<{ client: BenchNamespace; server: BenchNamespace }> {
  return { client: await parts.namespace(), server: await parts.namespace() }
}

export async function configureEnds(
  client: BenchNamespace,
  clientDevice: string,
  server: BenchNamespace,
  serverDevice: string
): Promise<void> {
  await client.configure(clientDevice, `${CLIENT_ADDRESS}/${PREFIX_LENGTH}`)
  await server.configure(serverDevice, `${SERVER_ADDRESS}/${PREFIX_LENGTH}`)
}
