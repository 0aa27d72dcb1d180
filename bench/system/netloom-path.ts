// The process that carries the frames in the netloom cases: its own, so that the benchmark's work is not in it.
//   node netloom-path.js CLIENT-NETNS SERVER-NETNS [CAPTURE-FILE SNAP-LENGTH]
// Prints "ready"; at the end of standard input it closes, and prints what the capture knows as one line of JSON.
import { once } from 'node:events'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import type { Topology, TopologyElement } from '../../src/engine/topology.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'

const [clientNetns, serverNetns, captureFile, snapLength] = process.argv.slice(2)
const native = loadNative()

function tap(netns: string): TopologyElement {
  const fd = native.openNetns(netns)
  const opened = openTap(native, { netns: fd, name: 'eth0' })
  native.closeFd(fd)
  return { type: 'tap', options: { ...opened, mtu: 1500 } }
}

const engine = new ThreadedEngine({ seed: 1 })
const elements: Record<string, TopologyElement> = { client: tap(clientNetns), server: tap(serverNetns), bridge: { type: 'bridge' } }
const links: Topology['links'][number][] = []
const capture = captureFile === undefined ? null : await CaptureFile.open({ path: captureFile, snapLength: Number(snapLength) })
if (capture !== null) await engine.share('capture', { ring: capture.ring, snapLength: capture.snapLength })
for (const [port, end] of ['client', 'server'].entries()) {
  if (capture === null) links.push({ a: [end, 0], b: ['bridge', port] })
  else {
    elements[`${end}/capture`] = { type: 'capture', options: { resource: 'capture', interface: capture.addInterface({ name: end }) } }
    links.push({ a: [end, 0], b: [`${end}/capture`, 0] }, { a: [`${end}/capture`, 1], b: ['bridge', port] })
  }
}
await engine.configure({ elements, links })
console.log('ready')

await once(process.stdin.resume(), 'end')
await engine.close()
const counts = await capture?.close()
console.log(JSON.stringify({ capture: counts ?? null }))
