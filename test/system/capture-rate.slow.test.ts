/** A capture of everything, whole frames, beside 1 Gbit/s of TCP between two namespaces: nothing is lost, and tshark agrees. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Lab } from '../../src/index.ts'
import { run as judge, missing, temporaryFolder } from '../capture/judge.ts'
import { eventually, noSandbox } from './sandbox-set-up.ts'

const RATE = 1e9
const SECONDS = 3

const skip = noSandbox || missing('iperf3') || missing('capinfos')

test('1 Gbit/s with whole frames loses nothing', { skip, timeout: 60_000 }, async (t) => {
  const file = path.join(temporaryFolder(t), 'all.pcapng')
  const lab = await Lab.create({ upstreams: [] })
  t.after(() => lab.close())
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const [client, server] = [await lan.sandbox('client'), await lan.sandbox('server')]
  const listening = await server.spawn(['iperf3', '-s', '-1'], { stdio: ['null', 'null', 'null'] })
  await eventually('iperf3 listens', () => judge('nsenter', ['-t', `${listening.pid}`, '-n', 'ss', '-ltn']).includes(':5201'))
  const capture = await lab.capture(file)
  const sending = await client.spawn(['iperf3', '-c', server.address, '-b', `${RATE}`, '-t', `${SECONDS}`, '-J'], {
    stdio: ['null', 'pipe', 'pipe']
  })
  const { sum_received: received, sum_sent: sent } = JSON.parse(await text(sending.stdout!)).end
  const { frames, dropped, bytes } = await capture.close()
  t.diagnostic(`${(received.bits_per_second / 1e9).toFixed(3)} Gbit/s, ${frames} frames, ${dropped} lost, ${(bytes / 1e6).toFixed(0)} MB`)
  assert.equal(dropped, 0)
  assert.equal(statSync(file).size, bytes)
  assert.ok(bytes > sent.bytes, `${bytes} bytes in the file, ${sent.bytes} were sent`)
  assert.match(judge('capinfos', ['-M', '-c', file]), new RegExp(`Number of packets:\\s+${frames}\\b`))
})
