import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type DnsTapOptions, dnsTapType } from '../../../src/elements/dns-tap/dns-tap.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { queryBytes, udpFrame } from '../../dns/dns-lab.ts'
import { VirtualLab } from '../../stack/virtual-lab.ts'

const NAMES = ['endpoint', 'network', 'service'] as const

function lab(options: DnsTapOptions = {}): VirtualLab {
  return new VirtualLab(
    {
      elements: { tap: { type: 'dns-tap', options }, ...Object.fromEntries(NAMES.map((name) => [name, { type: 'probe' }])) },
      links: NAMES.map((name, port) => ({ a: ['tap', port], b: [name, 0] }))
    },
    [dnsTapType as ElementType<never>]
  )
}

/** Where a frame from `from` comes out. */
function way(net: VirtualLab, from: string, bytes: Uint8Array): string[] {
  net.probe(from).inject(bytes)
  net.settle()
  return NAMES.filter((name) => net.probe(name).take().length > 0)
}

const SERVICE = udpFrame(queryBytes('web'))
/** The same to another MAC. */
function toMac(bytes: Uint8Array, ...mac: number[]): Uint8Array {
  const copy = bytes.slice()
  copy.set(mac, 0)
  return copy
}

describe('without gateways', () => {
  const net = lab()
  test('the service MAC goes to the service, whatever the frame', () => {
    assert.deepEqual(way(net, 'endpoint', SERVICE), ['service'])
    assert.deepEqual(way(net, 'endpoint', SERVICE.subarray(0, 14)), ['service'])
  })
  test('everything else passes', () => {
    assert.deepEqual(way(net, 'endpoint', toMac(SERVICE, 0x02, 0x42, 0x7f, 0, 0, 0x0c)), ['network'])
    assert.deepEqual(way(net, 'endpoint', toMac(SERVICE, 0x02, 0x43, 0x7f, 0, 0, 0x0b)), ['network'])
    assert.deepEqual(way(net, 'endpoint', toMac(SERVICE, 255, 255, 255, 255, 255, 255)), ['network'])
    assert.deepEqual(way(net, 'endpoint', SERVICE.subarray(0, 13)), ['network'])
    assert.deepEqual(way(net, 'network', SERVICE), ['endpoint'])
    assert.deepEqual(way(net, 'service', SERVICE), ['endpoint'])
    assert.deepEqual(net.counters('tap'), { toService: 2, fromService: 1 })
  })
})

describe('with gateways', () => {
  const net = lab({ gateways: ['127.0.0.11', '2001:db8::53'] })
  const gatewayMac = [0x02, 0x42, 0xac, 0x19, 0, 1]
  for (const family of [4, 6] as const) {
    const frame = toMac(udpFrame(queryBytes('web'), family), ...gatewayMac)
    const payload = family === 4 ? 34 : 54
    const change = (at: number, value: number): Uint8Array => {
      const copy = frame.slice()
      copy[at] = value
      return copy
    }
    test(`IPv${family}: UDP and TCP to port 53 of a gateway`, () => {
      assert.deepEqual(way(net, 'endpoint', frame), ['service'])
      assert.deepEqual(way(net, 'endpoint', change(family === 4 ? 23 : 20, 6)), ['service'])
    })
    test(`IPv${family}: other ports, protocols and addresses pass`, () => {
      assert.deepEqual(way(net, 'endpoint', change(payload + 3, 54)), ['network'])
      assert.deepEqual(way(net, 'endpoint', change(family === 4 ? 23 : 20, 1)), ['network'])
      assert.deepEqual(way(net, 'endpoint', change(payload - 1, 99)), ['network'])
    })
    test(`IPv${family}: no truncation reads beyond the frame`, () => {
      for (let length = 0; length < frame.length; length++) assert.deepEqual(way(net, 'endpoint', frame.subarray(0, length)), ['network'])
    })
  }
  test('a later fragment shows no port and passes', () => {
    const frame = toMac(udpFrame(queryBytes('web')), ...gatewayMac)
    frame[21] = 1
    assert.deepEqual(way(net, 'endpoint', frame), ['network'])
  })
  test('gateways change in place', () => {
    const { elements, links } = net.engine.running
    net.engine.configure({ elements: { ...elements, tap: { type: 'dns-tap', options: { gateways: ['192.0.2.254'] } } }, links })
    assert.deepEqual(way(net, 'endpoint', toMac(udpFrame(queryBytes('web')), ...gatewayMac)), ['network'])
    net.engine.close()
    assert.equal(net.engine.frames.inUse, 0)
  })
})

test('bad options are refused by value', () => {
  assert.throws(() => lab({ serviceMac: 'x' }), /"x"/)
  assert.throws(() => lab({ gateways: ['1.2.3'] }), /"1\.2\.3"/)
})
