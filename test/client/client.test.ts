import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { outputFrame } from '../../src/api/output-frame.ts'
import { Client } from '../../src/client/client.ts'
import { demultiplex } from '../../src/client/demultiplex.ts'
import { jsonLines } from '../../src/client/json-lines.ts'

async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

describe('demultiplex', () => {
  const stream = Buffer.concat([
    outputFrame(1, Buffer.from('out')),
    outputFrame(2, Buffer.alloc(0)),
    outputFrame(2, Buffer.from('error')),
    outputFrame(1, Buffer.from('end'))
  ])
  for (const length of [1, 3, 7, 8, 9, 1000]) {
    it(`in pieces of ${length}`, async () => {
      const found = { stdout: '', stderr: '' }
      for await (const { stream: name, data } of demultiplex(pieces(stream, length))) found[name] += data.toString()
      assert.deepEqual(found, { stdout: 'outend', stderr: 'error' })
    })
  }
  it('refuses what is no framing', async () => {
    await assert.rejects(
      async () => {
        for await (const _piece of demultiplex(pieces(Buffer.from('plain text, no frame'), 5)));
      },
      { name: 'ClientError', code: 'ERR_PROTOCOL' }
    )
  })
})

describe('json lines', () => {
  it('are read across pieces, also without a last line end and in the middle of a character', async () => {
    const values: unknown[] = []
    for await (const value of jsonLines(pieces(Buffer.from('{"a":"ü"}\r\n\n[1]\n"last"'), 2))) values.push(value)
    assert.deepEqual(values, [{ a: 'ü' }, [1], 'last'])
  })
})

describe('client', () => {
  let folder: string
  let server: ReturnType<typeof createServer>
  let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void
  let client: Client

  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-client-'))
    server = createServer(async (request, response) => answer(request, response, await text(request)))
    await new Promise<void>((resolve) => server.listen(path.join(folder, 'd.sock'), resolve))
    client = new Client(`unix://${folder}/d.sock`)
  })
  afterEach(() => {
    server.close()
    server.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })

  it('sends paths, queries and bodies as the API has them', async () => {
    const seen: string[] = []
    answer = (request, response, body) => {
      seen.push(`${request.method} ${decodeURIComponent(request.url!)} ${body}`)
      response.end('{"Id":"x"}')
    }
    await client.networks.create({ Name: 'front' })
    await client.networks.list({ name: ['a', 'b'], driver: [] })
    await client.networks.detach('front', 'guest')
    await client.containers.create({ Image: 'box' }, 'web')
    await client.containers.stop('a/b', { seconds: 0 })
    await client.images.tag('team/web:1', 'other', '2')
    assert.deepEqual(seen, [
      'POST /networks/create {"Name":"front"}',
      'GET /networks?filters={"name":{"a":true,"b":true}} ',
      'DELETE /netloom/attach {"network":"front","name":"guest"}',
      'POST /containers/create?name=web {"Image":"box"}',
      'POST /containers/a/b/stop?t=0 ',
      'POST /images/team/web:1/tag?repo=other&tag=2 '
    ])
  })

  it("an error has the daemon's words and status, whatever form it comes in", async () => {
    answer = (_request, response) => response.writeHead(404).end('{"message":"network x not found"}')
    await assert.rejects(client.networks.inspect('x'), {
      name: 'ClientError',
      code: 'ERR_DAEMON',
      status: 404,
      message: 'network x not found'
    })
    await assert.rejects(client.containers.attach('x', { stdin: true, stdout: true, stderr: true, stream: true }), { status: 404 })
    answer = (_request, response) => response.writeHead(500).end('oh\n')
    await assert.rejects(client.info(), { status: 500, message: 'oh' })
    answer = (_request, response) => response.end('no json')
    await assert.rejects(client.info(), { code: 'ERR_PROTOCOL' })
  })

  it('a refusal in the middle of a long body arrives', async () => {
    answer = () => assert.fail('the body was read')
    server.removeAllListeners('request')
    server.on('request', (_request, response) => response.writeHead(400).end('{"message":"no"}'))
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(65536)
    }
    await assert.rejects(
      async () => {
        for await (const _step of client.images.import(endless(), {}));
      },
      { status: 400, message: 'no' }
    )
  })

  it('takes a connection over, both ways, with bytes that came with the answer', async () => {
    server.on('upgrade', (_request, socket) => {
      socket.write(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly '
      )
      socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()))
      socket.on('end', () => socket.end(' bye'))
    })
    const { connection, isMultiplexed } = await client.containers.attach('web', { stdin: true, stdout: true, stderr: true, stream: true })
    assert.equal(isMultiplexed, false)
    connection.write('hello')
    const said = text(connection)
    await new Promise((resolve) => setImmediate(resolve))
    connection.end()
    assert.equal(await said, 'early HELLO bye')
  })

  it('a wait that is given up rejects nothing that is not looked at', async () => {
    answer = (_request, response) => response.writeHead(200).flushHeaders()
    const giveUp = new AbortController()
    const { ended } = await client.containers.wait('web', 'next-exit', giveUp.signal)
    giveUp.abort()
    await assert.rejects(ended)
  })

  it('says when there is no daemon', async () => {
    const nobody = new Client(`unix://${folder}/none.sock`)
    assert.equal(await nobody.ping(), false)
    await assert.rejects(nobody.info(), { code: 'ERR_NO_DAEMON', message: /Cannot connect to the netloom daemon at unix:\/\/.*none.sock/ })
    assert.throws(() => new Client('tcp://192.0.2.1:2375'), RangeError)
  })
})
