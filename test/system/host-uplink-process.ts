// A host uplink in a process of its own, started in a test's namespace: calls come as lines of JSON on standard input, answers and
// what the uplink tells go out the same way. No engine: `wire` joins the TAPs, by name, with TAPs in another namespace, whose kernel then
// takes the place of our router and of a container; else their descriptors just stay open until the process ends.
import readline from 'node:readline'
import { realTimers, type Timers } from '../../src/engine/clock.ts'
import type { TopologyElement } from '../../src/engine/index.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { HostUplink } from '../../src/network/uplinks/host-uplink.ts'
import { forward } from './tap-forwarder.ts'

// What tries again and again for an interface to become free does so without waiting.
const timers: Timers = { after: (ms, fire) => realTimers.after(ms < 1000 ? 0 : ms, fire) }
const native = loadNative()
const uplink = new HostUplink({ native, stateDirectory: process.argv[2], timers })
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`)
const world = {
  hostAddresses: (addresses: readonly string[]) => say({ addresses }),
  changed: async () => {},
  listen: () => {},
  log: (log: string) => say({ log }),
  failed: (error: Error) => say({ log: error.message })
}

/** Descriptors of TAPs by name. */
const taps = new Map<string, number>()
const kept = ({ options }: TopologyElement): void => {
  const { name, fd } = options as { name: string; fd: number }
  taps.set(name, fd)
}

const calls: Record<string, (argument: never) => Promise<unknown>> = {
  start: async () => {
    const part = await uplink.start(world)
    Object.values(part.elements).forEach(kept)
    return part
  },
  addNetwork: async (network) => {
    const station = await uplink.addNetwork(network)
    kept(station.tap)
    return station
  },
  wire: async ({ tap, netns, name }: { tap: string; netns: string; name: string }) => {
    const fd = native.openNetns(netns)
    forward(taps.get(tap)!, openTap(native, { netns: fd, name }).fd)
    native.closeFd(fd)
  },
  removeNetwork: (id) => uplink.removeNetwork(id),
  publish: (ports) => uplink.publish(ports),
  unpublish: (keys) => uplink.unpublish(keys),
  obstacles: async () => uplink.obstacles(),
  close: () => uplink.close()
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { call, argument } = JSON.parse(line) as { call: string; argument: never }
  try {
    say({ result: (await calls[call](argument)) ?? null })
  } catch (error) {
    const { name, message, code, fix } = error as Error & { code?: string; fix?: string }
    say({ error: { name, message, code, fix } })
  }
}
process.exit(0) // whatever the uplink still holds open
