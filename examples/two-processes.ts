/**
 * Two real processes in namespaces of their own, which talk by name through the engine.
 *
 *   node dist/examples/two-processes.js        (as root, or as a user who may open /dev/net/tun)
 */
import { Lab } from 'netloom'

await using lab = await Lab.create()
const lan = await lab.network('lan', { subnet: '203.0.113.0/24' })
const server = await lan.sandbox('server')
const client = await lan.sandbox('client')

const serve = `require('node:net').createServer((c) => c.end('hello from ' + require('node:os').hostname())).listen(4000, () => console.log('ready'))`
const connect = `require('node:net').connect(4000, 'server').pipe(process.stdout)`

const { stdout: ready } = await server.spawn([process.execPath, '-e', serve])
await new Promise((resolve) => ready!.once('data', resolve))
const { stdout } = await client.spawn([process.execPath, '-e', connect])
let text = ''
for await (const chunk of stdout!) text += chunk
console.log(text)
