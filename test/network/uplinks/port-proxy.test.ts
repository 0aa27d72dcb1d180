// The proxies of published ports, between sockets of this process.
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, test } from 'node:test'
import type { Timers } from '../../../src/engine/clock.ts'
import type { UplinkPort } from '../../../src/network/uplink.ts'
import { PortListeners } from '../../../src/network/uplinks/host/port-listeners.ts'
import { openTcpProxy } from '../../../src/network/uplinks/host/tcp-proxy.ts'
import { openUdpProxy } from '../../../src/network/uplinks/host/udp-proxy.ts'

const published = (protocol: 'tcp' | 'udp', targetPort: number): UplinkPort => ({
  key: 'k',
  protocol,
  address: '127.0.0.1',
  port: 0,
  target: '127.0.0.1',
  targetPort,
  network: 'n'
})
const still: Timers = { after: () => () => {} }

describe('port proxy', () => {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const action of undo.splice(0).reverse()) await action()
  })

  /** A target, and a proxy before it; each connection to the target goes to `accept`. */
  const tcp = async (accept: (socket: net.Socket) => void): Promise<{ port: number; connect: () => Promise<net.Socket> }> => {
    const accepted = (socket: net.Socket): void => {
      socket.on('error', () => {}) // the end of a test resets what is open
      accept(socket)
    }
    const target = net.createServer({ allowHalfOpen: true }, accepted).listen(0, '127.0.0.1')
    undo.push(() => target.close())
    await once(target, 'listening')
    const proxy = await openTcpProxy(published('tcp', (target.address() as net.AddressInfo).port))
    undo.push(() => proxy.close())
    const connect = async (): Promise<net.Socket> => {
      const client = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
      undo.push(() => client.destroy())
      await once(client, 'connect')
      return client
    }
    return { port: proxy.port, connect }
  }
  const textOf = async (socket: net.Socket): Promise<string> => {
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    await once(socket, 'end') // iterating would close the other direction, too
    return text
  }

  test('TCP: an end of one direction is passed on, and the other goes on', async () => {
    const { connect } = await tcp(async (socket) => {
      const asked = await textOf(socket) // ends only when the client's end came through
      socket.end(`answer to ${asked}`)
    })
    const client = await connect()
    client.end('question')
    assert.equal(await textOf(client), 'answer to question')

    const { connect: other } = await tcp((socket) => {
      socket.end('greeting')
      socket.on('data', (data) => socket.emit('heard', String(data)))
      heard.push(once(socket, 'heard'))
    })
    const heard: Promise<unknown[]>[] = []
    const patient = await other()
    assert.equal(await textOf(patient), 'greeting')
    patient.write('still here')
    assert.deepEqual(await heard[0], ['still here'])
  })

  test('TCP: a reset on either side resets the other', async () => {
    const sockets: net.Socket[] = []
    const { connect } = await tcp((socket) => {
      sockets.push(socket)
      socket.write('ready')
    })
    const first = await connect()
    await once(first, 'data')
    sockets[0].resetAndDestroy()
    assert.equal(((await once(first, 'error')) as NodeJS.ErrnoException[])[0].code, 'ECONNRESET')

    const second = await connect()
    await once(second, 'data')
    second.resetAndDestroy()
    assert.equal(((await once(sockets[1], 'error')) as NodeJS.ErrnoException[])[0].code, 'ECONNRESET')
  })

  test('TCP: megabytes in both directions, at the pace of the slower', async () => {
    const { connect } = await tcp((socket) => socket.pipe(socket))
    const client = await connect()
    const sent = Buffer.alloc(8 << 20, 'netloom ')
    client.end(sent)
    const parts: Buffer[] = []
    for await (const data of client) parts.push(data)
    assert.ok(Buffer.concat(parts).equals(sent))
  })

  test('TCP: where nobody listens at the target the client is closed', async () => {
    const { port } = await tcp(() => {})
    const proxy = await openTcpProxy(published('tcp', port))
    undo.push(() => proxy.close())
    await undo.splice(1, 1)[0]() // the first proxy, which was the second one's target
    const client = net.connect({ port: proxy.port, host: '127.0.0.1' })
    assert.equal(await textOf(client), '')
  })

  test('TCP: closing frees the port and resets what runs', async () => {
    const { connect, port } = await tcp((socket) => socket.write('ready'))
    const client = await connect()
    await once(client, 'data')
    const reset = once(client, 'error')
    await undo.splice(1, 1)[0]()
    assert.equal(((await reset) as NodeJS.ErrnoException[])[0].code, 'ECONNRESET')
    const again = net.createServer().listen(port, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })

  const udp = async (timers: Timers = still) => {
    const target = dgram.createSocket('udp4')
    target.bind(0, '127.0.0.1')
    await once(target, 'listening')
    undo.push(() => target.close())
    const proxy = await openUdpProxy(published('udp', target.address().port), timers)
    undo.push(() => proxy.close())
    const client = (): dgram.Socket => {
      const socket = dgram.createSocket('udp4')
      undo.push(() => socket.close())
      return socket
    }
    return { target, port: proxy.port, client }
  }

  test('UDP: each client has its own way, and answers find back', async () => {
    const { target, port, client } = await udp()
    target.on('message', (data, from) => target.send(`${data} from ${from.port}`, from.port, from.address))
    const ask = async (socket: dgram.Socket, text: string): Promise<string> => {
      socket.send(text, port, '127.0.0.1')
      return String((await once(socket, 'message'))[0])
    }
    const [one, other] = [client(), client()]
    const first = await ask(one, 'a')
    assert.match(first, /^a from \d+$/)
    assert.equal(await ask(one, 'a'), first, 'the same way as before')
    assert.notEqual(await ask(other, 'a'), first)
    assert.equal(await ask(one, ''), first.slice(1), 'an empty datagram is one too')
  })

  test('UDP: a way that was idle for the whole of a period ends; one that was used stays', async () => {
    const periods: (() => void)[] = []
    const timers: Timers = {
      after: (ms, fire) => {
        assert.equal(ms, 90_000)
        periods.push(fire)
        return () => {}
      }
    }
    const { target, port, client } = await udp(timers)
    const from: number[] = []
    target.on('message', (_, { port: source }) => from.push(source))
    const ask = async (socket: dgram.Socket): Promise<void> => {
      socket.send('x', port, '127.0.0.1')
      await once(target, 'message')
    }
    const [idle, busy] = [client(), client()]
    await ask(idle)
    await ask(busy)
    periods[0]()
    await ask(busy)
    periods[1]()
    // Its port is free again; held, so that no other way gets it by chance.
    const holder = dgram.createSocket('udp4')
    undo.push(() => holder.close())
    holder.bind(from[0], '127.0.0.1')
    await once(holder, 'listening')
    await ask(busy)
    await ask(idle)
    assert.equal(from[1], from[2])
    assert.equal(from[2], from[3], 'the busy one kept its way')
    assert.notEqual(from[4], from[0], 'the idle one got another')
  })

  test('UDP: a target that cannot be connected costs its datagrams, and a client at port 0 its answers', {
    timeout: 120_000
  }, async (t) => {
    const { target, port, client } = await udp()
    const sockets = t.mock.method(dgram, 'createSocket').mock
    // Without SO_BROADCAST the kernel refuses: EACCES, before anything is sent.
    const proxy = await openUdpProxy({ ...published('udp', 9), target: '255.255.255.255' }, still)
    undo.push(() => proxy.close())
    const server = sockets.calls[0].result as dgram.Socket
    const socket = client()
    for (const text of ['one', 'two']) {
      const before = sockets.callCount()
      const closed = new Promise((resolve) => {
        server.once('message', () => (sockets.calls.at(-1)!.result as dgram.Socket).once('close', resolve))
      })
      socket.send(text, proxy.port, '127.0.0.1')
      await closed
      assert.equal(sockets.callCount(), before + 1, `'${text}' makes a way of its own: the last one has ended`)
    }

    // The kernel hands over what claims to come from port 0; the socket that would answer throws ERR_SOCKET_BAD_PORT.
    const other = await openUdpProxy(published('udp', target.address().port), still)
    undo.push(() => other.close())
    assert.notEqual(other.port, port)
    const asked = once(target, 'message')
    const listener = sockets.calls.at(-1)!.result as dgram.Socket
    listener.emit('message', Buffer.from('question'), { address: '127.0.0.1', port: 0 })
    const [, from] = await asked
    const answered = once(sockets.calls.at(-1)!.result as dgram.Socket, 'message')
    target.send('answer', from.port, from.address)
    await answered
  })

  test('UDP: a target where nobody listens, and one that comes later', async () => {
    const { target, port, client } = await udp()
    const { port: targetPort } = target.address()
    const socket = client()
    await new Promise<void>((resolve) => {
      undo.splice(0, 1)
      target.close(() => resolve())
    })
    socket.send('lost', port, '127.0.0.1')
    socket.send('lost too', port, '127.0.0.1')
    const later = dgram.createSocket('udp4')
    undo.push(() => later.close())
    later.bind(targetPort, '127.0.0.1')
    await once(later, 'listening')
    const came = once(later, 'message')
    // The refusal of those before may take the place of one.
    let arrived = false
    came.then(() => {
      arrived = true
    })
    while (!arrived) {
      socket.send('found', port, '127.0.0.1')
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.match(String((await came)[0]), /found|lost/)
  })

  test('all ports or none', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1')
    undo.push(() => taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as net.AddressInfo
    const listeners = new PortListeners(still)
    const free = { ...published('tcp', 1), key: 'free' }
    await assert.rejects(listeners.open([free, { ...free, key: 'taken', port }]), { name: 'UplinkPortError', errno: 'EADDRINUSE' })
    await listeners.open([free])
    await listeners.close(['taken', 'unknown'])
    await listeners.close()
  })
})
