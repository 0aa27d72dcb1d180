/**
 * Whether a host lives, asked of itself: a daemon listens at its `--cluster-advertise` address and tells its id to whoever connects.
 *
 * So a daemon that alone has lost the store is not taken for dead by the others, whose traffic with it goes on; one that was killed
 * refuses the connection, and a machine that is off does not answer in time.
 */
import net from 'node:net'
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterHost } from './cluster-records.ts'
import { patience } from './patience.ts'

/** For connection and answer together. */
export const PROBE_PATIENCE_MS = 1000
/** `netloom ID\n`; an answer that is longer is somebody else's. */
const MAX_ANSWER = 256

export class HostProbe {
  private readonly server: net.Server
  private readonly sockets: ReadonlySet<net.Socket>

  private constructor(server: net.Server, sockets: ReadonlySet<net.Socket>) {
    this.server = server
    this.sockets = sockets
  }

  /** `advertise`: `ADDRESS:PORT`. Rejects with ClusterError `invalid` when nobody can listen there. */
  static listen(advertise: string, id: string): Promise<HostProbe> {
    const { host, port } = readAdvertise(advertise)
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
      socket.end(`netloom ${id}\n`)
    })
    // Nobody has to wait for it at the daemon's end.
    server.unref()
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => reject(new ClusterError('invalid', `cannot listen at ${advertise}: ${cause.message}`, { cause })))
      server.listen(port, host, () => {
        server.on('error', () => {})
        resolve(new HostProbe(server, sockets))
      })
    })
  }

  /** Whoever asks and does not hang up is not waited for: his end of the connection stays open as long as he likes. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      for (const socket of this.sockets) socket.destroy()
    })
  }

  /** For `Cluster.join`: false when the host has told no address. */
  static asker(timers: Timers): (host: ClusterHost) => Promise<boolean> {
    return ({ id, advertise }) => (advertise === undefined ? Promise.resolve(false) : ask(advertise, id, timers))
  }
}

function ask(advertise: string, id: string, timers: Timers): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const finish = (isAlive: boolean): void => {
      cancel()
      socket.destroy()
      resolve(isAlive)
    }
    const socket = net.connect(readAdvertise(advertise))
    const cancel = patience(timers, PROBE_PATIENCE_MS, () => finish(false))
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      answer += text
      if (answer.length > MAX_ANSWER || answer.includes('\n')) finish(answer === `netloom ${id}\n`)
    })
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
  })
}

function readAdvertise(advertise: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(advertise)
  if (match === null) throw new ClusterError('invalid', `${advertise} is not ADDRESS:PORT`)
  return { host: match[1] ?? match[2], port: Number(match[3]) }
}
