/** Links of a lab file: on attachments, networks, services, hosts, routers, stations and underlays. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { type LabFile, readLabFile } from '../../src/compose/lab-file.ts'

const FOLDER = mkdtempSync(path.join(tmpdir(), 'netloom-test-compose-'))
writeFileSync(path.join(FOLDER, 'lte.trace'), '0s 10mbit 40ms\n1s 2mbit -\nend 2s\n')
writeFileSync(path.join(FOLDER, 'lte.dist'), '-0.5 0.5\n')
after(() => rmSync(FOLDER, { recursive: true }))

function read(text: string): LabFile {
  return readLabFile(text, { file: path.join(FOLDER, 'compose.yaml'), env: {} })
}

describe('links of a lab file', () => {
  test('in all places', () => {
    const { services, networks, hosts, routers, underlays } = read(`
services:
  web:
    image: nginx
    networks: { front: { driver_opts: { a: b }, x-netloom: { link: delay 50ms 5ms } }, back: }
    x-netloom: { host: host1, link: { out: { words: limit 100, trace: lte.trace } } }
  server: { x-netloom: { virtual: true, underlay: lan, address: 172.16.0.100/24, link: { in: { schedule: [0s down, 1s up, end 2s] } } } }
networks:
  front: { driver_opts: { c: d }, x-netloom: { link: { words: delay 5ms 1ms, distribution: lte.dist } } }
  back:
x-netloom:
  underlays: { lan: { subnet: 172.16.0.0/24, link: delay 1ms } }
  hosts: { host1: { eth0: { underlay: lan, address: 172.16.0.1/24, link: { out: rate 1mbit, in: rate 10mbit } } } }
  routers: { edge: { interfaces: [{ underlay: lan, address: 172.16.0.254/24, link: loss 1% }] } }
`)
    const web = services.find(({ name }) => name === 'web')!
    assert.deepEqual(
      web.networks!.map(({ name, config }) => [name, config]),
      [
        ['front', { DriverOpts: { a: 'b', 'netloom.link': 'delay 50ms 5ms' } }],
        ['back', {}]
      ]
    )
    assert.deepEqual(web.link!.options, {
      'netloom.link.out': 'limit 100',
      'netloom.link.trace.out': '0s 10mbit 40ms\n1s 2mbit -\nend 2s\n'
    })
    assert.deepEqual(services.find(({ name }) => name === 'server')!.link!.change, {
      in: {
        schedule: {
          points: [
            { atNs: 0, down: true },
            { atNs: 1e9, down: false }
          ],
          repeatNs: 2e9
        }
      }
    })
    assert.deepEqual(networks[0]!.request.Options, { c: 'd', 'netloom.link': 'delay 5ms 1ms', 'netloom.link.distribution': '-0.5 0.5\n' })
    assert.deepEqual(hosts[0]!.eth0!.link!.change, { out: { rate: { bitsPerSecond: 1e6 } }, in: { rate: { bitsPerSecond: 10e6 } } })
    assert.deepEqual(routers[0]!.interfaces[0]!.link!.change.out, { loss: { model: 'random', probability: 0.01 } })
    assert.deepEqual(underlays[0]!.link!.change.in, { delay: { meanNs: 1e6 } })
  })

  for (const [link, message] of [
    ['dealy 5ms', /:3:\d+: networks.front.x-netloom.link: 'dealy' is no word of a link/],
    ['{ trace: missing.trace }', /link.trace: ENOENT/],
    ['{ trace: lte.trace, schedule: [0s up] }', /link.schedule: there is a trace already/],
    ['{ schedule: [0s up, 0s down] }', /link: line 2 of the trace: 0s is not later than the line before/],
    ['{ schedule: [0s speed 5] }', /line 1 of the trace: '5' is one word too many|rate: 'speed'/],
    ['{ words: delay 5ms, out: down }', /link.out: 'words' beside it is for both directions/],
    ['{ words: delay 5ms, distribution: lte.dist }', /needs a delay and a jitter/],
    ['{ up: delay 5ms }', /link.up: this is not supported/],
    ['{ }', /this says nothing/],
    ['[delay]', /this must be a text, not a list/]
  ] as const) {
    test(`refused: ${link}`, () => {
      const text = `services: { web: { image: nginx, networks: [front] } }\nnetworks:\n  front: { x-netloom: { link: ${link} } }\n`
      assert.throws(() => read(text), { message })
    })
  }

  test('a name that two links would have', () => {
    const at = (name: string): string => `services:
  ${name}: { x-netloom: { virtual: true, underlay: lan, address: 172.16.0.100/24 } }
x-netloom:
  underlays: { lan: { subnet: 172.16.0.0/24 } }
  hosts: { host1: { eth0: { underlay: lan, address: 172.16.0.1/24 } } }
`
    assert.equal(read(at('server')).services.length, 1)
    assert.throws(() => read(at('host1')), { message: /services.host1: a host is called 'host1' already/ })
  })
})
