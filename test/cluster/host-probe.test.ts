import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { HostProbe } from '../../src/cluster/host-probe.ts'
import { realTimers } from '../../src/engine/clock.ts'
import { freePorts } from './store-server.ts'

const host = (advertise: string, id = 'h1') => ({ id, name: 'h1', address: '127.0.0.1', advertise })
/** Waits for a minute, so that a machine that stalls gives no answer of its own; `soon` as long as a daemon does. */
const ask = HostProbe.asker({ after: (_ms, fire) => realTimers.after(60_000, fire) })
const soon = HostProbe.asker(realTimers)

test('a host that listens lives; another one, a closed one, a silent one and one without an address do not', async () => {
  const [port] = await freePorts(1)
  const advertise = `127.0.0.1:${port}`
  assert.equal(await ask(host(advertise)), false)
  const probe = await HostProbe.listen(advertise, 'h1')
  assert.equal(await ask(host(advertise)), true)
  assert.equal(await ask(host(advertise, 'h2')), false)
  await assert.rejects(HostProbe.listen(advertise, 'h2'), { code: 'invalid' })
  await probe.close()
  assert.equal(await ask(host(advertise)), false)
  assert.equal(await ask({ id: 'h1', name: 'h1', address: '127.0.0.1' }), false)

  const sockets: net.Socket[] = []
  const silent = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  assert.equal(await soon(host(`127.0.0.1:${(silent.address() as net.AddressInfo).port}`)), false)
  for (const socket of sockets) socket.destroy()
  silent.close()
})

test('it closes while somebody holds a connection', { timeout: 60_000 }, async () => {
  const [port] = await freePorts(1)
  const probe = await HostProbe.listen(`127.0.0.1:${port}`, 'h1')
  const holder = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  holder.on('error', () => {})
  try {
    await new Promise((resolve) => holder.once('data', resolve))
    await probe.close()
  } finally {
    holder.destroy()
  }
})
