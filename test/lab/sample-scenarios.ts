/** Scenarios that use much of a lab: what their captures have to be the same of. */
import assert from 'node:assert/strict'
import type { Lab } from '../../src/index.ts'
import { udp } from '../../src/testing.ts'

/** Several hosts, names, pings, UDP in both directions, fragments, a bulk transfer, a host that leaves and one that comes. */
export async function manyThings(lab: Lab): Promise<void> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  const names = ['a', 'b', 'c', 'd', 'e']
  const hosts = await Promise.all(names.map((name) => lan.host(name, { udpEcho: [7] })))
  await Promise.all(hosts.map((host, index) => host.ping(names[(index + 1) % names.length], { count: 3, intervalMs: 10 })))
  await Promise.all(
    hosts.map(async (host, index) => {
      const socket = await host.udp()
      const [address] = await host.resolve(names[(index + 2) % names.length])
      for (const size of [1, 1000, 4000]) {
        await socket.send(address, 7, new Uint8Array(size).fill(index))
        assert.equal((await socket.receive()).data.length, size)
      }
    })
  )
  await hosts[4].remove()
  const late = await lan.host('late')
  await late.bulk('a', await hosts[0].sink(), { bytes: 100_000 })
}

/** Links that lose, delay, reorder, corrupt and queue, names asked for over them, faults. */
export async function troubled(lab: Lab): Promise<void> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  await lan.setLinks('delay 5ms 2ms distribution normal loss 3% duplicate 2% corrupt 1% reorder 5% rate 2mbit')
  const hosts = await Promise.all(['a', 'b', 'c', 'd'].map((name) => lan.host(name, { udpEcho: [7] })))
  lab.faults.drop(udp({ dstPort: 7 }), { nth: 5 })
  lab.at('400 ms', () => hosts[3].link.cut())
  lab.at('900 ms', () => hosts[3].link.restore())
  await Promise.all(
    hosts.map(async (host, index) => {
      const socket = await host.udp()
      for (let round = 0; round < 20; round++) {
        const [address] = await host.resolve(hosts[(index + 1 + (round % 3)) % 4].name)
        await socket.send(address, 7, new Uint8Array(100 * (index + 1))).catch(() => {})
        await lab.wait(50)
      }
    })
  )
}

const LINKS = [
  'delay 10ms 3ms 25% distribution pareto',
  'delay 10ms 3ms distribution normal loss gemodel 2% 20%',
  'delay 1ms 1ms loss state 1% 20% 5% 30%',
  'rate 500kbit fq_codel limit 50',
  'rate 300kbit 24 53 codel',
  'delay 2ms reorder 20% gap 3 duplicate 5% 30%'
]

/** A host behind each kind of link; each sends bursts to all others. */
export async function everyLink(lab: Lab): Promise<void> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const hosts = await Promise.all(LINKS.map((link, index) => lan.host(`h${index}`, { udpEcho: [7], link })))
  for (const host of hosts) await lan.host(`plain-${host.name}`)
  await Promise.all(
    hosts.map(async (host, index) => {
      const socket = await host.udp()
      for (let round = 0; round < 30; round++) {
        const { address } = hosts[(index + 1 + (round % (hosts.length - 1))) % hosts.length]
        for (let burst = 0; burst < 4; burst++) await socket.send(address, 7, new Uint8Array(64 << burst)).catch(() => {})
        await lab.wait(7)
      }
    })
  )
  await lab.wait(2000)
}
