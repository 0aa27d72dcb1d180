/**
 * Whether a port of the host can be listened on, found out by listening for a moment: somebody else may have it, or the host may
 * not have the address.
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** The error's code (EADDRINUSE, EADDRNOTAVAIL, EACCES), or undefined when it can. Protocols other than tcp and udp are not tried. */
export type PortProbe = (address: string, protocol: string, port: number) => Promise<string | undefined>

export const probeHostPort: PortProbe = (address, protocol, port) => {
  if (protocol === 'tcp') return probeTcp(address, port)
  return protocol === 'udp' ? probeUdp(address, port) : Promise.resolve(undefined)
}

function probeTcp(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EIO'))
    server.listen({ host: address, port, exclusive: true, ipv6Only: true }, () => server.close(() => resolve(undefined)))
  })
}

function probeUdp(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    // The option is refused (EINVAL) where it has no meaning.
    const socket = address.includes(':') ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4')
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close()
      resolve(error.code ?? 'EIO')
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(undefined)))
  })
}
