/** `netloom show` and `netloom explain` against the API over a unix socket, with a gateway in virtual time behind it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { inspectionRoutes } from '../../src/api/inspection-routes.ts'
import { Logger } from '../../src/api/logger.ts'
import { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { Inspection } from '../../src/network/inspection.ts'
import { VirtualUplink, WORLD_ADDRESS } from '../network/virtual-uplink.ts'
import { runHere, TextSink } from './fake-world.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-show-'))
const engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
const controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink: new VirtualUplink() })
const router = new Router()
const server = new ApiServer(router, Logger.silent())
const env = { NETLOOM_HOST: `unix://${folder}/d.sock` }

function host(network: string, name: string): Promise<Endpoint> {
  return controller.connect(network, { name }, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway! }
  }))
}

async function ping({ element }: Endpoint, address: string): Promise<void> {
  await engine.settle(engine.command(element, 'ping', { address, timeoutMs: 100 }))
}

before(async () => {
  inspectionRoutes(router, new Inspection(controller))
  await server.listen({ path: path.join(folder, 'd.sock') })
  await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
  await controller.createNetwork({ name: 'back', subnet: '10.2.0.0/24' })
  const [web, db] = [await host('front', 'web'), await host('back', 'db')]
  await ping(web, WORLD_ADDRESS)
  await ping(web, db.address)
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

/** Rows of a table, their cells joined by one blank; the first is the heading. */
async function shown(...args: string[]): Promise<string[]> {
  const { stdout, stderr, code } = await runHere(['show', ...args], env)
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, ' | '))
}

test('tables: flows, routes, neighbors, FDB, drops', async () => {
  const [heading, flow] = await shown('nat', '--protocol', 'icmp', '--address', WORLD_ADDRESS)
  assert.equal(heading, 'PROTOCOL | STATE | SOURCE | DESTINATION | REPLY SOURCE | REPLY DESTINATION | NAT | PACKETS | EXPIRES')
  assert.match(flow, /^icmp \| 10\.1\.0\.2:\d+ \| 192\.0\.2\.60:\d+ \| 192\.0\.2\.60:\d+ \| 192\.0\.2\.50:\d+ \| snat \| 1\/1 \| \d+ s$/)
  for (const none of [
    ['--port', '9999'],
    ['--protocol', '47'],
    ['--address', '2001:DB8:0::1']
  ])
    assert.deepEqual(await shown('nat', ...none), [heading])
  assert.ok((await shown('routes')).includes('0.0.0.0/0 | static | 192.0.2.60 | world'))
  assert.ok((await shown('neighbors')).some((line) => /^10\.1\.0\.2 \| 02:42:0a:01:00:02 \| front \| \w+ \| \d+ s \| 0$/.test(line)))
  assert.deepEqual(await shown('fdb', '--network', 'front'), [
    'NETWORK | MAC | PORT | ENDPOINT | AGE',
    'front | 02:42:0a:01:00:01 | 0 | gateway | static',
    'front | 02:42:0a:01:00:02 | 1 | web | 0 s'
  ])
  const [drop] = (await shown('drops')).filter((line) => line.includes('filter.isolated'))
  assert.equal(
    drop,
    '1 | gateway/nat | filter.isolated | Networks are isolated from each other: the packet is for another network and not for a published port.'
  )
})

test('JSON: one document, and one a line while it watches', async () => {
  const { stdout } = await runHere(['show', 'routes', '--json'], env)
  assert.ok(JSON.parse(stdout).some(({ prefix }: { prefix: string }) => prefix === '10.1.0.0/24'))
  const interrupt = new AbortController()
  const sink = new TextSink()
  sink.write = (text) => {
    sink.text += text
    if (sink.text.split('\n').length > 3) interrupt.abort()
  }
  await runHere(['show', 'fdb', '--json', '--watch', '0.1'], env, { interrupt: interrupt.signal, stdout: sink })
  const lines = sink.text.trimEnd().split('\n')
  assert.equal(lines.length, 3)
  assert.equal(JSON.parse(lines[2]).length, 4)
})

test('explain: the way, the verdict, and the exit code', async () => {
  const out = await runHere(['explain', '--from', 'web', '--to', `${WORLD_ADDRESS}:443`], env)
  assert.equal(out.code, 0)
  assert.match(
    out.stdout,
    /^tcp 10\.1\.0\.2 > 192\.0\.2\.60:443\n {2}front\/web {2}192\.0\.2\.60 is elsewhere: to the gateway 10\.1\.0\.1\n/
  )
  assert.match(out.stdout, /\nleaves: by world to 192\.0\.2\.60, as from 192\.0\.2\.50\n$/)
  const isolated = await runHere(['explain', '--from', 'web', '--to', 'db', '--json'], env)
  assert.equal(isolated.code, 1)
  const { verdict, reason } = JSON.parse(isolated.stdout)
  assert.deepEqual([verdict, reason], ['dropped', 'filter.isolated'])
})

test('what cannot be is said', async () => {
  const fails = async (expected: RegExp, code: number, ...args: string[]): Promise<void> => {
    const ran = await runHere(args, env)
    assert.match(ran.stderr, expected)
    assert.equal(ran.code, code)
  }
  await fails(/no endpoint is called nobody/, 1, 'explain', '--from', 'nobody', '--to', 'web')
  await fails(/'web:80\/x' is no target/, 1, 'explain', '--from', 'web', '--to', 'web:80/x')
  await fails(/network nowhere not found/, 1, 'show', 'fdb', '--network', 'nowhere')
  await fails(/port 0 is not a whole number/, 1, 'show', 'nat', '--port', '0')
  await fails(/--port http: not a whole number/, 2, 'show', 'nat', '--port', 'http')
  await fails(/--limit -1: not a whole number/, 2, 'show', 'nat', '--limit', '-1')
  await fails(/protocol sctp is none of tcp, udp, icmp, icmpv6, and no number/, 1, 'show', 'nat', '--protocol', 'sctp')
  await fails(/address web is neither an IPv4 nor an IPv6 address/, 1, 'show', 'nat', '--address', 'web')
  await fails(/--watch soon/, 2, 'show', 'drops', '--watch', 'soon')
  await fails(/unknown command 'flows'/, 2, 'show', 'flows')
})
