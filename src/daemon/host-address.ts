/** Where a daemon listens, as Docker writes it: 'unix:///run/netloom/netloom.sock', 'tcp://192.0.2.1:2376'. */
export type HostAddress =
  | { readonly kind: 'unix'; readonly text: string; readonly path: string }
  | { readonly kind: 'tcp'; readonly text: string; readonly host: string; readonly port: number }

/** Docker's port for the API over TLS. */
const TLS_PORT = 2376

/** sun_path of unix(7), without its final zero. */
const LONGEST_SOCKET_PATH = 107

/** Throws RangeError. */
export function parseHost(text: string): HostAddress {
  if (text.startsWith('unix://')) {
    const path = text.slice('unix://'.length)
    if (!path.startsWith('/')) throw new RangeError(`${text}: the path of a unix socket begins with a slash: unix:///path`)
    if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
      throw new RangeError(
        `${text}: the path of a unix socket has at most ${LONGEST_SOCKET_PATH} bytes, this one ${Buffer.byteLength(path)}`
      )
    }
    return { kind: 'unix', text, path }
  }
  const match = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/[\]]*))(?::(\d+))?$/.exec(text)
  if (match === null) throw new RangeError(`${text}: neither unix:///path nor tcp://address:port`)
  const port = Number(match[3] ?? TLS_PORT)
  if (port > 65535) throw new RangeError(`${text}: there is no port ${port}`)
  return { kind: 'tcp', text, host: match[1] ?? match[2] ?? '', port }
}
