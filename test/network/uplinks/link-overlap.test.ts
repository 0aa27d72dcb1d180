import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseOverlap } from '../../../src/network/uplinks/link-overlap.ts'

const LINK = ['192.0.0.2/29', '2001:db8::2/64']

test('a network may not have addresses of the link to the way out, of either family', () => {
  for (const [subnet, subnet6, problem] of [
    ['192.0.0.0/24', null, /subnet 192\.0\.0\.0\/24: it overlaps 192\.0\.0\.2\/29/],
    ['192.0.0.4/30', null, /192\.0\.0\.4\/30/],
    ['10.1.0.0/24', '2001:db8::/48', /subnet 2001:db8::\/48: it overlaps 2001:db8::2\/64/]
  ] as const) {
    assert.throws(() => refuseOverlap({ name: 'front', subnet, subnet6 }, LINK), { code: 'conflict', message: problem })
  }
  refuseOverlap({ name: 'front', subnet: '192.0.0.8/29', subnet6: '2001:db8:0:1::/64' }, LINK)
})
