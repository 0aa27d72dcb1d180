/**
 * A capture of everything, whole frames, beside 1 Gbit/s of TCP between two namespaces: nothing is lost, and tshark agrees. Where the disk, or
 * a neighbor, leaves no room for that, it is less that is sent.
 */
import assert from 'node:assert/strict'
import { rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Lab, readCapture } from '../../src/index.ts'
import { run as judge, missing, temporaryFolder } from '../capture/judge.ts'
import { eventually, noSandbox } from './sandbox-set-up.ts'

const RATE = 1e9
const SECONDS = 2
/** With the whole rate, on a machine that is busy; as a rule the first is enough. */
const WHOLE_ROUNDS = 4
/** At most. Behind those with the whole rate each has half of the one before. */
const ROUNDS = 8

const skip = noSandbox || missing('iperf3') || missing('capinfos')

test('1 Gbit/s with whole frames loses nothing', { skip, timeout: 300_000 }, async (t) => {
  const lab = await Lab.create({ upstreams: [] })
  t.after(() => lab.close())
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const [client, server] = [await lan.sandbox('client'), await lan.sandbox('server')]
  const listening = await server.spawn(['iperf3', '-s'], { stdio: ['null', 'null', 'null'] })
  await eventually('iperf3 listens', () => judge('nsenter', ['-t', `${listening.pid}`, '-n', 'ss', '-ltn']).includes(':5201'))
  // A machine that has no core for the writer for half a second loses copies: then once more.
  for (let round = 1; ; round++) {
    const file = path.join(temporaryFolder(t), 'all.pcapng')
    const capture = await lab.capture(file)
    const rate = RATE / 2 ** Math.max(0, round - WHOLE_ROUNDS)
    const argv = ['iperf3', '-c', server.address, '-b', `${rate}`, '-t', `${SECONDS}`, '-J']
    const sending = await client.spawn(argv, { stdio: ['null', 'pipe', 'null'] })
    const { sum_received: received } = JSON.parse(await text(sending.stdout!)).end
    const { frames, dropped, bytes } = await capture.close()
    t.diagnostic(`${(received.bits_per_second / 1e9).toFixed(3)} Gbit/s, ${frames} frames, ${dropped} lost, ${(bytes / 1e6).toFixed(0)} MB`)
    assert.equal(statSync(file).size, bytes)
    assert.match(judge('capinfos', ['-M', '-c', file]), new RegExp(`Number of packets:\\s+${frames}\\b`))
    const lost = readCapture(file)
    assert.ok([...lost].length === frames)
    assert.equal(
      lost.interfaces.reduce((sum, { statistics }) => sum + Number(statistics!.dropped), 0),
      dropped,
      'what is lost stands in the file'
    )
    rmSync(file)
    if (dropped > 0 && round < ROUNDS) continue
    assert.equal(dropped, 0)
    assert.ok(bytes > received.bytes, `${bytes} bytes in the file, ${received.bytes} arrived`)
    if (rate < RATE) t.skip(`this machine has room for ${rate / 1e6} Mbit/s only, of which nothing was lost`)
    return
  }
})
