import { emitIpv4 } from '../../src/wire/ipv4.ts'
import { emitUdp } from '../../src/wire/udp.ts'

const RAW_IP = 101

/** A pcap of datagrams from port 4000 to 4001 as a tun interface shows them (60 bytes, no Ethernet), 1 ms from each other. */
export function datagramCapture(count: number, source = '10.0.0.1', destination = '10.0.0.2'): Buffer {
  const packet = new Uint8Array(28 + 32)
  emitIpv4({ source, destination, protocol: 17, payloadLength: 40 }, packet, 0)
  emitUdp({ sourcePort: 4000, destinationPort: 4001, payload: new Uint8Array(32).fill(7) }, packet, 20, 0)
  const record = (index: number): Buffer => {
    const header = Buffer.alloc(16)
    header.writeUInt32LE(1_700_000_000 + Math.floor(index / 1000), 0)
    header.writeUInt32LE((index % 1000) * 1000, 4)
    header.writeUInt32LE(packet.length, 8)
    header.writeUInt32LE(packet.length, 12)
    return Buffer.concat([header, packet])
  }
  const file = Buffer.alloc(24)
  file.writeUInt32LE(0xa1b2c3d4, 0)
  file.writeUInt32LE(0x00040002, 4)
  file.writeUInt32LE(262_144, 16)
  file.writeUInt32LE(RAW_IP, 20)
  return Buffer.concat([file, ...Array.from({ length: count }, (_, index) => record(index))])
}
