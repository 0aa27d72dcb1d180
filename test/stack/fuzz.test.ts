/**
 * Seeded random damage to frames of every kind, at a host and at the DNS service: nothing is thrown, nothing leaks, and what
 * they send is right in every checksum. Half of the damaged frames get right checksums again, so that the damage is looked at.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dnsServiceType } from '../../src/dns/dns-service.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { Random } from '../../src/engine/random.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { checkArp } from '../../src/wire/arp.ts'
import { fillTransport, verifyTransport } from '../../src/wire/checksum.ts'
import { EtherType, etherType } from '../../src/wire/ethernet.ts'
import { fillIcmpChecksum, verifyIcmpChecksum } from '../../src/wire/icmp.ts'
import {
  checkIpv4,
  fillIpv4Checksum,
  IpProtocol,
  ipv4End,
  ipv4IsFragment,
  ipv4Payload,
  ipv4Protocol,
  verifyIpv4Checksum
} from '../../src/wire/ipv4.ts'
import { checkIpv6, ipv6End, ipv6NextHeader } from '../../src/wire/ipv6.ts'
import { zones } from '../dns/zones.ts'
import { sampleFrames } from './sample-frames.ts'
import { VirtualLab } from './virtual-lab.ts'

const ROUNDS = process.env.NETLOOM_FUZZ === 'long' ? 1_000_000 : 100_000
const SEED = process.env.NETLOOM_SEED ?? 'stack-fuzz-1'
const MAC = '02:cc:00:00:00:02'
const FIELDS: Record<number, number> = { [IpProtocol.udp]: 6, [IpProtocol.tcp]: 16, [IpProtocol.icmpv6]: 2 }

/** Changes some bytes, cuts, lengthens, or joins two frames. */
function damage(frames: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = frames[random.below(frames.length)].slice()
  if (random.below(50) === 0) return bytes
  for (let edits = 1 + random.below(4); edits > 0; edits--) {
    const choice = random.below(10)
    if (choice === 0) bytes = bytes.slice(0, random.below(bytes.length + 1))
    else if (choice === 1) bytes = Uint8Array.from([...bytes, ...Array.from({ length: random.below(64) }, () => random.below(256))])
    else if (choice === 2) {
      const other = frames[random.below(frames.length)]
      const at = random.below(bytes.length + 1)
      bytes = Uint8Array.from([...bytes.subarray(0, at), ...other.subarray(Math.min(at, other.length))])
    } else if (bytes.length > 0) {
      // Most damage behind the MAC addresses, so that the frame is still for the host.
      const at =
        random.below(8) === 0 ? random.below(bytes.length) : Math.min(bytes.length - 1, 12 + random.below(Math.max(1, bytes.length - 12)))
      bytes[at] = choice < 6 ? random.below(256) : bytes[at] ^ (1 << random.below(8))
    }
  }
  return bytes
}

/** Makes the checksums right where there is something to compute. */
function repair(bytes: Uint8Array): void {
  if (bytes.length < 34) return
  if (etherType(bytes, 0) === EtherType.ipv4) {
    if (!checkIpv4(bytes, 14, bytes.length)) return
    fillIpv4Checksum(bytes, 14)
    const protocol = ipv4Protocol(bytes, 14)
    const at = ipv4Payload(bytes, 14)
    const end = ipv4End(bytes, 14)
    if (protocol === IpProtocol.icmp && at + 4 <= end) fillIcmpChecksum(bytes, at, end)
    else if (FIELDS[protocol] !== undefined && at + FIELDS[protocol] + 2 <= end)
      fillTransport(bytes, at, end, 14, protocol, at + FIELDS[protocol])
  } else if (etherType(bytes, 0) === EtherType.ipv6 && checkIpv6(bytes, 14, bytes.length)) {
    const protocol = ipv6NextHeader(bytes, 14)
    const end = ipv6End(bytes, 14)
    if (FIELDS[protocol] !== undefined && 54 + FIELDS[protocol] + 2 <= end)
      fillTransport(bytes, 54, end, 14, protocol, 54 + FIELDS[protocol])
  }
}

/** Whether a frame that was sent is right. */
function isRight(bytes: Uint8Array): boolean {
  const type = etherType(bytes, 0)
  if (type === EtherType.arp) return checkArp(bytes, 14, bytes.length)
  if (type === EtherType.ipv6) {
    return (
      checkIpv6(bytes, 14, bytes.length) &&
      ipv6End(bytes, 14) === bytes.length &&
      verifyTransport(bytes, 54, bytes.length, 14, ipv6NextHeader(bytes, 14))
    )
  }
  if (
    type !== EtherType.ipv4 ||
    !checkIpv4(bytes, 14, bytes.length) ||
    !verifyIpv4Checksum(bytes, 14) ||
    ipv4End(bytes, 14) !== bytes.length
  )
    return false
  const protocol = ipv4Protocol(bytes, 14)
  const at = ipv4Payload(bytes, 14)
  if (ipv4IsFragment(bytes, 14)) return true
  return protocol === IpProtocol.icmp ? verifyIcmpChecksum(bytes, at, bytes.length) : verifyTransport(bytes, at, bytes.length, 14, protocol)
}

test(`${ROUNDS} damaged frames, seed ${SEED}`, () => {
  const random = new Random(SEED)
  const net = new VirtualLab(
    {
      elements: {
        host: { type: 'host', options: { mac: MAC, addresses: ['192.0.2.2/24', '2001:db8::2/64'], udpEcho: [7] } },
        dns: {
          type: 'dns-service',
          options: { ...zones({ net: { web: ['192.0.2.2', '2001:db8::2'] } }), askers: { 0: { zones: ['net'], forward: true } } }
        },
        atHost: { type: 'probe' },
        atDns: { type: 'probe' }
      },
      links: [
        { a: ['host', 0], b: ['atHost', 0] },
        { a: ['dns', 0], b: ['atDns', 0] }
      ]
    },
    [virtualHostType, dnsServiceType] as ElementType<never>[],
    SEED
  )
  net.command('host', 'udpBind', { port: 5000 })
  net.command('host', 'udpSink', { port: 9000 })
  const samples = sampleFrames({ mac: MAC, ipv4: '192.0.2.2', ipv6: '2001:db8::2' })
  let answers = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(samples, random)
    if (random.below(2) === 0) repair(bytes)
    for (const name of ['atHost', 'atDns']) {
      net.probe(name).inject(bytes, 0, (frame) => {
        if (random.below(10) > 0) return
        const { frames } = net.engine
        frames.flags[frame] = random.below(16) & (FrameFlag.csum | FrameFlag.csumValid | FrameFlag.gso)
        frames.gsoType[frame] = random.below(256)
        frames.gsoSize[frame] = random.below(4) === 0 ? random.below(65536) : random.below(64)
        frames.hdrLen[frame] = random.below(65536)
        frames.csumStart[frame] = random.below(65536)
        frames.csumOffset[frame] = random.below(65536)
      })
    }
    if (round % 64 === 0) {
      net.run(random.below(3000))
      for (const name of ['atHost', 'atDns']) {
        for (const sent of net.probe(name).take()) {
          answers++
          if (!isRight(sent)) assert.fail(`round ${round}: ${name} was sent ${Buffer.from(sent).toString('hex')}`)
        }
      }
    }
  }
  // Damage is looked at, not only refused at the door: thousands of frames were answered.
  assert.ok(answers > ROUNDS / 20, `${answers} answers`)
  const reasons = { ...net.drops('host'), ...net.drops('dns') }
  for (const name of [
    'malformed',
    'badChecksum',
    'unknownType',
    'notForUs',
    'runt',
    'portClosed',
    'unexpected',
    'unknownProtocol',
    'reassemblyTimeout',
    'fragmentOverlap'
  ]) {
    assert.ok(reasons[`stack.${name}`] > 0, `never dropped for ${name}`)
  }
  net.engine.close()
  assert.equal(net.engine.frames.inUse, 0)
})
