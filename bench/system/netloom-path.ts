// The process that carries the frames in the netloom cases: its own, so that the benchmark's work is not in it.
//   node netloom-path.js CLIENT-NETNS SERVER-NETNS [CAPTURE-FILE SNAP-LENGTH]
// Prints "ready"; at the end of standard input it closes, and prints what the capture knows as one line of JSON.
import { once } from 'node:events'
import { Lab } from '../../src/lab/lab.ts'
import { CLIENT_ADDRESS, SERVER_ADDRESS, SUBNET } from './path-case.ts'

const [clientNetns, serverNetns, captureFile, snapLength] = process.argv.slice(2)
const lab = await Lab.create({ seed: 1, upstreams: [] })
const network = await lab.network('bench', { subnet: SUBNET })
const capture = captureFile === undefined ? null : await lab.capture(captureFile, { snapLength: Number(snapLength) })
await network.attach('client', { path: clientNetns }, { ip: CLIENT_ADDRESS })
await network.attach('server', { path: serverNetns }, { ip: SERVER_ADDRESS })
console.log('ready')

await once(process.stdin.resume(), 'end')
const counts = await capture?.close()
await lab.close()
console.log(JSON.stringify({ capture: counts ?? null }))
