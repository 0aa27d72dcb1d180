/**
 * The demo's `web`: an HTTP server on port 80. `/` says hello, `/bulk?bytes=N` sends N bytes of a known pattern.
 * Runs as a process of its own in a sandbox; prints one line when it listens.
 */
import { createServer, type ServerResponse } from 'node:http'
import { pattern } from './pattern.ts'

/** Sends `bytes` bytes as fast as the connection takes them. */
function sendBulk(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes })
  let left = bytes
  const more = (): void => {
    while (left > 0) {
      const chunk = left < pattern.length ? pattern.subarray(0, left) : pattern
      left -= chunk.length
      if (!response.write(chunk)) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  more()
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://web')
  if (url.pathname === '/bulk') sendBulk(response, Number(url.searchParams.get('bytes') ?? 0))
  else response.end('hello from web\n')
})
server.listen(80, () => console.log('listening'))
