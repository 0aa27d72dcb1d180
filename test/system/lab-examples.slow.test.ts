/** The labs of examples/, as their files say to run them. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import type { LinkRow } from '../../src/api/link-json.ts'
import { LabFolder } from './lab-process.ts'
import { namespacesMissing } from './test-namespace.ts'

describe('labs of examples/', { skip: namespacesMissing('docker', 'busybox') }, () => {
  const folder = new LabFolder()
  let lab = ''
  afterEach(() => {
    assert.equal(folder.run('down', lab).status, 0)
    assert.deepEqual(folder.leftovers, [])
  })
  after(() => folder.close())

  function up(name: string): void {
    lab = name
    folder.up(path.resolve(`examples/${name}/compose.yaml`))
  }

  /** A container reaches all of these, and none of those. */
  function reaches(host: string, container: string, targets: readonly string[], others: readonly string[] = []): void {
    const ping = (target: string, seconds: string): boolean =>
      folder.tryDocker(lab, host, 'exec', container, 'ping', '-c1', `-W${seconds}`, target).status === 0
    for (const target of targets) assert.ok(ping(target, '60'), `${container} reaches ${target}`)
    for (const target of others) assert.ok(!ping(target, '1'), `${container} does not reach ${target}`)
  }

  function mac(host: string, container: string): string {
    return folder.docker(lab, host, 'exec', container, 'cat', '/sys/class/net/eth0/address')
  }

  test('macvlan: web01, web02, both hosts and the router are on one segment; a container and its own host do not reach each other', () => {
    up('macvlan')
    reaches('host1', 'web01', ['172.16.0.2', '172.16.0.4', '172.16.0.254'], ['172.16.0.1'])
    reaches('host2', 'web02', ['172.16.0.1', '172.16.0.3', '172.16.0.254'], ['172.16.0.2'])
    assert.equal(mac('host2', 'web02'), '02:42:ac:10:00:04')
    assert.equal(
      folder.docker(lab, 'host2', 'network', 'ls', '--filter', 'driver=macvlan', '--format', '{{.Name}} {{.Scope}}'),
      'net01 local'
    )
    assert.equal(folder.docker(lab, 'host1', 'exec', 'web01', 'hostname'), 'web01')
  })

  test('ipvlan: the same, and the MAC is the host’s', () => {
    up('ipvlan')
    reaches('host1', 'web01', ['172.16.0.2', '172.16.0.4', '172.16.0.254'], ['172.16.0.1'])
    assert.equal(mac('host1', 'web01'), '02:42:ac:10:00:01')
    assert.equal(mac('host2', 'web02'), '02:42:ac:10:00:02')
  })

  test('vlan: segments apart by VLAN id, joined by the router', () => {
    up('vlan')
    reaches('host1', 'web01', ['192.168.1.12', '192.168.1.1', '192.168.2.12'], ['172.16.0.2'])
    const hops = folder.docker(lab, 'host1', 'exec', 'web01', 'ping', '-c1', '-w60', '192.168.2.12')
    assert.match(hops, /ttl=63/, 'one router is between the VLANs')
    assert.match(folder.docker(lab, 'host1', 'exec', 'web01', 'ping', '-c1', '-w60', '192.168.1.12'), /ttl=64/, 'none within a VLAN')
  })

  test('overlay: one network of two hosts that are on different LANs', () => {
    up('overlay')
    reaches('host2', 'client', ['web', '10.0.9.2', '192.0.2.1'])
    assert.match(folder.docker(lab, 'host2', 'exec', 'client', 'ping', '-c1', '-w60', 'web'), /ttl=64/)
    // Until it listens.
    let page = ''
    for (let tries = 0; page === '' && tries < 300; tries++)
      page = folder.tryDocker(lab, 'host2', 'exec', 'client', 'busybox', 'wget', '-q', '-O-', 'http://web').stdout
    assert.ok(page.length > 0)
    for (const host of ['host1', 'host2']) {
      assert.equal(
        folder.docker(lab, host, 'network', 'ls', '--filter', 'driver=overlay', '--format', '{{.Name}} {{.Scope}}'),
        'multihost global'
      )
    }
  })

  test('links: between the hosts, of attachments, by labels and changing with time', () => {
    up('links')
    const links = (host = 'paris'): Record<string, string> =>
      Object.fromEntries(
        (JSON.parse(folder.run('link', 'ls', '--json', '-H', folder.socket(lab, host)).stdout) as LinkRow[]).map(
          ({ network, endpoint, out, in: inward }) => [`${network}/${endpoint}`, `${out} | ${inward}`]
        )
      )
    const seen = links()
    assert.equal(seen['/paris/eth0'], 'delay 20ms | delay 20ms')
    assert.equal(seen['/tokyo/eth0'], 'delay 20ms rate 50mbit | delay 20ms rate 100mbit')
    assert.equal(seen['front/web'], 'delay 5ms | delay 5ms')
    assert.equal(seen['front/phone'], '[schedule of 5 points] | [schedule of 5 points]')
    assert.equal(links('tokyo')['links_default/db'], " | loss 100% filter 'udp port 9'", 'by its label')
    const least = (): number => {
      const echo = folder.docker(lab, 'paris', 'exec', 'web', 'ping', '-c2', '-w60', '172.16.0.2')
      return Number(/= ([\d.]+)\//.exec(echo)?.[1])
    }
    // Both lines both ways, and the container's own link.
    assert.ok(least() >= 90, 'four times 20 ms, twice 5')
    assert.equal(folder.run('link', 'set', '-H', folder.socket(lab, 'tokyo'), 'paris/eth0', 'delay', '120ms').status, 0)
    assert.ok(least() >= 290, 'shaped over the other host')
    assert.equal(links()['/paris/eth0'], 'delay 120ms | delay 120ms')
    const missing = folder.run('link', 'set', '-H', folder.socket(lab, 'paris'), 'rome/eth0', 'down')
    assert.match(missing.stderr, /no container, endpoint, network, interface or underlay is called rome\/eth0/)
  })
})
