/** `netloom trace` against the API over a unix socket, with an engine thread and virtual hosts in real time behind it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Logger } from '../../src/api/logger.ts'
import { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'
import { traceRoutes } from '../../src/api/trace-routes.ts'
import { DaemonTraces } from '../../src/daemon/daemon-traces.ts'
import { Lab } from '../../src/lab/lab.ts'
import type { LabHost } from '../../src/lab/lab-host.ts'
import type { FrameWalk } from '../../src/network/trace-walk.ts'
import { runHere, TextSink } from './fake-world.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-trace-'))
const env = { NETLOOM_HOST: `unix://${folder}/d.sock` }
const router = new Router()
const server = new ApiServer(router, Logger.silent())
let lab: Lab
let web: LabHost
let db: LabHost

before(async () => {
  lab = await Lab.create({ clock: 'real', upstreams: [] })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  web = await lan.host('web')
  db = await lan.host('db')
  traceRoutes(router, new DaemonTraces(lab.controller))
  await server.listen({ path: path.join(folder, 'd.sock') })
})
after(async () => {
  await server.close()
  await lab.close()
  rmSync(folder, { recursive: true })
})

/** Runs the command while web pings db again and again. */
async function traced(...args: string[]): ReturnType<typeof runHere> {
  const running = runHere(['trace', ...args], env)
  let isOver = false
  running.then(
    () => (isOver = true),
    () => (isOver = true)
  )
  for (let i = 0; i < 1000 && !isOver; i++) await web.ping(db.address, { intervalMs: 20, timeoutMs: 500 })
  return running
}

test('the walk of a frame, line by line', async () => {
  const { code, stdout, stderr } = await traced('web', '-n', '1', '-f', 'icmp[icmptype] = icmp-echo')
  assert.deepEqual([code, stderr], [0, ''])
  const [head, ...visits] = stdout.trimEnd().split('\n')
  assert.match(head, /^frame 1, packet \d+: IP 192\.0\.2\.\d+ > 192\.0\.2\.\d+: ICMP echo request, id \d+, seq \d+, length 64$/)
  assert.deepEqual(
    visits.map((line) =>
      line
        .trim()
        .replace(/^\d+\.\d{3} us +/, '')
        .replace(/ {2,}/, ' | ')
    ),
    [
      'lan/web | enters',
      'lan/web/dns-tap | to lan/bridge',
      `lan/bridge | forward ${db.mac}: port ${visits[2].match(/port (\d+) to/)![1]} to ${visits[2].match(/to (\d+);/)![1]}; to lan/db/dns-tap`,
      'lan/db/dns-tap | to lan/db',
      'lan/db | delivered'
    ]
  )
})

test('--json is one document', async () => {
  const { code, stdout } = await traced('-n', '2', '--filter', 'icmp', '--json')
  const { frames } = JSON.parse(stdout) as { frames: FrameWalk[] }
  assert.deepEqual([code, frames.length], [0, 2])
  for (const { steps } of frames) assert.ok(steps.every(({ time }, i) => i === 0 || time >= steps[i - 1].time))
})

test('the end of the time says how many were seen', async () => {
  const { code, stdout, stderr } = await runHere(['trace', '--filter', 'udp port 9', '--timeout', '0.1'], env)
  assert.deepEqual([code, stdout, stderr], [0, '', '0 of 10 frames seen\n'])
})

test('Ctrl-C ends it with what was seen', async () => {
  const interrupt = new AbortController()
  const stdout = new (class extends TextSink {
    override write(text: string): void {
      super.write(text)
      if (this.text.includes('delivered')) interrupt.abort()
    }
  })()
  const running = runHere(['trace', '-n', '10000', '-f', 'icmp'], env, { interrupt: interrupt.signal, stdout })
  for (let i = 0; i < 1000 && !interrupt.signal.aborted; i++) await web.ping(db.address, { intervalMs: 20, timeoutMs: 500 })
  const { code, stdout: seen, stderr } = await running
  assert.equal(code, 0)
  assert.match(seen, /^frame 1, packet/)
  assert.match(stderr, /^\d+ of 10000 frames seen$/m)
})

const refused: [args: string[], message: RegExp][] = [
  [['nobody'], /nothing is called nobody/],
  [['-f', 'tcp and port'], /filter/],
  [['-n', '0'], /whole number from 1 to 10000/],
  [['-n', 'x'], /whole number/],
  [['--timeout', '0'], /positive number of seconds/]
]
for (const [args, message] of refused) {
  test(`trace ${args.join(' ')} is refused`, async () => {
    const { code, stderr } = await runHere(['trace', ...args], env)
    assert.notEqual(code, 0)
    assert.match(stderr, message)
  })
}
