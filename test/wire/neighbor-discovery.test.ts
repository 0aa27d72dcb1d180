import assert from 'node:assert/strict'
import { test } from 'node:test'
import { put16 } from '../../src/wire/big-endian.ts'
import { onesComplementSum } from '../../src/wire/checksum.ts'
import { macHi, macLo } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../src/wire/ipv6.ts'
import {
  checkNeighborDiscovery,
  emitNeighborDiscovery,
  findNdOption,
  ND_FLAG_OVERRIDE,
  ND_FLAG_ROUTER,
  ND_FLAG_SOLICITED,
  ND_HOP_LIMIT,
  NdOption,
  type NeighborDiscoveryRepr,
  ndFlags,
  ndLinkLayer,
  parseNeighborDiscovery,
  raLifetime
} from '../../src/wire/neighbor-discovery.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const TARGET = '20010db8 00000000 00000000 00000002'
const LINK_LAYER = '02cc00000002'

interface Sample {
  repr: NeighborDiscoveryRepr
  message: Uint8Array
}

const SAMPLES: Sample[] = [
  {
    repr: { kind: 'router-solicitation', linkLayer: '02:cc:00:00:00:02' },
    message: hex(`8500 0000 00000000 0101 ${LINK_LAYER}`)
  },
  { repr: { kind: 'router-solicitation', linkLayer: null }, message: hex('8500 0000 00000000') },
  {
    repr: {
      kind: 'router-advertisement',
      hopLimit: 64,
      managed: false,
      other: true,
      lifetime: 1800,
      reachableTime: 30_000,
      retransmitTimer: 4_000_000_000,
      linkLayer: '02:cc:00:00:00:02',
      mtu: 1450,
      prefixes: [
        { prefix: '2001:db8::', length: 64, onLink: true, autonomous: true, validLifetime: 0xffffffff, preferredLifetime: 604_800 },
        { prefix: '2001:db8:1::', length: 48, onLink: false, autonomous: false, validLifetime: 1, preferredLifetime: 0 }
      ]
    },
    message: hex(`
      8600 0000 40 40 0708 00007530 ee6b2800 0101 ${LINK_LAYER} 0501 0000 000005aa
      0304 40 c0 ffffffff 00093a80 00000000 20010db8 00000000 00000000 00000000
      0304 30 00 00000001 00000000 00000000 20010db8 00010000 00000000 00000000`)
  },
  {
    repr: { kind: 'neighbor-solicitation', target: '2001:db8::2', flags: 0, linkLayer: '02:cc:00:00:00:02' },
    message: hex(`8700 0000 00000000 ${TARGET} 0101 ${LINK_LAYER}`)
  },
  {
    repr: {
      kind: 'neighbor-advertisement',
      target: '2001:db8::2',
      flags: ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE,
      linkLayer: '02:cc:00:00:00:02'
    },
    message: hex(`8800 0000 60000000 ${TARGET} 0201 ${LINK_LAYER}`)
  }
]

/** The IPv6 header for a message; the message's checksum is written from the pseudo-header spelled out. */
function header(message: Uint8Array): Uint8Array {
  const ip = new Uint8Array(40)
  const repr = { source: '2001:db8::1', destination: 'ff02::1', nextHeader: IpProtocol.icmpv6, hopLimit: ND_HOP_LIMIT }
  emitIpv6({ ...repr, payloadLength: message.length }, ip, 0)
  const pseudo = Uint8Array.of(...ip.subarray(8, 40), 0, 0, 0, message.length, 0, 0, 0, 58)
  put16(message, 2, 0)
  put16(message, 2, ~onesComplementSum(Uint8Array.of(...pseudo, ...message), 0, pseudo.length + message.length, 0))
  return ip
}

const HEADERS = SAMPLES.map(({ message }) => header(message))

test('deconstruct', () => {
  const advertisement = placed(SAMPLES[4].message)
  const end = AT + SAMPLES[4].message.length
  assert.ok(checkNeighborDiscovery(advertisement, AT, end))
  assert.equal(ndFlags(advertisement, AT), 0x60)
  assert.equal(ndLinkLayer(advertisement, AT, end, NdOption.sourceLinkLayer), -1)
  const mac = ndLinkLayer(advertisement, AT, end, NdOption.targetLinkLayer)
  assert.deepEqual([macHi(advertisement, mac), macLo(advertisement, mac)], [0x02cc, 2])
  const router = placed(SAMPLES[2].message)
  assert.equal(raLifetime(router, AT), 1800)
  assert.equal(findNdOption(router, AT, AT + SAMPLES[2].message.length, NdOption.prefixInformation), AT + 32)
})

test('parse', () => {
  for (const [i, { repr, message }] of SAMPLES.entries()) {
    const bytes = placed(Uint8Array.of(...HEADERS[i], ...message))
    assert.deepEqual(parseNeighborDiscovery(bytes, AT + 40, AT + 40 + message.length, AT), repr)
    bytes[AT + 42] ^= 1
    assert.equal(parseNeighborDiscovery(bytes, AT + 40, AT + 40 + message.length, AT), null, 'wrong checksum')
  }
})

test('emit', () => {
  for (const [i, { repr, message }] of SAMPLES.entries()) {
    assert.deepEqual(
      emitPoisoned((bytes, at) => emitNeighborDiscovery(repr, bytes, at, at - 40), HEADERS[i]),
      message,
      repr.kind
    )
  }
})

test('flags of an advertisement are the three defined bits', () => {
  const message = SAMPLES[4].message.slice()
  message[4] = 0xff
  const ip = header(message)
  const repr = parseNeighborDiscovery(Uint8Array.of(...ip, ...message), 40, 40 + message.length, 0)
  assert.equal(repr?.kind === 'neighbor-advertisement' && repr.flags, ND_FLAG_ROUTER | ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE)
})

test('what RFC 4861 calls invalid is refused', () => {
  const check = (text: string): boolean => {
    const message = hex(text)
    return checkNeighborDiscovery(placed(message), AT, AT + message.length)
  }
  assert.ok(check(`8700 0000 00000000 ${TARGET}`))
  assert.ok(check(`8700 0000 00000000 ${TARGET} fe02 ${'00'.repeat(14)} 0101 ${LINK_LAYER}`), 'an unknown option is skipped')
  assert.ok(!check(`8701 0000 00000000 ${TARGET}`), 'code 1')
  assert.ok(!check(`8700 0000 00000000 ${TARGET.slice(0, -2)}`), 'one byte short')
  assert.ok(!check(`8700 0000 00000000 ${TARGET} 0100 ${LINK_LAYER}`), 'option of length 0')
  assert.ok(!check(`8700 0000 00000000 ${TARGET} 0102 ${LINK_LAYER}`), 'option beyond the end')
  assert.ok(!check(`8700 0000 00000000 ${TARGET} 0101 0000`), 'option cut off')
  assert.ok(!check(`8600 0000 40000708 00000000 00000000 0301 40c0 00000000`), 'prefix information of 8 bytes')
  assert.ok(!check('8000 0000 00000000'), 'an echo request')
})

test('nothing outside is read at any length', () => {
  for (const [i, { repr, message }] of SAMPLES.entries()) {
    const accepted = assertConfined(
      (bytes, at, end) => {
        const message = at + 40
        if (!checkNeighborDiscovery(bytes, message, end)) return null
        const mac = ndLinkLayer(bytes, message, end, NdOption.sourceLinkLayer)
        const link = mac < 0 ? null : [macHi(bytes, mac), macLo(bytes, mac)]
        return [
          link,
          parseNeighborDiscovery(bytes, message, end, at),
          ndFlags(bytes, message),
          findNdOption(bytes, message, end, NdOption.mtu)
        ]
      },
      Uint8Array.of(...HEADERS[i], ...message),
      1000
    )
    assert.ok(accepted > 20, `${repr.kind}: ${accepted}`)
  }
})
