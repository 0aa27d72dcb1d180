import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HostOptions, Lab } from '../../src/index.ts'

const virtual = { clock: 'virtual', seed: 5 } as const

test('hosts find each other by name and alias, whatever the case', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  const b = await lan.host('b', { aliases: ['db', 'Store'] })
  await lab.run(async () => {
    assert.deepEqual(await a.resolve('b'), [b.address])
    assert.deepEqual(await a.resolve('DB'), [b.address])
    assert.deepEqual(await a.resolve('store'), [b.address])
    assert.deepEqual(await a.resolve('a'), [a.address])
  })
})

test('addresses are the lowest free ones, the gateway first; what leaves gives its address back', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const [a, b, c] = [await lan.host('a'), await lan.host('b', { ip: '192.0.2.77' }), await lan.host('c')]
  assert.deepEqual([lan.gateway, a.address, b.address, c.address], ['192.0.2.1', '192.0.2.2', '192.0.2.77', '192.0.2.3'])
  assert.equal(c.mac, '02:42:c0:00:02:03')
  await a.remove()
  assert.equal((await lan.host('d')).address, '192.0.2.2')
})

test('the gateway answers, an address that nobody has does not', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  await lab.run(async () => {
    assert.equal((await a.ping('192.0.2.1')).received, 1)
    assert.equal((await a.ping('192.0.2.99', { count: 2, intervalMs: 1 })).received, 0)
  })
})

test('IPv6 hosts ping and resolve', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  await lab.run(async () => {
    assert.equal((await a.ping(b.endpoint.address6)).received, 1)
    assert.deepEqual(await a.resolve('b', 6), ['2001:db8::3'])
  })
})

test('networks do not hear each other', async () => {
  await using lab = await Lab.create(virtual)
  const one = await lab.network('one')
  const two = await lab.network('two')
  const [a, b] = [await one.host('a'), await two.host('b')]
  await lab.run(async () => {
    const asked = lab.now
    await assert.rejects(a.resolve('b'), { code: 'not-found', message: "a: 'b' is not known: the DNS answered SERVFAIL" })
    // Nobody outside can be asked in virtual time: the answer comes at once, not after a time-out.
    assert.equal(lab.now, asked)
    assert.equal((await a.ping(b.address)).received, 0)
  })
})

test('a socket queues, and rejects what waits when it is closed', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan')
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  await lab.run(async () => {
    const [from, to] = [await a.udp(), await b.udp(53)]
    for (const text of ['one', 'two']) await from.send(b.address, 53, text)
    await lab.wait(10)
    const texts = [await to.receive(), await to.receive()].map(({ data }) => new TextDecoder().decode(data))
    assert.deepEqual(texts, ['one', 'two'])
    const waiting = to.receive()
    await to.close()
    await assert.rejects(waiting, { code: 'closed' })
    await assert.rejects(to.receive(), { code: 'closed' })
  })
})

test('the report has frames of both directions and drops by reason', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan')
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  await lab.run(() => a.ping('b', { count: 4, intervalMs: 1 }))
  const [first, second] = lab.report()
  assert.deepEqual([first.name, second.name, second.ip], ['a', 'b', b.address])
  assert.ok(second.rxFrames >= 4 && second.txFrames >= 4 && second.txBytes >= 4 * 98)
  assert.equal(await lab.framesInUse(), 0)
})

test('a traced ping walks from host to host, element by element', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan')
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  await lab.run(() => a.ping('b'))
  await lab.trace(1, 'lan/a')
  await lab.run(() => a.ping(b.address))
  const steps = await lab.traced()
  assert.equal(new Set(steps.map(({ packetId }) => packetId)).size, 1)
  assert.deepEqual([...new Set(steps.map(({ element }) => element))], ['lan/a', 'lan/a/dns-tap', 'lan/bridge', 'lan/b/dns-tap', 'lan/b'])
  assert.deepEqual(await lab.traced(), [])
  await assert.rejects(lab.trace(1, 'lan/nobody'), /lan\/nobody/)
})

const refused: [what: string, network: object, host: object, message: RegExp][] = [
  ['a subnet that is none', { subnet: '192.0.2.0/33' }, {}, /subnet.*192\.0\.2\.0\/33/],
  ['a gateway outside', { subnet: '192.0.2.0/24', gateway: '198.51.100.1' }, {}, /gateway.*198\.51\.100\.1/],
  ['a name with a space', { name: 'a lan' }, {}, /network name 'a lan'/],
  ['a driver that is none', { driver: 'bridgge' }, {}, /driver.*bridgge/],
  ['a host name that is none', {}, { name: '-x' }, /endpoint name '-x'/],
  ['no host name', {}, { name: undefined as unknown as string }, /endpoint name 'undefined'/],
  ['an alias that is none', {}, { aliases: ['a b'] }, /alias name 'a b'/],
  ['an address that is none', {}, { ip: '192.0.2.300' }, /ip.*192\.0\.2\.300/],
  ['an address of another subnet', {}, { ip: '198.51.100.1' }, /ip.*198\.51\.100\.1/],
  ["the gateway's address", {}, { ip: '192.0.2.1' }, /192\.0\.2\.1/],
  ['a MAC that is none', {}, { mac: '02:42:zz:00:00:01' }, /mac.*02:42:zz:00:00:01/],
  ['a group MAC', {}, { mac: '01:00:5e:00:00:01' }, /mac.*01:00:5e:00:00:01/],
  ['an MTU that is too small', {}, { mtu: 20 }, /mtu.*20/]
]
for (const [what, network, host, message] of refused) {
  test(`${what} is refused by name and value, and nothing is left of it`, async () => {
    await using lab = await Lab.create(virtual)
    const spec = { name: 'lan', subnet: '192.0.2.0/24', ...network }
    const options: HostOptions & { name: string } = { name: 'a', ...host }
    const attempt = async (): Promise<void> => {
      const lan = await lab.network(spec.name, spec)
      await lan.host(options.name, options)
    }
    await assert.rejects(attempt(), message)
    const lan = [...lab.controller.networks.values()].find(({ name }) => name === 'lan')
    assert.equal(lan?.endpoints.size ?? 0, 0)
    if (lan !== undefined) assert.equal(lan.pool.used, 3n) // network, broadcast, gateway
  })
}

test('a clock that is none is refused, and nothing is started', async () => {
  await assert.rejects(Lab.create({ clock: 'virtuall' as 'virtual' }), /clock: 'virtuall' is neither/)
})

for (const clock of ['virtual', 'real'] as const) {
  test(`nothing can be made in a closed lab (${clock})`, async () => {
    const lab = await Lab.create({ clock })
    const lan = await lab.network('lan')
    await lab.close()
    await assert.rejects(lab.network('late'), { code: 'closed' })
    await assert.rejects(lan.host('late'), { code: 'closed' })
    await lab.close()
  })
}

test('names that are taken are refused, and free again afterwards', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  await assert.rejects(lan.host('a'), { code: 'conflict' })
  await assert.rejects(lab.network('lan'), { code: 'conflict' })
  await assert.rejects(lab.network('other', { subnet: '192.0.2.128/25' }), /192\.0\.2\.128\/25/)
  await assert.rejects(lan.remove(), { code: 'conflict' })
  await a.remove()
  await lan.remove()
  await lab.network('lan', { subnet: '192.0.2.0/24' })
})

test('processes are refused in virtual time', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan')
  await assert.rejects(lan.sandbox('x'), { code: 'unsupported' })
  await assert.rejects(lan.attach('x', { pid: 1 }), { code: 'unsupported' })
})

test('in real time the same lab works in its own thread', async () => {
  await using lab = await Lab.create({ upstreams: [] })
  const lan = await lab.network('lan')
  const [a] = [await lan.host('a'), await lan.host('b')]
  const { received, rttNs } = await lab.run(() => a.ping('b', { count: 5, intervalMs: 1, timeoutMs: 120_000 }))
  assert.equal(received, 5)
  assert.equal(rttNs.length, 5)
})

test('a span of time that is none is refused by name, in real and in virtual time', async () => {
  for (const clock of ['virtual', 'real'] as const) {
    await using lab = await Lab.create({ clock })
    for (const ms of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      await assert.rejects(lab.advance(ms), { name: 'NetworkError', code: 'invalid', message: new RegExp(`^advance: ${ms} `) })
      await assert.rejects(lab.wait(ms), { name: 'NetworkError', code: 'invalid', message: new RegExp(`^wait: ${ms} `) })
    }
    await lab.advance(0)
    assert.equal(Number.isFinite(lab.now), true)
  }
})
