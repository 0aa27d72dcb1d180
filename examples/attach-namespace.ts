/**
 * A process that netloom did not start gets an eth0 on a lab's network: any pid will do, a container's too.
 *
 *   node dist/examples/attach-namespace.js     (as root)
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Lab } from 'netloom'

// Somebody else's process, with a network namespace of its own and nothing in it.
const other = spawn('unshare', ['--net', 'sh', '-c', 'echo up; read _; ip -4 -o address show eth0'], { stdio: ['pipe', 'pipe', 'inherit'] })
await once(other.stdout, 'data')

await using lab = await Lab.create()
const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
const friend = await lan.host('friend')
const attached = await lan.attach('stranger', { pid: other.pid! })
const { received } = await friend.ping('stranger', { timeoutMs: 30_000 })
console.log(`stranger is ${attached.address}, answered ${received} of 1 pings`)
other.stdin.end('\n')
for await (const line of other.stdout) process.stdout.write(line)
