/**
 * A lab of virtual hosts under the virtual clock, each with one DNS query and one UDP echo a second: how many seconds pass in it
 * while one passes outside.
 *
 *   host i: resolve(name of host j), j another one each second -> datagram to host i + 1, port 7 -> its echo -> the next second
 */
import { Lab, type LabHost } from '../src/index.ts'

export interface LabOfHosts {
  readonly hosts: number
  /** Of the lab. */
  readonly seconds: number
  /** Hosts begin their seconds at different times, so that hardly two events share an instant; else all at once. */
  readonly spread: boolean
}

export interface LabOfHostsValues {
  /** Seconds of the lab for one outside, set-up not counted. */
  readonly speed: number
  /** Seconds outside that an hour of the lab would take, set-up counted. */
  readonly hourSeconds: number
  readonly setUpSeconds: number
  /** CPU time of the process for one query or echo, microseconds; compilation and collection of garbage counted. */
  readonly cpuPerExchange: number
  readonly rssMiB: number
}

const PAYLOAD = new TextEncoder().encode('are you there?')
const HOUR = 3600

export async function runLabOfHosts({ hosts: count, seconds, spread }: LabOfHosts): Promise<LabOfHostsValues> {
  const begun = performance.now()
  await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
  const lan = await lab.network('lan', { subnet: '10.0.0.0/16' })
  const hosts: LabHost[] = []
  for (let i = 0; i < count; i++) hosts.push(await lan.host(`host${i}`, { udpEcho: [7] }))
  const setUpSeconds = (performance.now() - begun) / 1e3
  // The first seconds resolve MACs and are compiled.
  await lab.run(() => talk(lab, hosts, 3, spread))
  const cpu = process.cpuUsage()
  const start = performance.now()
  await lab.run(() => talk(lab, hosts, seconds, spread))
  const elapsed = (performance.now() - start) / 1e3
  const { user, system } = process.cpuUsage(cpu)
  return {
    speed: seconds / elapsed,
    hourSeconds: setUpSeconds + (elapsed / seconds) * HOUR,
    setUpSeconds,
    cpuPerExchange: (user + system) / (2 * count * seconds),
    rssMiB: process.memoryUsage.rss() / 2 ** 20
  }
}

/** Rejects when an answer is not what it must be. */
async function talk(lab: Lab, hosts: readonly LabHost[], seconds: number, spread: boolean): Promise<void> {
  const start = lab.now
  await Promise.all(
    hosts.map(async (host, index) => {
      const socket = await host.udp()
      const peer = hosts[(index + 1) % hosts.length].address
      const phase = spread ? (index * 1e9) / hosts.length : 0
      for (let second = 0; second < seconds; second++) {
        await lab.wait((start + second * 1e9 + phase - lab.now) / 1e6)
        const asked = hosts[(index + 7 * second + 1) % hosts.length]
        const [address] = await host.resolve(asked.name)
        if (address !== asked.address) throw new Error(`${asked.name} is ${asked.address}, not ${address}`)
        await socket.send(peer, 7, PAYLOAD)
        const { data } = await socket.receive()
        if (data.length !== PAYLOAD.length) throw new Error(`${data.length} bytes came back of ${PAYLOAD.length}`)
      }
      await socket.close()
    })
  )
}
