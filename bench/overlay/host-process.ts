// One machine of an overlay benchmark: an engine in its own process and thread, as a daemon has it.
//   node host-process.js HOST-NETNS CONTAINER-NETNS UNDERLAY OWN PEER CONTAINER-ADDRESS PEER-ADDRESS CONTAINER-MAC PEER-MAC
// Prints "ready"; ends with standard input.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { loadNative } from '../../src/io/load-native.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import type { Underlay } from '../../src/network/underlay.ts'
import { TapUnderlay } from '../../src/network/underlays/tap-underlay.ts'
import { UdpUnderlay } from '../../src/network/underlays/udp-underlay.ts'
import { overlayHost } from './overlay-host.ts'

const [hostPath, containerPath, kind, own, other, address, peerAddress, mac, peerMac] = process.argv.slice(2)
const native = loadNative()
const netns = native.openNetns(hostPath)
const stateDirectory = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
const underlay: Underlay = kind === 'tap' ? new TapUnderlay({ native, netns, stateDirectory }) : new UdpUnderlay({ native, netns })
const engine = new ThreadedEngine({ seed: 1 })
await overlayHost({
  engine,
  vtep: own,
  underlay: () => underlay,
  container: { netns: containerPath, address, mac },
  peer: { address: peerAddress, mac: peerMac, vtep: other }
})
console.log('ready')

await once(process.stdin.resume(), 'end')
if (process.env['NETLOOM_BENCH_COUNTERS'] === '1') for (const each of engine.counters()) console.error(JSON.stringify(each))
await engine.close()
await underlay.close()
rmSync(stateDirectory, { recursive: true, force: true })
