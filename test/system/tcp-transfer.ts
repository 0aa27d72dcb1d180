// Moves bytes between two namespaces over the kernel's own TCP: nothing that was lost, changed or reordered goes unnoticed.
import assert from 'node:assert/strict'
import type { TestNamespace } from './test-namespace.ts'

/** Enough for thousands of super-frames. */
const TRANSFER_BYTES = 24 * 1024 * 1024

const RECEIVER = `
  const hash = require('node:crypto').createHash('sha256')
  const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (data) => hash.update(data)).on('end', () => { socket.end(hash.digest('hex')); server.close() })
  })
  server.listen(8080, '::', () => console.log('listening'))`

const SENDER = `
  const hash = require('node:crypto').createHash('sha256')
  const socket = require('node:net').connect({ host: process.argv[1], port: 8080, allowHalfOpen: true })
  let left = Number(process.argv[2]), seed = 1
  const more = () => {
    while (left > 0) {
      const block = Buffer.alloc(Math.min(left, 65536))
      for (let i = 0; i < block.length; i += 4) block.writeInt32LE(seed = Math.imul(seed, 1664525) + 1013904223 | 0, i)
      hash.update(block)
      left -= block.length
      if (!socket.write(block)) return socket.once('drain', more)
    }
    socket.end()
  }
  socket.on('connect', more)
  let answer = ''
  socket.on('data', (data) => { answer += data })
  socket.on('end', () => process.exit(answer === hash.digest('hex') ? 0 : 3))`

/** Sends bytes over TCP that the receiver hashes: fails unless they arrive whole and in order. */
export async function transfer(from: TestNamespace, to: TestNamespace, address: string): Promise<void> {
  const receiver = to.start(process.execPath, '-e', RECEIVER)
  await new Promise((resolve) => receiver.stdout!.once('data', resolve))
  const ended = new Promise((resolve) => receiver.once('close', resolve))
  const sent = await from.exec(process.execPath, '-e', SENDER, address, String(TRANSFER_BYTES))
  assert.equal(sent.status, 0, `transfer to ${address}: ${sent.stderr}`)
  await ended
}
