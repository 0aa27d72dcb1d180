/** A TCP client made by hand for tests of the passive TCP: wire's emitTcp and parseTcp are its codec. */
import assert from 'node:assert/strict'
import { EtherType, emitEthernet } from '../../src/wire/ethernet.ts'
import { emitIpv4, IpProtocol } from '../../src/wire/ipv4.ts'
import { emitTcp, parseTcp, TcpFlag, type TcpRepr } from '../../src/wire/tcp.ts'
import type { VirtualLab } from './virtual-lab.ts'

const { syn: SYN, ack: ACK, fin: FIN, psh: PSH } = TcpFlag
/** First sequence number: the numbers wrap within the tests. */
export const START = 0xfffffff0

/** A client on one port, behind the probe `client`; keeps its own numbers. */
export class Client {
  readonly net: VirtualLab
  readonly port: number
  next = START
  expected = 0

  constructor(net: VirtualLab, port = 40000) {
    this.net = net
    this.port = port
  }

  send(flags: number, change: Partial<TcpRepr> = {}): void {
    this.inject(
      frameOf({
        sourcePort: this.port,
        destinationPort: 53,
        sequence: this.next,
        acknowledgment: this.expected,
        flags,
        window: 65535,
        urgent: 0,
        options: {},
        payload: new Uint8Array(0),
        ...change
      })
    )
  }

  inject(bytes: Uint8Array): void {
    this.net.probe('client').inject(bytes)
    this.net.settle()
  }

  /** Sends data as the next in order. */
  write(data: string | Uint8Array, flags = ACK | PSH): void {
    const payload = Buffer.from(data as string)
    this.send(flags, { payload })
    this.next = (this.next + payload.length + (flags & FIN ? 1 : 0)) >>> 0
  }

  /** What came for this client. */
  take(): TcpRepr[] {
    return this.net
      .probe('client')
      .take()
      .map((frame) => parseTcp(frame, 34, frame.length, 14)!)
      .filter(({ destinationPort }) => destinationPort === this.port)
  }

  connect(options: TcpRepr['options'] = { maxSegmentSize: 1460 }, window = 65535): TcpRepr {
    this.send(SYN, { acknowledgment: 0, options, window })
    this.next = (this.next + 1) >>> 0
    const [answer] = this.take()
    assert.deepEqual([answer.flags, answer.acknowledgment], [SYN | ACK, this.next])
    this.expected = (answer.sequence + 1) >>> 0
    this.send(ACK, { window })
    assert.deepEqual(this.take(), [])
    return answer
  }

  /** Takes data in order; acknowledges nothing. */
  read(): string {
    let text = ''
    for (const { sequence, payload } of this.take()) {
      assert.equal(sequence, this.expected)
      this.expected = (this.expected + payload.length) >>> 0
      text += Buffer.from(payload).toString()
    }
    return text
  }
}

function frameOf(repr: TcpRepr): Uint8Array {
  const bytes = new Uint8Array(14 + 20 + 60 + repr.payload.length)
  emitEthernet({ destination: '02:cc:00:00:00:53', source: '02:cc:00:00:00:01', type: EtherType.ipv4 }, bytes, 0)
  const headers = { source: '192.0.2.1', destination: '192.0.2.53', protocol: IpProtocol.tcp, payloadLength: 0 }
  emitIpv4(headers, bytes, 14)
  const length = emitTcp(repr, bytes, 34, 14)
  emitIpv4({ ...headers, payloadLength: length }, bytes, 14)
  emitTcp(repr, bytes, 34, 14)
  return bytes.subarray(0, 34 + length)
}
