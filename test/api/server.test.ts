// The HTTP side of the API over raw sockets: what a good client gets, and that no bad one ends or stalls the server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ApiError } from '../../src/api/api-error.ts'
import { Router } from '../../src/api/router.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { request, withServer } from './raw-client.ts'

const MIB = 1 << 20
const UPGRADE = { Connection: 'Upgrade', Upgrade: 'tcp' }

/** Told by the route /wait: when its client is gone. */
let whenGone: Promise<void> = Promise.resolve()

function router(): Router {
  const routes = new Router()
  routes.add('GET', '/hello', (_request, response) => response.text(200, 'hello'))
  routes.add('POST', '/json', async (request, response) => response.json(200, { got: await request.json() }))
  routes.add('POST', '/container', async (request, response) => response.json(200, await request.json({ status: 500, empty: 'EOF' })))
  routes.add('POST', '/raw', async (request, response) => {
    let length = 0
    for await (const chunk of request.body) length += (chunk as Buffer).length
    response.json(200, { length })
  })
  routes.add('POST', '/unread', (_request, response) => response.empty(204))
  routes.add('GET', '/things/{id}/json', ({ params, query }, response) => response.json(200, { id: params['id'], q: query.get('q') }))
  routes.add('GET', '/fail/{how}', ({ params }) => {
    if (params['how'] === 'known') throw ApiError.conflict('it is taken')
    if (params['how'] === 'network') throw new NetworkError('not-found', 'network x not found')
    if (params['how'] === 'text') throw 'a text'
    throw new TypeError('a defect')
  })
  routes.add('GET', '/silent', () => {})
  routes.add('GET', '/half', (_request, response) => {
    response.stream(200, 'text/plain').write('begun')
    throw new Error('in the middle')
  })
  routes.add('GET', '/wait', (request, response) => {
    whenGone = once(request.gone, 'abort').then(() => {})
    response.stream(200, 'text/plain').write('waiting\n')
    return whenGone
  })
  routes.add('GET', '/flood', async (request, response) => {
    const stream = response.stream(200, 'application/octet-stream')
    const block = Buffer.alloc(64 * 1024, 'x')
    let written = 0
    whenGone = once(request.gone, 'abort').then(() => {})
    while (!request.gone.aborted && written < 64 * MIB) {
      written += block.length
      if (!stream.write(block)) await Promise.race([once(stream, 'drain'), whenGone])
    }
    assert.ok(written < 64 * MIB, 'the client reads nothing, so most of it must not have been written')
  })
  routes.add('POST', '/echo', async (request, response) => {
    const body = await request.decodeOptional({ type: 'x', zero: () => null, read: (value) => value })
    const connection = await response.hijack()
    connection.write(`body ${JSON.stringify(body ?? null)}\n`)
    connection.on('error', () => {})
    connection.on('data', (data: Buffer) => connection.write(data))
    connection.on('end', () => connection.end('bye\n'))
  })
  return routes
}

/** What the kernel allows of a socket's backlog. */
const QUEUE = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))

test('a thousand clients may come before the server gets round to the first', { skip: QUEUE < 1000 && 'net.core.somaxconn is small' }, () =>
  withServer(router(), async (client) => {
    // In one turn of the loop that is the server's as well: all wait in its queue.
    const clients = Array.from({ length: 1000 }, () => client().write(request('GET', '/v1.41/hello')))
    for (const each of clients) await each.until(/hello$/)
  })
)

test('answers carry what Docker sends, and a connection is used again', () =>
  withServer(router(), async (client) => {
    const one = client().write(request('GET', '/v1.41/hello'))
    const text = await one.until(/hello$/)
    for (const line of ['HTTP/1.1 200 OK', 'Api-Version: 1.41', 'Docker-Experimental: false', 'Ostype: linux', 'Content-Length: 5']) {
      assert.ok(text.includes(`${line}\r\n`), line)
    }
    assert.match(text, /\r\nServer: Docker\/20\.10\.24\S* \(linux\)\r\n/)
    one.received = ''
    await one.write(request('POST', '/json', '{"a":[1]}')).until(/\{"got":\{"a":\[1\]\}\}\n$/)
  }))

test('pipelined requests are answered in order', () =>
  withServer(router(), async (client) => {
    const text = await client()
      .write(request('GET', '/things/1/json') + request('GET', '/nosuch') + request('GET', '/things/2/json?q=%C3%A4'))
      .until(/"q":"Ã¤"\}/)
    assert.match(text, /"id":"1".*404 Not Found.*page not found.*"id":"2"/s)
  }))

const STATUSES: readonly [what: string, sent: string, pattern: RegExp][] = [
  ['an unknown path', request('GET', '/nosuch'), /^HTTP\/1\.1 404 .*application\/json.*\{"message":"page not found"\}/s],
  ['another method', request('DELETE', '/hello'), /^HTTP\/1\.1 404 /],
  ['HEAD of a route of GET', request('HEAD', '/hello'), /^HTTP\/1\.1 404 /],
  ['a slash at the end', request('GET', '/hello/'), /^HTTP\/1\.1 404 /],
  ['a version that is too new', request('GET', '/v1.99/hello'), /^HTTP\/1\.1 400 .*too new\. Maximum supported API version is 1\.41"/s],
  ['a version that is too old', request('GET', '/v1.11/hello'), /^HTTP\/1\.1 400 .*text\/plain.*too old\. Minimum supported/s],
  ['the newest that is accepted', request('GET', '/v1.43/hello'), /^HTTP\/1\.1 200 /],
  ['one newer', request('GET', '/v1.44/hello'), /^HTTP\/1\.1 400 /],
  ['the oldest', request('GET', '/v1.12/hello'), /^HTTP\/1\.1 200 /],
  ['errors of old versions are text', request('GET', '/v1.22/fail/known'), /^HTTP\/1\.1 409 .*text\/plain.*\r\n\r\nit is taken\n$/s],
  ['no version at all', request('GET', '/v1.4x/hello'), /^HTTP\/1\.1 404 /],
  ['an id with slashes', request('GET', '/things/a/b%2Fc/json'), /"id":"a\/b\/c"/],
  ['an empty id', request('GET', '/things//json'), /^HTTP\/1\.1 301 .*Location: \/things\/json/s],
  ['a path that climbs', request('GET', '/things/../../etc/passwd?x=1'), /^HTTP\/1\.1 301 .*Location: \/etc\/passwd\?x=1/s],
  ['a path that climbs in disguise', request('GET', '/things/%2e%2e/hello'), /^HTTP\/1\.1 301 .*Location: \/hello/s],
  ['a percent sign without digits', request('GET', '/things/%zz/json'), /^HTTP\/1\.1 400 /],
  ['bytes that are no UTF-8', request('GET', '/things/%ff/json'), /^HTTP\/1\.1 400 /],
  ['an absolute target', request('GET', 'http://d/hello'), /^HTTP\/1\.1 200 /],
  ['a known error', request('GET', '/fail/known'), /^HTTP\/1\.1 409 .*\{"message":"it is taken"\}\n$/s],
  ['an error of the layers below', request('GET', '/fail/network'), /^HTTP\/1\.1 404 .*network x not found/s],
  ['a defect', request('GET', '/fail/defect'), /^HTTP\/1\.1 500 .*\{"message":"a defect"\}/s],
  ['a thrown text', request('GET', '/fail/text'), /^HTTP\/1\.1 500 .*\{"message":"a text"\}/s],
  ['a handler that does not answer', request('GET', '/silent'), /^HTTP\/1\.1 500 .*was not answered/s],
  ['no body', request('POST', '/json'), /^HTTP\/1\.1 400 .*got EOF while reading request body/s],
  ['no body, in the words of another route', request('POST', '/container', ''), /^HTTP\/1\.1 500 .*"EOF"/s],
  ['bad JSON', request('POST', '/json', '{'), /^HTTP\/1\.1 400 .*unexpected EOF/s],
  [
    'another content type',
    request('POST', '/json', '{}', { 'Content-Type': 'text/plain' }),
    /Content-Type specified \(text\/plain\) must be 'application\/json'/
  ],
  ['no content type', request('POST', '/json', '{}', { 'Content-Type': '' }), /Content-Type specified \(\) must be/],
  ['a charset', request('POST', '/json', '1', { 'Content-Type': 'Application/JSON; charset=utf-8' }), /"got":1/]
]
for (const [what, sent, pattern] of STATUSES) {
  test(what, () =>
    withServer(router(), async (client) => {
      const one = client().write(sent)
      // The client's end comes after the answer, as clients without keep-alive have it.
      one.socket.end()
      assert.match(await one.end(), pattern)
    })
  )
}

test('a JSON body of a MiB is read, a byte more is refused, and the connection goes on', () =>
  withServer(router(), async (client) => {
    const largest = `"${'x'.repeat(MIB - 2)}"`
    const one = client().write(request('POST', '/json', largest))
    await one.until(/"got":"x+"\}\n$/)
    one.received = ''
    await one.write(request('POST', '/json', `${largest} `)).until(/^HTTP\/1\.1 413 .*request body too large/s)
    await one.write(request('GET', '/hello')).until(/hello$/)
    // Without a length it shows only while it comes.
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const two = client().write('POST /json HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let index = 0; index < 20; index++) two.write(chunk)
    await two.write('0\r\n\r\n').until(/^HTTP\/1\.1 413 /)
    await two.write(request('GET', '/hello')).until(/hello$/)
  }))

test('a raw body has no limit, and one that nobody reads does not stop the connection', () =>
  withServer(router(), async (client) => {
    const body = 'x'.repeat(5 * MIB)
    const one = client().write(request('POST', '/raw', body))
    await one.until(new RegExp(`"length":${body.length}`))
    await one.write(request('POST', '/unread', body)).until(/HTTP\/1\.1 204 No Content/)
    await one.write(request('GET', '/hello')).until(/hello$/)
  }))

test('what is no HTTP is refused, and the server goes on', () =>
  withServer(router(), async (client) => {
    const bad = [
      '\0\0\0\0\r\n\r\n',
      'GET\r\n\r\n',
      'GET /hello HTTP/9.9\r\n\r\n',
      'GET /hello HTTP/1.1\r\n\r\n', // no Host
      'GET /hello HTTP/1.1\r\nHost: d\r\nBad Header: x\r\n\r\n',
      'POST /json HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n',
      'POST /json HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'POST /json HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n',
      'POST /json HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      `GET /${'x'.repeat(300 * 1024)} HTTP/1.1\r\nHost: d\r\n\r\n`,
      `GET /hello HTTP/1.1\r\nHost: d\r\nX: ${'x'.repeat(300 * 1024)}\r\n\r\n`,
      'GET nowhere HTTP/1.1\r\nHost: d\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' // the beginning of TLS
    ]
    for (const sent of bad)
      assert.match(await client().write(Buffer.from(sent, 'latin1')).end(), /^(HTTP\/1\.1 4\d\d |$)/, JSON.stringify(sent.slice(0, 60)))
    // Clients that leave in the middle of everything.
    const whole = request('POST', '/json', '{"a":"0123456789"}')
    for (let cut = 1; cut < whole.length; cut += 7) {
      const one = client().write(whole.slice(0, cut))
      await once(one.socket, 'connect')
      one.close()
    }
    await client()
      .write(request('GET', '/hello'))
      .until(/hello$/)
  }))

test('a client that has sent all and ended its direction gets the answer', () =>
  withServer(router(), async (client) => {
    const one = client()
    one.socket.end(request('POST', '/json', '{"half":"closed"}'))
    assert.match(await one.end(), /"half":"closed"/)
  }))

test('a body that ends early is answered', () =>
  withServer(router(), async (client) => {
    const one = client()
    one.socket.end(request('POST', '/json', '{}', { 'Content-Length': '100' }))
    assert.match(await one.end(), /^HTTP\/1\.1 400 /)
  }))

test('bytes that come one by one are a request like others', () =>
  withServer(router(), async (client) => {
    const one = client()
    for (const char of request('POST', '/json', '{"slow":true}')) {
      one.write(char)
      await new Promise(setImmediate)
    }
    await one.until(/"slow":true/)
  }))

test('a handler hears that its client is gone, whichever way it goes', () =>
  withServer(router(), async (client) => {
    const closed = client().write(request('GET', '/wait'))
    await closed.until(/waiting/)
    closed.close()
    await whenGone
    const ended = client().write(request('GET', '/wait'))
    await ended.until(/waiting/)
    ended.socket.end()
    await whenGone
  }))

test('a client that reads nothing holds the writer, not the memory', () =>
  withServer(router(), async (client, logged) => {
    const one = client().write(request('GET', '/flood'))
    one.socket.pause()
    await once(one.socket, 'connect')
    const other = client()
    // Meanwhile others are served.
    for (let index = 0; index < 50; index++) {
      other.received = ''
      await other.write(request('GET', '/hello')).until(/hello$/)
    }
    one.close()
    await whenGone
    await other.write(request('GET', '/nosuch')).until(/page not found/)
    assert.doesNotMatch(logged(), /request failed/)
  }))

test('an error after the beginning of an answer ends the connection, so that it is not taken for whole', () =>
  withServer(router(), async (client, logged) => {
    assert.doesNotMatch(await client().write(request('GET', '/half')).end(), /\r\n0\r\n\r\n$/)
    assert.match(logged(), /request failed.*in the middle/)
  }))

test('an upgrade: 101, bytes both ways, half-close', () =>
  withServer(router(), async (client) => {
    const one = client()
    // The first bytes of the stream ride with the request.
    one.write(`${request('POST', '/v1.41/echo', '{"Tty":true}', UPGRADE)}first\n`)
    const head = 'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'
    assert.equal(await one.until(/first\n$/), `${head}body {"Tty":true}\nfirst\n`)
    one.write('second\n')
    await one.until(/second\n$/)
    one.socket.end('last\n')
    assert.match(await one.end(), /last\nbye\n$/)
  }))

test('an upgrade whose body comes in pieces', () =>
  withServer(router(), async (client) => {
    const whole = `${request('POST', '/echo', '{"a":"0123456789"}', UPGRADE)}x`
    const one = client()
    for (const char of whole) {
      one.write(char)
      await new Promise(setImmediate)
    }
    await one.until(/body \{"a":"0123456789"\}\nx$/)
  }))

test('without an upgrade: a raw stream until the end of the connection', () =>
  withServer(router(), async (client) => {
    const one = client().write(request('POST', '/echo', '{}'))
    await one.until(/body \{\}\n$/)
    one.socket.end()
    const text = await one.end()
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(text, /Content-Type: application\/vnd\.docker\.raw-stream\r\n/)
    assert.doesNotMatch(text, /Transfer-Encoding/i)
    assert.match(text, /\r\n\r\nbody \{\}\nbye\n$/)
  }))

test('errors of an upgrade are ordinary answers', () =>
  withServer(router(), async (client) => {
    const cases: [sent: string, pattern: RegExp][] = [
      [request('POST', '/nosuch', '{}', UPGRADE), /^HTTP\/1\.1 404 .*page not found/s],
      [request('POST', '/echo', '{', UPGRADE), /^HTTP\/1\.1 400 .*unexpected EOF/s],
      [request('GET', '/hello', undefined, UPGRADE), /^HTTP\/1\.1 200 .*hello$/s],
      [request('POST', '/echo', undefined, { ...UPGRADE, 'Content-Length': String(MIB + 1) }), /^HTTP\/1\.1 413 /],
      [request('POST', '/echo', undefined, { ...UPGRADE, 'Transfer-Encoding': 'chunked' }), /^HTTP\/1\.1 411 /]
    ]
    for (const [sent, pattern] of cases) assert.match(await client().write(sent).end(), pattern)
    // One that leaves before its body is there.
    const leaving = client()
    leaving.socket.end(request('POST', '/echo', '{}', { ...UPGRADE, 'Content-Length': '50' }))
    assert.match(await leaving.end(), /^HTTP\/1\.1 400 /)
    await client()
      .write(request('GET', '/hello'))
      .until(/hello$/)
  }))

test('the end of the server ends its connections, taken over or not', async () => {
  let streams: Promise<string>[] = []
  await withServer(router(), async (client) => {
    const [one, two, three] = [client(), client(), client()]
    await one!.write(request('GET', '/wait')).until(/waiting/)
    await two!.write(request('POST', '/echo', '{}', UPGRADE)).until(/body/)
    await three!.write(request('GET', '/hello')).until(/hello/)
    streams = [one!, two!, three!].map((each) => each.end())
    setImmediate(() => {})
  })
  await Promise.all(streams)
})

test('the end of the server waits for what is being done', async () => {
  const routes = new Router()
  const steps: string[] = []
  let finish: () => void = () => {}
  routes.add('POST', '/slow', async (_request, response) => {
    steps.push('begun')
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    steps.push('done')
    response.empty(204)
  })
  await withServer(routes, async (client) => {
    const one = client().write(request('POST', '/slow'))
    while (steps.length === 0) await new Promise(setImmediate)
    // Only when the connection is gone.
    void one.end().then(() => finish())
  })
  assert.deepEqual(steps, ['begun', 'done'])
})

test('a hundred requests on one connection, none of which waits for an answer', () =>
  withServer(router(), async (client) => {
    const warnings: Error[] = []
    const hear = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', hear)
    const one = client()
    for (let index = 0; index < 100; index++) one.write(request('GET', `/things/${index}/json`))
    await one.until(/"id":"99"/)
    await new Promise(setImmediate)
    process.removeListener('warning', hear)
    assert.deepEqual(warnings, [])
  }))

test('every answer is one line of the log at debug level', () =>
  withServer(router(), async (client, logged) => {
    const one = client().write(request('GET', '/things/x/json?q=a b'.replace(' ', '%20')))
    await one.until(/"q":"a b"/)
    await new Promise(setImmediate)
    assert.match(logged(), /^time=\S+Z level=debug msg=request method=GET url="\/things\/x\/json\?q=a%20b" status=200 ms=[\d.]+\n$/)
  }))
