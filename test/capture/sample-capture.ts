import type { ByteSink } from '../../src/capture/block-buffer.ts'
import { optionText } from '../../src/capture/block-buffer.ts'
import { Direction, FrameRecord, Reception, TC_ACT_SHOT } from '../../src/capture/frame-record.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'

/** Gathers what an encoder writes. */
export class MemorySink implements ByteSink {
  private readonly parts: Buffer[] = []

  write(bytes: Uint8Array): void {
    this.parts.push(Buffer.from(bytes))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }
}

/** 2026-01-02T03:04:05.999999999Z: one more ns carries into the next second, and further into the high word. */
export const BASE_TIME = 1_767_323_045_999_999_999n

/** An Ethernet frame of `length` bytes, at least 14, that counts up after the header. */
export function sampleFrame(length: number, seed = 0): Uint8Array {
  const frame = new Uint8Array(length)
  frame.set([0x02, 0xcc, 0, 0, 0, 1, 0x02, 0xcc, 0, 0, 0, 2, 0x88, 0xb5])
  for (let at = 14; at < length; at++) frame[at] = at + seed
  return frame
}

export function recordOf(bytes: Uint8Array, fields: Partial<FrameRecord> = {}): FrameRecord {
  return Object.assign(new FrameRecord(), { bytes, captured: bytes.length, original: bytes.length }, fields)
}

/** A section with every block and option that the writer knows. */
export function samplePcapng(): Buffer {
  const sink = new MemorySink()
  const writer = new PcapngWriter(sink, {
    section: { application: 'netloom', hardware: 'loom', os: 'none', comment: 'a section' },
    snapLength: 128,
    baseTime: BASE_TIME
  })
  writer.addInterface({
    name: 'demo-net/web',
    description: 'the port of web',
    mac: Uint8Array.of(0x02, 0x42, 0xac, 0x19, 0, 2),
    ipv4: [{ address: Uint8Array.of(172, 25, 0, 2), mask: Uint8Array.of(255, 255, 0, 0) }],
    ipv6: [{ address: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2), prefixLength: 64 }],
    speed: 10_000_000_000,
    filter: 'arp',
    os: 'Linux',
    comment: 'an interface'
  })
  writer.addInterface({ name: 'demo-net/client' })
  writer.writeNames([
    { address: Uint8Array.of(172, 25, 0, 2), names: ['web', 'web.demo-net'] },
    { address: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2), names: ['web6'] }
  ])
  writer.writeFrame(recordOf(sampleFrame(60)))
  writer.writeFrame(
    recordOf(sampleFrame(61), {
      port: 1,
      timestamp: 1,
      flags: Direction.inbound | Reception.unicast,
      packetId: 7,
      lost: 3,
      verdict: TC_ACT_SHOT
    }),
    optionText('dropped: ✂')
  )
  writer.writeFrame(
    recordOf(sampleFrame(1514), { timestamp: 2 ** 40 + 0.75, packetId: -2, flags: Direction.outbound | Reception.broadcast })
  )
  writer.writeStatistics(0, { start: 0, end: 2 ** 40, received: 5, dropped: 2, accepted: 4, osDropped: 1, delivered: 2 })
  writer.writeStatistics(1, { received: 1 })
  writer.flush()
  return sink.bytes
}
