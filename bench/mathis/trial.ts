// One flow of the Mathis experiment: node dist/bench/mathis/trial.js SEED SECONDS. Its values go to standard output as JSON.
import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../../src/lab/lab.ts'
import type { LabSandbox } from '../../src/lab/lab-sandbox.ts'
import { LinkControl } from '../../src/network/link-control.ts'
import { LINK_IN, LINK_OUT, type MathisTrial, WARM_UP } from './theory.ts'

/** The part of iperf3's JSON that is used. */
interface IperfReport {
  readonly error?: string
  readonly start?: { readonly tcp_mss_default: number }
  readonly end?: {
    readonly sum_received: { readonly bytes: number; readonly seconds: number }
    readonly streams: readonly [{ readonly sender: { readonly mean_rtt: number } }]
  }
}

const [seed, seconds] = process.argv.slice(2).map(Number) as [number, number]
const lab = await Lab.create({ seed, upstreams: [] })
try {
  const line = await lab.network('line', { subnet: '192.0.2.0/24' })
  const server = await line.sandbox('server')
  const client = await line.sandbox('client', { link: { out: LINK_OUT, in: LINK_IN } })
  await server.spawn(['iperf3', '-s', '-1'])
  await until(server, 5201)
  const flow = ['iperf3', '-J', '-c', server.address, '-C', 'reno', '-t', String(seconds), '-O', String(WARM_UP)]
  const report = JSON.parse(await output(client, flow)) as IperfReport
  const { start, end } = report
  if (report.error !== undefined || end === undefined) throw new Error(`iperf3: ${report.error ?? 'no result'}`)
  const mss = start!.tcp_mss_default
  const { counters } = new LinkControl(lab.controller).links()[0]!
  const trial: MathisTrial = {
    seed,
    mss,
    bitsPerSecond: (end.sum_received.bytes * 8) / end.sum_received.seconds,
    rttMs: end.streams[0].sender.mean_rtt / 1000,
    // Of the whole flow, the warm-up too; the few acknowledgments of iperf3's own connection are among them.
    lossShare: counters['out.lost']! / (await segmentsSent(client)),
    queueDrops: counters['out.queueDrops']!
  }
  console.log(JSON.stringify(trial))
} finally {
  await lab.close()
}

async function output(sandbox: LabSandbox, argv: readonly string[]): Promise<string> {
  const { stdout } = await sandbox.spawn(argv)
  let text = ''
  for await (const chunk of stdout!) text += chunk
  return text
}

/** By all connections of the sandbox, as its kernel counts them (RFC 4022, tcpOutSegs): super-frames by their segments. */
async function segmentsSent(sandbox: LabSandbox): Promise<number> {
  const [names, numbers] = (await output(sandbox, ['cat', '/proc/net/snmp'])).split('\n').filter((line) => line.startsWith('Tcp:'))
  return Number(numbers!.split(' ')[names!.split(' ').indexOf('OutSegs')])
}

/** The sandbox listens at the port. */
async function until(sandbox: LabSandbox, port: number): Promise<void> {
  const hexadecimal = port.toString(16).toUpperCase().padStart(4, '0')
  for (let tries = 0; !(await output(sandbox, ['cat', '/proc/net/tcp', '/proc/net/tcp6'])).includes(`:${hexadecimal} 0`); tries++) {
    if (tries > 100) throw new Error('iperf3 does not listen')
    await sleep(50)
  }
}
