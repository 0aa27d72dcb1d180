/** The passive TCP against segments made by hand: a probe plays the client, wire's emitTcp and parseTcp are the codec. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Element, ElementContext, ElementType } from '../../src/engine/element.ts'
import { READ_OK, readPacket } from '../../src/stack/ip-packet.ts'
import type { TcpConnection } from '../../src/stack/tcp-connection.ts'
import { TcpResponder, type TcpResponderOptions } from '../../src/stack/tcp-responder.ts'
import { PacketView } from '../../src/wire/packet-view.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { Client, START } from './tcp-client.ts'
import { VirtualLab } from './virtual-lab.ts'

const { syn: SYN, ack: ACK, fin: FIN, rst: RST, psh: PSH } = TcpFlag
const SEGMENT = 1460

/** Echoes what comes, unless told to answer something else; ends when the client does. */
class EchoServer implements Element {
  readonly tcp: TcpResponder
  readonly received: number[] = []
  closed = 0
  /** Sent instead of an echo. */
  answer: Uint8Array | null = null
  private readonly context: ElementContext
  private readonly packet = new PacketView()

  constructor(context: ElementContext, options: TcpResponderOptions) {
    this.context = context
    const server = {
      data: (connection: TcpConnection, bytes: Uint8Array, at: number, length: number): void => {
        this.received.push(...bytes.subarray(at, at + length))
        this.tcp.send(connection, this.answer ?? bytes.slice(at, at + length))
      },
      ended: (connection: TcpConnection): void => this.tcp.end(connection),
      closed: (): void => {
        this.closed++
      }
    }
    this.tcp = new TcpResponder(context, (port, frame) => context.transmit(port, frame), server, options)
  }

  push(): void {
    while (this.context.nextReady() >= 0) {
      const { rx } = this.context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        assert.equal(readPacket(this.packet, this.context.frames, frame), READ_OK)
        this.tcp.receive(frame, this.packet, 0)
      }
    }
  }

  close(): void {
    this.tcp.close()
  }
}

function lab(options: Partial<TcpResponderOptions> = {}): { net: VirtualLab; server: EchoServer; client: Client } {
  let server: EchoServer | null = null
  const type: ElementType = {
    type: 'echo-server',
    maxPorts: 1,
    counters: [],
    create: (context) => {
      server = new EchoServer(context, { port: 53, ...options })
      return server
    }
  }
  const net = new VirtualLab(
    { elements: { server: { type: 'echo-server' }, client: { type: 'probe' } }, links: [{ a: ['server', 0], b: ['client', 0] }] },
    [type as ElementType<never>]
  )
  return { net, server: server!, client: new Client(net) }
}

function ends(net: VirtualLab): void {
  net.engine.close()
  assert.equal(net.engine.frames.inUse, 0)
}

test('open, exchange, close from the client', () => {
  const { net, server, client } = lab()
  const answer = client.connect()
  assert.deepEqual(answer.options, { maxSegmentSize: SEGMENT })
  client.write('hello')
  const [echo, ...rest] = client.take()
  assert.deepEqual(rest, []) // the data carries the acknowledgment
  assert.deepEqual([echo.flags, echo.acknowledgment, Buffer.from(echo.payload).toString()], [ACK | PSH, client.next, 'hello'])
  client.expected = (client.expected + 5) >>> 0
  client.write(' there, a wrap later', ACK)
  assert.equal(client.read(), ' there, a wrap later')
  client.send(ACK)
  client.write('', FIN | ACK)
  const [end, ...none] = client.take()
  assert.deepEqual(none, [])
  assert.deepEqual([end.flags, end.sequence, end.acknowledgment], [FIN | ACK, client.expected, client.next])
  client.expected = (client.expected + 1) >>> 0
  client.send(ACK)
  assert.deepEqual(client.take(), [])
  assert.equal(server.tcp.size, 0)
  assert.equal(server.closed, 1)
  ends(net)
})

describe('order and loss', () => {
  test('repeated, overlapping and early segments', () => {
    const { net, server, client } = lab()
    client.connect()
    client.send(ACK, { sequence: client.next + 3, payload: Buffer.from('late') })
    assert.deepEqual(
      client.take().map(({ flags, acknowledgment }) => [flags, acknowledgment]),
      [[ACK, client.next]]
    )
    client.write('abc')
    assert.equal(client.read(), 'abc')
    client.send(ACK, { sequence: client.next - 3, payload: Buffer.from('abc') })
    assert.deepEqual(
      client.take().map(({ flags, acknowledgment }) => [flags, acknowledgment]),
      [[ACK, client.next]]
    )
    client.send(ACK, { sequence: client.next - 3, payload: Buffer.from('abcdef') })
    client.next = (client.next + 3) >>> 0
    assert.equal(client.read(), 'def')
    assert.equal(Buffer.from(server.received).toString(), 'abcdef')
    ends(net)
  })

  test('what is not acknowledged is sent again, ever more slowly, then the connection is reset', () => {
    const { net, server, client } = lab({ idleNs: 1e15 })
    client.connect()
    client.write('x')
    const first = client.take()[0]
    const times: number[] = []
    const begin = net.clock.now()
    for (let i = 0; i < 200 && server.tcp.size > 0; i++) {
      net.run(1000)
      for (const segment of client.take()) {
        times.push((net.clock.now() - begin) / 1e9)
        if (server.tcp.size > 0) assert.deepEqual([segment.sequence, segment.payload], [first.sequence, first.payload])
        else assert.equal(segment.flags, RST | ACK)
      }
    }
    assert.deepEqual(times, [1, 3, 7, 15, 31, 47, 63])
    assert.equal(server.closed, 1)
    ends(net)
  })

  test('three repeated acknowledgments bring the missing segment at once', () => {
    const { net, server, client } = lab()
    server.answer = new Uint8Array(5 * SEGMENT).fill(7)
    client.connect()
    client.write('x')
    assert.equal(client.take().length, 5)
    for (let i = 0; i < 3; i++) client.send(ACK)
    const again = client.take()
    assert.deepEqual(
      again.map(({ sequence, payload }) => [sequence, payload.length]),
      [[client.expected, SEGMENT]]
    )
    ends(net)
  })

  test('the SYN again brings the answer again', () => {
    const { net, server, client } = lab()
    client.send(SYN, { acknowledgment: 0 })
    const [first] = client.take()
    client.send(SYN, { acknowledgment: 0 })
    net.run(1000)
    const again = client.take()
    assert.deepEqual(
      again.map(({ flags, sequence }) => [flags, sequence]),
      [
        [SYN | ACK, first.sequence],
        [SYN | ACK, first.sequence]
      ]
    )
    assert.equal(server.tcp.size, 1)
    ends(net)
  })
})

describe('sizes', () => {
  for (const [name, options, expected] of [
    ['the segment size that the client names', { maxSegmentSize: 500 }, 500],
    ['536 when it names none', {}, 536],
    ['never above our MTU', { maxSegmentSize: 9000 }, SEGMENT],
    ['never absurdly small', { maxSegmentSize: 1 }, 64]
  ] as const) {
    test(name, () => {
      const { net, server, client } = lab()
      server.answer = new Uint8Array(4 * SEGMENT)
      client.connect(options)
      client.write('x')
      assert.equal(client.take()[0].payload.length, expected)
      ends(net)
    })
  }

  test('a long answer keeps to the window, and comes whole', () => {
    const { net, server, client } = lab()
    server.answer = Uint8Array.from({ length: 100_000 }, (_, i) => i * 31)
    client.connect(undefined, 5000)
    client.write('x')
    client.next >>>= 0
    const got: number[] = []
    for (let round = 0; round < 200 && got.length < 100_000; round++) {
      const segments = client.take()
      assert.ok(segments.reduce((sum, { payload }) => sum + payload.length, 0) <= Math.max(5000, 65535))
      for (const { sequence, payload } of segments) {
        if (sequence !== client.expected) continue
        got.push(...payload)
        client.expected = (client.expected + payload.length) >>> 0
      }
      client.send(ACK, { window: 5000 })
    }
    assert.deepEqual(Buffer.from(got), Buffer.from(server.answer))
    ends(net)
  })

  test('a closed window is probed, and opens again', () => {
    const { net, server, client } = lab()
    client.connect(undefined, 0)
    client.send(ACK | PSH, { payload: Buffer.from('hello'), window: 0 })
    client.next = (client.next + 5) >>> 0
    assert.equal(client.read(), '')
    net.run(1000)
    assert.equal(client.read(), 'h')
    client.send(ACK, { window: 100 })
    assert.equal(client.read(), 'ello')
    assert.equal(server.tcp.size, 1)
    ends(net)
  })

  test('a client that never reads is reset', () => {
    const { net, server, client } = lab()
    server.answer = new Uint8Array(100_000)
    client.connect(undefined, 0)
    for (let i = 0; i < 3; i++) client.send(ACK | PSH, { payload: Buffer.from('x'), window: 0, sequence: (client.next + i) >>> 0 })
    assert.equal(client.take().at(-1)?.flags, RST | ACK)
    assert.equal(server.tcp.size, 0)
    ends(net)
  })
})

describe('refusals', () => {
  test('segments of no connection are reset, resets are not', () => {
    const { net, client } = lab()
    client.expected = 1000
    for (const [flags, change, expected] of [
      [ACK, {}, [RST, 1000, 0]],
      [FIN | ACK, {}, [RST, 1000, 0]],
      [SYN | ACK, {}, [RST, 1000, 0]],
      [SYN, { destinationPort: 54 }, [RST | ACK, 0, START + 1]],
      [PSH, { payload: new Uint8Array(7) }, [RST | ACK, 0, START + 7]],
      [RST, {}, null],
      [RST | ACK, {}, null]
    ] as const) {
      client.send(flags, change)
      const answers = client.take().map((segment) => [segment.flags, segment.sequence, segment.acknowledgment])
      assert.deepEqual(answers, expected === null ? [] : [expected])
    }
    ends(net)
  })

  test('a reset must hit the expected number, RFC 5961', () => {
    const { net, server, client } = lab()
    client.connect()
    client.send(RST, { sequence: client.next + 1 })
    assert.deepEqual(
      client.take().map(({ flags }) => flags),
      [ACK]
    ) // a challenge
    client.send(RST, { sequence: client.next - 1 })
    assert.deepEqual(client.take(), [])
    client.send(SYN, {})
    assert.deepEqual(
      client.take().map(({ flags }) => flags),
      [ACK]
    )
    assert.equal(server.tcp.size, 1)
    client.send(RST, {})
    assert.equal(server.tcp.size, 0)
    ends(net)
  })

  test('acknowledgments of what was never sent', () => {
    const { net, server, client } = lab()
    client.connect()
    client.send(ACK, { acknowledgment: client.expected + 1, payload: Buffer.from('x') })
    assert.deepEqual(
      client.take().map(({ flags, acknowledgment }) => [flags, acknowledgment]),
      [[ACK, client.next]]
    )
    assert.deepEqual(server.received, [])
    const other = new Client(net, 40001)
    other.send(SYN, { acknowledgment: 0 })
    const [{ sequence }] = other.take()
    other.send(ACK, { sequence: START + 1, acknowledgment: (sequence + 9) >>> 0 })
    assert.deepEqual(
      other.take().map(({ flags }) => flags),
      [RST | ACK]
    )
    assert.equal(server.tcp.size, 1)
    ends(net)
  })

  test('at the limit the most silent connection makes room', () => {
    const { net, server } = lab({ maxConnections: 3 })
    for (let port = 1; port <= 5; port++) {
      new Client(net, port).connect()
      net.run(10)
    }
    assert.equal(server.tcp.size, 3)
    assert.equal(server.closed, 2)
    ends(net)
  })
})

test('an idle connection is ended orderly, or at last by force', () => {
  const { net, server, client } = lab({ idleNs: 30e9 })
  client.connect()
  net.run(30_000)
  assert.deepEqual(
    client.take().map(({ flags }) => flags),
    [FIN | ACK]
  )
  client.expected = (client.expected + 1) >>> 0
  client.write('', FIN | ACK)
  assert.deepEqual(
    client.take().map(({ flags, acknowledgment }) => [flags, acknowledgment]),
    [[ACK, client.next]]
  )
  assert.equal(server.tcp.size, 0)
  const mute = new Client(net, 40009)
  mute.connect()
  net.run(120_000)
  assert.equal(server.tcp.size, 0)
  assert.equal(server.closed, 2)
  ends(net)
})

test('after the client ends, the rest is sent and then our own end', () => {
  const { net, server, client } = lab()
  server.answer = new Uint8Array(3000).fill(1)
  client.connect()
  client.write('x', FIN | ACK | PSH)
  const segments = client.take()
  assert.equal(
    segments.reduce((sum, { payload }) => sum + payload.length, 0),
    3000
  )
  assert.deepEqual(segments.at(-1)!.flags & FIN, FIN)
  client.expected = (client.expected + 3001) >>> 0
  client.send(FIN | ACK, { sequence: client.next - 1 }) // the FIN again, with the last acknowledgment
  assert.equal(server.tcp.size, 0)
  ends(net)
})

test('data is not taken from who does not know our sequence number', () => {
  for (const guess of [-0x7fffffff, -1000, 1000]) {
    const { net, server, client } = lab()
    client.send(SYN)
    const [answer] = client.take()
    client.next = (client.next + 1) >>> 0
    client.expected = (answer.sequence + 1 + guess) >>> 0
    client.write('forged')
    assert.deepEqual(server.received, [])
    assert.equal(client.take()[0].flags & RST, RST)
    assert.equal(server.tcp.size, 0)
    ends(net)
  }
})
