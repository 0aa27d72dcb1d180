/**
 * The demo's `client`: fetches a page by name, moves bytes, talks to the echo host by name. Runs as a process of its own in
 * a sandbox and prints one JSON object per line about what it has done: ClientLine.
 *
 *   node client.js FETCHES BYTES
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import { matchesPattern } from './pattern.ts'

export type ClientLine =
  | { readonly step: 'fetch'; readonly done: number }
  | { readonly step: 'bulk'; readonly bytes: number; readonly seconds: number }
  | { readonly step: 'echo'; readonly sent: number; readonly received: number }

const [fetches, bulkBytes] = process.argv.slice(2).map(Number)
const ECHO_DATAGRAMS = 10
/** For each: a machine may be busy with other things. */
const PATIENCE_MS = 20_000
/** Between two progress lines of the transfer, bytes. */
const REPORT_EVERY = 8 * 1024 * 1024

function say(line: ClientLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** A connection, and so a look-up of the name, for each request. */
function get(url: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get(url, { agent: false }, resolve).on('error', reject)
  })
}

async function fetchPages(): Promise<void> {
  for (let done = 1; done <= fetches; done++) {
    const response = await get('http://web/')
    let body = ''
    for await (const chunk of response.setEncoding('utf8')) body += chunk
    if (response.statusCode !== 200 || body !== 'hello from web\n') throw new Error(`http://web/ answered ${response.statusCode} '${body}'`)
    if (done % 10 === 0 || done === fetches) say({ step: 'fetch', done })
  }
}

async function moveBytes(): Promise<void> {
  const started = process.hrtime.bigint()
  const seconds = (): number => Number(process.hrtime.bigint() - started) / 1e9
  const response = await get(`http://web/bulk?bytes=${bulkBytes}`)
  let bytes = 0
  let reported = 0
  for await (const chunk of response) {
    if (!matchesPattern(chunk, bytes)) throw new Error(`the transfer is damaged within ${chunk.length} bytes after byte ${bytes}`)
    bytes += chunk.length
    if (bytes - reported >= REPORT_EVERY) {
      reported = bytes
      say({ step: 'bulk', bytes, seconds: seconds() })
    }
  }
  if (bytes !== bulkBytes) throw new Error(`the transfer ended after ${bytes} of ${bulkBytes} bytes`)
  say({ step: 'bulk', bytes, seconds: seconds() })
}

async function echo(): Promise<void> {
  const socket = dgram.createSocket('udp4')
  let received = 0
  for (let sent = 1; sent <= ECHO_DATAGRAMS; sent++) {
    socket.send(`echo ${sent}`, 7, 'echo')
    const [data] = await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })
    if (String(data) === `echo ${sent}`) received++
  }
  say({ step: 'echo', sent: ECHO_DATAGRAMS, received })
  socket.close()
}

await fetchPages()
await moveBytes()
await echo()
