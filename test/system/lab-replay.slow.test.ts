/** A capture as a service of a lab file: it begins when its turn comes, and is played over and over. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { datagramCapture } from '../replay/datagram-capture.ts'
import { LabFolder } from './lab-process.ts'
import { namespacesMissing } from './test-namespace.ts'

const LAB = (replay: string): string => `
name: played
services:
  web:
    image: box
    command: sleep 1000
    networks: { front: { ipv4_address: 192.0.2.3 } }
  player:
    depends_on: [web]
    networks: { front: { ipv4_address: 192.0.2.9 } }
    x-netloom: { virtual: true, replay: ${replay} }
networks:
  front: { ipam: { config: [{ subnet: 192.0.2.0/24 }] } }
x-netloom:
  underlays: { lan: { subnet: 172.16.0.0/24 } }
  hosts: { host1: { eth0: { underlay: lan, address: 172.16.0.1/24 } } }
`

describe('a capture as a service', { skip: namespacesMissing('docker', 'busybox') }, () => {
  const folder = new LabFolder()
  after(() => {
    folder.run('down', 'played')
    folder.close()
  })

  /** Datagrams to a closed port that the container's kernel took for good. */
  function arrived(): number {
    const [names, values] = folder
      .docker('played', 'host1', 'exec', 'web', 'cat', '/proc/net/snmp')
      .split('\n')
      .filter((line) => line.startsWith('Udp:'))
      .map((line) => line.split(' '))
    return Number(values![names!.indexOf('NoPorts')])
  }

  test('its frames reach a container, round after round, until the lab ends', { timeout: 400_000 }, () => {
    writeFileSync(path.join(folder.path, 'visits.pcap'), datagramCapture(20))
    const map = '[10.0.0.1=192.0.2.9, 10.0.0.2=192.0.2.3]'
    const file = folder.write('compose.yaml', LAB(`{ file: visits.pcap, loop: forever, map: ${map} }`))
    folder.up(file)
    // More than one round of 20.
    const last = performance.now() + 300_000
    while (arrived() < 100) assert.ok(performance.now() < last, `${arrived()} datagrams arrived`)
    assert.equal(folder.run('down', 'played').status, 0)
    assert.deepEqual(folder.leftovers, [])
  })

  test('a capture that is not there keeps the lab from coming up', () => {
    const file = folder.write('missing.yaml', LAB('nowhere.pcap'))
    const { status, stderr } = folder.run('up', '-d', file)
    assert.equal(status, 1)
    assert.match(stderr, /player on host1: cannot read the capture file .*nowhere\.pcap.*ENOENT/)
    assert.deepEqual(folder.leftovers, [])
  })
})
