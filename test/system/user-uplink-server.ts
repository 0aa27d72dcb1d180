// What containers speak to in the tests of the user uplink. Prints `ready`, then a line for each thing that a test asks about.
import { createHash } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net, { type Socket } from 'node:net'

/** Ports of the services, TCP but for the last. */
export const Service = { digest: 8000, echo: 8001, source: 8002, reset: 8003, watch: 8004, cut: 8005, udp: 9000 } as const

export const SOURCE_BYTES = 8 << 20
/** What `cut` sends. */
export const CUT_BYTES = 1 << 20

const services: Record<number, (socket: Socket) => void> = {
  /** Answers the digest of all bytes when the client's half is closed. */
  [Service.digest]: (socket) => {
    const hash = createHash('sha256')
    socket.on('data', (data) => hash.update(data))
    socket.on('end', () => socket.end(hash.digest('hex')))
  },
  [Service.echo]: (socket) => socket.pipe(socket),
  [Service.source]: (socket) => socket.end(Buffer.alloc(SOURCE_BYTES, 'netloom')),
  /** Resets the connection, after an answer to `words`. */
  [Service.reset]: (socket) =>
    socket.once('data', (data) => {
      if (!String(data).startsWith('words')) return socket.resetAndDestroy()
      return socket.write('last words', () => socket.resetAndDestroy())
    }),
  /** Sends, and resets the connection as soon as all of it has been acknowledged. */
  [Service.cut]: (socket) => {
    const look = (): void => void (isAcknowledged(socket) ? socket.resetAndDestroy() : setTimeout(look, 1))
    socket.write(Buffer.alloc(CUT_BYTES, 'netloom'), look)
  },
  /** Tells how the connection ends. */
  [Service.watch]: (socket) => {
    socket.on('data', () => socket.write('heard'))
    socket.on('error', ({ code }: NodeJS.ErrnoException) => console.log(code))
    socket.on('end', () => socket.end())
    socket.on('close', (failed) => failed || console.log('closed'))
  }
}

if (import.meta.filename === process.argv[1]) {
  for (const [port, serve] of Object.entries(services)) {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      serve(socket)
    })
    await once(server.listen({ port: Number(port), host: '::', backlog: 2048 }), 'listening')
  }
  const udp = dgram.createSocket({ type: 'udp6', ipv6Only: false })
  udp.on('message', (data, { address, port }) => {
    udp.send(JSON.stringify({ address, port, length: data.length, digest: digestOf(data) }).padEnd(data.length), port, address)
  })
  await once(udp.bind(Service.udp, '::'), 'listening')
  console.log('ready')
}

/** Whether the kernel keeps nothing more of what was written: tx_queue of /proc/net/tcp6, behind the remote address and the state. */
function isAcknowledged({ localPort, remotePort }: Socket): boolean {
  const hex = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0')
  const line = new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} \\w\\w (\\w+):`)
  return Number.parseInt(line.exec(readFileSync('/proc/net/tcp6', 'utf8'))?.[1] ?? '0', 16) === 0
}

export function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
