// A host uplink in a process of its own, started in a test's namespace: calls come as lines of JSON on standard input, answers and
// what the uplink tells go out the same way. No engine: descriptors of TAPs stay open until the process ends.
import readline from 'node:readline'
import { realTimers, type Timers } from '../../src/engine/clock.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { HostUplink } from '../../src/network/uplinks/host-uplink.ts'

// What tries again and again for an interface to become free does so without waiting.
const timers: Timers = { after: (ms, fire) => realTimers.after(ms < 1000 ? 0 : ms, fire) }
const uplink = new HostUplink({ native: loadNative(), stateDirectory: process.argv[2], timers })
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`)
const world = {
  hostAddresses: (addresses: readonly string[]) => say({ addresses }),
  log: (log: string) => say({ log }),
  failed: (error: Error) => say({ failed: error.message })
}

const calls: Record<string, (argument: never) => Promise<unknown>> = {
  start: () => uplink.start(world),
  addNetwork: (network) => uplink.addNetwork(network),
  removeNetwork: (id) => uplink.removeNetwork(id),
  publish: (ports) => uplink.publish(ports),
  unpublish: (keys) => uplink.unpublish(keys),
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
