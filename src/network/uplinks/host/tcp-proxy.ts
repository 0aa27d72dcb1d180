import net from 'node:net'
import type { UplinkPort } from '../../uplink.ts'

/** A proxy that holds a port. */
export interface PortProxy {
  /** The one that it holds: where 0 was asked for, the system's choice. */
  readonly port: number
  /** Ends what runs through it, too. Resolves when the port is free. */
  close(): Promise<void>
}

/** What both ends of a proxied connection are: small writes go at once, dead peers are found, each direction ends alone. */
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, allowHalfOpen: true } as const

/**
 * Listens on the published address and joins each connection with one to the target, byte for byte: an end of one direction (FIN) is
 * passed on and the other goes on; a reset, or an error of one side, resets the other. Where the target takes no connection, the client's
 * is closed, as Docker's proxy does. Rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES).
 */
export function openTcpProxy({ address, port, target, targetPort }: UplinkPort): Promise<PortProxy> {
  const open = new Set<net.Socket>()
  const server = net.createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (client) => {
    const backend = net.connect({ host: target, port: targetPort, ...SOCKET_OPTIONS })
    for (const socket of [client, backend]) {
      open.add(socket)
      socket.on('close', () => open.delete(socket))
    }
    const refused = (): void => void client.destroy()
    backend.once('error', refused)
    // The client may give up before the target has answered.
    client.on('error', () => backend.resetAndDestroy())
    backend.once('connect', () => {
      backend.off('error', refused)
      backend.on('error', () => client.resetAndDestroy())
      client.pipe(backend)
      backend.pipe(client)
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port, ipv6Only: true }, () => {
      server.off('error', reject)
      server.on('error', () => {}) // a connection that could not be accepted: out of descriptors; the next one may be
      resolve({
        port: (server.address() as net.AddressInfo).port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            for (const socket of open) socket.resetAndDestroy()
          })
      })
    })
  })
}
