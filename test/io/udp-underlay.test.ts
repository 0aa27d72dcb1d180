// Frames through the sockets of a UDP underlay, byte for byte: what leaves is what cutting in software gives, each datagram with the
// VXLAN header in front, also where the kernel does not cut; what comes in is joined again. All of it on addresses of lo.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { FrameFlag, FramePool, NO_FRAME } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Segmenter } from '../../src/io/segment.ts'
import { UdpUnderlayDevice } from '../../src/io/udp-underlay-device.ts'
import { bytesOfFrame, frameAt, payloadOf, place, type SuperFrame, type SuperFrameOptions, superFrame } from './super-frame.ts'

const native = tryLoadNative()!
const hasPerl = spawnSync('perl', ['-e', '1']).status === 0
const [SENDER, RECEIVER] = ['127.0.51.1', '127.0.51.2']
/** Ethernet, IPv4, UDP; VXLAN. */
const OUTER = 42
const VXLAN = Buffer.from([8, 0, 0, 0, 0, 1, 0, 0])
const TUNNEL_V4 = 0x20

function encapsulated(inner: SuperFrame, port: number): SuperFrame {
  const outer = Buffer.alloc(OUTER)
  outer.writeUInt16BE(0x0800, 12)
  outer.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 51, 1, 127, 0, 51, 2], 14)
  outer.writeUInt16BE(50_000, 34)
  outer.writeUInt16BE(port, 36)
  const bytes = Buffer.concat([outer, VXLAN, inner.bytes])
  const more = OUTER + VXLAN.length
  return {
    ...inner,
    bytes,
    gsoType: inner.gsoType === 0 ? 0 : inner.gsoType | TUNNEL_V4,
    hdrLen: inner.hdrLen + more,
    csumStart: inner.csumStart + more
  }
}

/** As software cuts it. */
function datagramsOf(options: SuperFrameOptions): Buffer[] {
  const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1 })
  const segmenter = new Segmenter(pool)
  assert.ok(segmenter.begin(place(pool, superFrame(options))))
  const out: Buffer[] = []
  for (let segment = segmenter.next(); segment !== NO_FRAME; segment = segmenter.next()) {
    out.push(Buffer.concat([VXLAN, bytesOfFrame(pool, segment)]))
  }
  return out
}

/** A frame that is finished, `length` bytes long. */
function plain(length: number, seed: number): SuperFrame {
  const bytes = Buffer.from(payloadOf(length + seed).subarray(seed))
  return { bytes, flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0 }
}

const SUPER_FRAMES: readonly (readonly [string, SuperFrameOptions])[] = [
  [
    'TCP over IPv4 with options, PSH and FIN',
    { transport: 'tcp', family: 4, payload: payloadOf(9001), gsoSize: 1398, tcpOptions: 12, tcpFlags: 0x19 }
  ],
  ['TCP over IPv6 with a tag', { transport: 'tcp', family: 6, payload: payloadOf(7000), gsoSize: 1000, tags: 1, tcpFlags: 0x18 }],
  ['UDP segments', { transport: 'udp', family: 4, payload: payloadOf(5000), gsoSize: 1200 }],
  ['more segments than a message has', { transport: 'tcp', family: 4, payload: payloadOf(40_100), gsoSize: 500, ipId: 65_530 }]
]

describe('the UDP underlay’s sockets', { skip: native === null && 'the addon is not built', timeout: 120_000 }, () => {
  let pool: FramePool
  let sockets: number[]
  let device: UdpUnderlayDevice

  const deviceAt = (address: string, port: number): UdpUnderlayDevice => {
    sockets = native.openUdpUnderlay({ netns: -1, address, port, senders: 1 })
    return new UdpUnderlayDevice(pool, native, {
      sockets,
      address,
      port,
      mac: '02:cc:00:00:01:01',
      nextHopMac: '02:cc:00:00:01:02',
      mtu: 1500
    })
  }

  beforeEach(() => {
    pool = new FramePool({ checked: true })
    device = deviceAt(SENDER, 0)
  })
  afterEach(() => device.close())

  const send = (...frames: SuperFrame[]): void => {
    const handles = Int32Array.from(frames, (frame) => place(pool, frame))
    assert.equal(device.write(handles, 0, handles.length), handles.length)
    assert.deepEqual([device.counters.txErrors, device.lastError], [0, 0])
    for (const handle of handles) pool.free(handle)
  }

  describe('out', () => {
    let receiver: Socket
    let port: number
    const received: Buffer[] = []

    beforeEach(async () => {
      received.length = 0
      receiver = createSocket('udp4', (datagram) => received.push(datagram))
      receiver.bind(0, RECEIVER)
      await once(receiver, 'listening')
      port = receiver.address().port
    })
    afterEach(() => receiver.close())

    const arrived = async (expected: readonly Buffer[]): Promise<void> => {
      while (received.length < expected.length) await once(receiver, 'message')
      assert.deepEqual(received.splice(0), expected)
    }

    const suite = (): void => {
      for (const [name, options] of SUPER_FRAMES) {
        test(name, async () => {
          send(encapsulated(superFrame(options), port))
          await arrived(datagramsOf(options))
        })
      }

      test('a run of one length with a shorter end, and another run', async () => {
        const frames = [300, 300, 300, 120, 300, 300].map(plain)
        send(...frames.map((frame) => encapsulated(frame, port)))
        await arrived(frames.map(({ bytes }) => Buffer.concat([VXLAN, bytes])))
      })
    }

    describe('the kernel cuts', suite)

    describe('the kernel does not cut', { skip: !hasPerl && 'there is no perl to set SO_NO_CHECK' }, () => {
      /** SO_NO_CHECK: without UDP checksums Linux refuses UDP_SEGMENT (EINVAL in udp_send_skb), and takes each datagram. */
      const setNoChecksum = (on: 0 | 1): void => {
        const { status } = spawnSync('perl', ['-e', `setsockopt(STDIN, 1, 11, pack("i", ${on})) or exit 1`], {
          stdio: [sockets[1], 'ignore', 'inherit']
        })
        assert.equal(status, 0)
      }
      beforeEach(() => setNoChecksum(1))
      suite()

      describe('and is asked', () => {
        /** What `sendTunnel` remembers of peers, as each write leaves it. */
        let uncut: number[][]
        let own: UdpUnderlayDevice
        beforeEach(() => {
          uncut = []
          const { sendTunnel } = native
          const watched = {
            ...native,
            sendTunnel: (...all: Parameters<typeof sendTunnel>) => {
              const done = sendTunnel(...all)
              uncut.push([...all[5].subarray(4)].filter((messages) => messages > 0).sort((a, b) => a - b))
              return done
            }
          }
          const options = { address: SENDER, port: 0, mac: '02:cc:00:00:01:01', nextHopMac: '02:cc:00:00:01:02', mtu: 1500 }
          own = new UdpUnderlayDevice(pool, watched, { ...options, sockets })
        })
        const write = (...frames: SuperFrame[]): void => {
          const handles = Int32Array.from(frames, (frame) => place(pool, frame))
          assert.equal(own.write(handles, 0, handles.length), handles.length)
          for (const handle of handles) pool.free(handle)
        }

        test('once for one peer, and not at all for another', async () => {
          const alone = encapsulated(plain(300, 1), port)
          const other = { ...alone, bytes: Buffer.from(alone.bytes) }
          other.bytes[33] = 3
          write(alone)
          write(alone, alone)
          write(alone, alone)
          write(other)
          write(other, other)
          assert.deepEqual(uncut, [[], [1024], [1023], [1023], [1023, 1024]])
          await arrived(Array.from({ length: 5 }, () => alone.bytes.subarray(OUTER)))
        })

        test('again after 1,024 messages, since its route may be another one by then', () => {
          const alone = encapsulated(plain(300, 1), port)
          for (let message = 0; message < 1025; message++) write(alone, alone)
          assert.deepEqual(uncut.slice(-2), [[1], []])
          write(alone, alone)
          assert.deepEqual(uncut.at(-1), [1024], 'it still refuses')
          for (let message = 0; message < 1024; message++) write(alone, alone)
          setNoChecksum(0)
          write(alone, alone)
          assert.deepEqual(uncut.at(-1), [], 'it cuts again')
        })
      })
    })
  })

  test('in: TCP segments that belong together are the super-frame that they were', async () => {
    const probe = createSocket('udp4').bind(0, RECEIVER)
    await once(probe, 'listening')
    const { port } = probe.address()
    await new Promise<void>((resolve) => probe.close(() => resolve()))
    const receiver = deviceAt(RECEIVER, port)
    try {
      for (const family of [4, 6] as const) {
        const inner = superFrame({ transport: 'tcp', family, payload: payloadOf(20_000), gsoSize: 1398, tcpOptions: 12, tcpFlags: 0x18 })
        send(encapsulated(inner, port))
        const out = new Int32Array(64)
        let count = 0
        while (count === 0) {
          count = receiver.read(out, 64)
          await setImmediate()
        }
        assert.equal(count, 1)
        const sent = encapsulated(inner, port)
        const { bytes, ...fields } = frameAt(pool, out[0])
        assert.deepEqual(bytes.subarray(OUTER), sent.bytes.subarray(OUTER))
        const { bytes: _bytes, ...expected } = sent
        assert.deepEqual(fields, { ...expected, flags: FrameFlag.csum | FrameFlag.gso })
        assert.deepEqual([...bytes.subarray(26, 34)], [127, 0, 51, 1, 127, 0, 51, 2])
        pool.free(out[0])
      }
      assert.equal(pool.inUse, 0)
    } finally {
      receiver.close()
    }
  })
})
