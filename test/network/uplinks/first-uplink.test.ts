// The uplink that nobody named: the first that this machine can have.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { NetworkError } from '../../../src/network/network-error.ts'
import type { UplinkPort, UplinkWorld } from '../../../src/network/uplink.ts'
import { FirstUplink } from '../../../src/network/uplinks/first-uplink.ts'
import { NoUplink } from '../../../src/network/uplinks/no-uplink.ts'
import { VirtualUplink } from '../virtual-uplink.ts'

let logged: string[]
const world: UplinkWorld = {
  hostAddresses() {},
  changed: async () => {},
  listen() {},
  log: (message) => logged.push(message),
  failed: () => {}
}

beforeEach(() => {
  logged = []
})

describe('the first of several uplinks', () => {
  test('the best one, when it can be had; the others are not even made', async () => {
    const best = new VirtualUplink()
    const uplink = new FirstUplink([
      ['host', () => best],
      ['user', () => assert.fail('made')]
    ])
    assert.deepEqual([uplink.kind, uplink.obstacles()], ['none', []])
    assert.notEqual(await uplink.start(world), null)
    assert.equal(uplink.kind, 'interface')
    best.inTheWay = ['a firewall']
    assert.deepEqual(uplink.obstacles(), ['a firewall'])
    await uplink.publish([{ key: 'web' } as UplinkPort])
    await uplink.unpublish(['web'])
    await uplink.removeNetwork('0123456789')
    await uplink.close()
    assert.deepEqual(best.calls, ['start', 'publish web', 'unpublish web', 'remove 0123', 'close'])
    assert.deepEqual(logged, [])
  })

  test('what cannot be had is closed, and told with its reason, its cure and what is there instead', async () => {
    const refused = new VirtualUplink()
    refused.failures = { start: new NetworkError('conflict', 'netloom0 is taken', { fix: 'end who has it' }) }
    const uplink = new FirstUplink([
      ['host', () => refused],
      [
        'user',
        () => {
          throw new NetworkError('unsupported', 'no user namespaces')
        }
      ],
      ['none', () => new NoUplink()]
    ])
    assert.equal(await uplink.start(world), null)
    assert.deepEqual(refused.calls, ['start', 'close'])
    assert.deepEqual(logged, [
      "the uplink 'host' cannot be had here, 'user' is taken in its place: netloom0 is taken; to have it: end who has it; " +
        '--uplink user asks for this one',
      "the uplink 'user' cannot be had here, 'none' is taken in its place: no user namespaces; --uplink none asks for this one"
    ])
  })

  test('a defect is none of the reasons to take another', async () => {
    const broken = new VirtualUplink()
    broken.failures = { start: new TypeError('x is not a function') }
    const uplink = new FirstUplink([
      ['host', () => broken],
      ['none', () => new NoUplink()]
    ])
    await assert.rejects(uplink.start(world), TypeError)
  })

  test('the last one’s error is the error; nothing can be asked of none', async () => {
    const refused = new VirtualUplink()
    refused.failures = { start: new NetworkError('unsupported', 'no TAPs here') }
    const uplink = new FirstUplink([['host', () => refused]])
    await assert.rejects(uplink.start(world), { message: 'no TAPs here' })
    assert.throws(() => uplink.publish([]), { code: 'closed' })
    await uplink.close()
  })
})
