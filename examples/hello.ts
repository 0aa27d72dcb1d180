/**
 * The smallest lab: two virtual hosts, one ping, one capture, in virtual time.
 *
 *   node dist/examples/hello.js [FILE]
 */
import { Lab } from 'netloom'

await using lab = await Lab.create({ clock: 'virtual', seed: 7 })
const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
const alice = await lan.host('alice')
await lan.host('bob')
const capture = await lab.capture(process.argv[2] ?? 'hello.pcapng')
const { received, rttNs } = await lab.run(() => alice.ping('bob'))
const { frames } = await capture.close()
console.log(`${received} answered after ${rttNs[0]} ns, ${frames} frames captured`)
