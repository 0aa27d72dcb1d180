/**
 * The main job: two real processes in namespaces of their own talk by name through our engine, a virtual host answers them,
 * and a capture shows every frame.
 */
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { EndpointReport, Lab } from '../../lab/lab.ts'
import type { LabCaptureResult } from '../../lab/lab-capture.ts'
import type { LabHost } from '../../lab/lab-host.ts'
import type { LabNetwork } from '../../lab/lab-network.ts'
import type { LabSandbox } from '../../lab/lab-sandbox.ts'
import { CliError } from '../cli-error.ts'
import type { Output } from '../output.ts'
import type { Progress } from '../progress.ts'
import type { ClientLine } from './client.ts'

const SUBNET = '172.25.0.0/16'
const FETCHES = 100
const TRANSFER_BYTES = 256 * 1024 * 1024
const VIRTUAL_TRANSFER_BYTES = 16 * 1024 * 1024
const SNAP_LENGTH = 256
const PINGS = 5
/** For each answer: a machine may be busy with other things. */
const PING_PATIENCE_MS = 10_000
const ECHO_PORT = 7
const ECHO_DATAGRAMS = 10

export interface Transfer {
  readonly bytes: number
  readonly seconds: number
  readonly gbitPerSecond: number
}

export interface DemoResult {
  /** `processes`: real ones behind TAPs; `virtual-hosts`: this machine allows no TAP. */
  readonly mode: 'processes' | 'virtual-hosts'
  /** Why there are no processes. */
  readonly reason?: string
  readonly network: string
  readonly subnet: string
  readonly fetches: number
  readonly transfer: Transfer
  readonly ping: { readonly sent: number; readonly received: number; readonly medianMicroseconds: number }
  readonly udpEcho: { readonly sent: number; readonly received: number }
  readonly endpoints: readonly EndpointReport[]
  /** `error`: why the file ends before the traffic did. */
  readonly capture: LabCaptureResult & { readonly path: string; readonly error?: string }
}

/** Runs it in `lab`, which the caller made and closes. Rejects when any part of it did not work. */
export async function runDemo(lab: Lab, capturePath: string, output: Output): Promise<DemoResult> {
  const network = await lab.network('demo-net', { subnet: SUBNET })
  output.line(`network demo-net  ${network.subnet}, gateway ${network.gateway}`)
  let captureError: Error | undefined
  const onError = (error: Error): void => {
    captureError = error
  }
  const capture = await lab.capture(capturePath, { snapLength: SNAP_LENGTH, onError })
  const sandboxes = await startSandboxes(network)
  const echo = await network.host('echo', { udpEcho: [ECHO_PORT] })
  const told = Array.isArray(sandboxes) ? undefined : sandboxes
  if (told !== undefined) {
    output.line(`no processes: ${told.message}`)
    for (const line of told.fix?.split('\n') ?? []) output.line(`  ${output.style('cyan', 'fix:')} ${line}`)
    output.line('going on with virtual hosts: names, ping and UDP')
  }
  const work = Array.isArray(sandboxes) ? await withProcesses(sandboxes, echo, output) : await withVirtualHosts(network, echo, output)
  const endpoints = lab.report()
  const counts = await capture.close()
  return {
    mode: told === undefined ? 'processes' : 'virtual-hosts',
    reason: told?.message,
    network: network.name,
    subnet: network.subnet,
    ...work,
    endpoints,
    capture: { path: capturePath, ...counts, error: captureError?.message }
  }
}

type Work = Pick<DemoResult, 'fetches' | 'transfer' | 'ping' | 'udpEcho'>

/** Both sandboxes, or why this machine has none. */
async function startSandboxes(network: LabNetwork): Promise<LabSandbox[] | { message: string; fix?: string }> {
  try {
    // One after the other, so that the addresses are the same on every run.
    return [await network.sandbox('web'), await network.sandbox('client')]
  } catch (error) {
    const { message, fix } = error as Error & { fix?: string }
    return { message, fix: fix ?? '`netloom doctor` says what is missing' }
  }
}

async function withProcesses([web, client]: LabSandbox[], echo: LabHost, output: Output): Promise<Work> {
  for (const { name, address } of [web, client]) output.line(`sandbox ${name.padEnd(7)}  ${address}, eth0 is a TAP of ours`)
  output.line(`host echo        ${echo.address}, inside this process`)
  const server = await web.spawn([process.execPath, script('web-server')])
  await firstLine(server.stdout!)
  output.line('web              node serves HTTP on port 80')
  const clientWork = await runClient(client, output)
  const ping = await pingFrom(echo, client.name, output)
  server.kill('SIGTERM')
  return { ...clientWork, ping }
}

/** Runs the client's script and shows what it reports. */
async function runClient(client: LabSandbox, output: Output): Promise<Omit<Work, 'ping'>> {
  const process_ = await client.spawn([process.execPath, script('client'), String(FETCHES), String(TRANSFER_BYTES)])
  let errors = ''
  process_.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4096)
  })
  const fetchProgress = output.progress({ label: 'fetch http://web/', total: FETCHES })
  let transferProgress: Progress | undefined
  let fetches = 0
  let transfer = transferOf(0, 1)
  let udpEcho = { sent: 0, received: 0 }
  for await (const text of createInterface({ input: process_.stdout! })) {
    const line = JSON.parse(text) as ClientLine
    if (line.step === 'fetch') {
      fetches = line.done
      if (fetches < FETCHES) fetchProgress.update(fetches)
      else fetchProgress.finish('by name')
    } else if (line.step === 'bulk') {
      transferProgress ??= output.progress({ label: 'transfer from web', total: TRANSFER_BYTES, format: mebibytes })
      transfer = transferOf(line.bytes, line.seconds)
      if (line.bytes < TRANSFER_BYTES) transferProgress.update(line.bytes, gigabits(transfer))
      else transferProgress.finish(gigabits(transfer))
    } else {
      udpEcho = { sent: line.sent, received: line.received }
      output.line(`UDP to echo: ${line.received} of ${line.sent} came back, by name`)
    }
  }
  const { code, signal } = await process_.wait()
  if (code !== 0) {
    throw new CliError(`the client ended with ${signal ?? `exit code ${code}`}: ${errors.trim()}`, {
      code: 'ERR_DEMO',
      fix: 'open the capture to see how far it came'
    })
  }
  return { fetches, transfer, udpEcho }
}

async function withVirtualHosts(network: LabNetwork, echo: LabHost, output: Output): Promise<Work> {
  const client = await network.host('client')
  for (const { name, address } of [client, echo]) output.line(`host ${name.padEnd(7)}     ${address}, inside this process`)
  const [address] = await client.resolve('echo')
  output.line(`client: echo is ${address}, said the network's DNS`)
  const ping = await pingFrom(client, 'echo', output)
  const transfer = await transferUdp(client, echo, output)
  return { fetches: 0, transfer, ping, udpEcho: await echoUdp(client, address) }
}

async function transferUdp(from: LabHost, to: LabHost, output: Output): Promise<Transfer> {
  const progress = output.progress({ label: `UDP transfer to ${to.name}`, total: VIRTUAL_TRANSFER_BYTES, format: mebibytes })
  const sink = await to.sink()
  // By the wall: the engine's own time stands still within a turn, and one turn may carry it all.
  const start = performance.now()
  const { bytes } = await from.bulk(to.name, sink, { bytes: VIRTUAL_TRANSFER_BYTES })
  const transfer = transferOf(bytes, (performance.now() - start) / 1000)
  progress.finish(gigabits(transfer))
  return transfer
}

async function echoUdp(from: LabHost, address: string): Promise<DemoResult['udpEcho']> {
  const socket = await from.udp()
  let received = 0
  for (let sent = 0; sent < ECHO_DATAGRAMS; sent++) {
    await socket.send(address, ECHO_PORT, `echo ${sent}`)
    const { data } = await socket.receive()
    if (new TextDecoder().decode(data) === `echo ${sent}`) received++
  }
  await socket.close()
  return { sent: ECHO_DATAGRAMS, received }
}

async function pingFrom(host: LabHost, target: string, output: Output): Promise<DemoResult['ping']> {
  const { sent, received, rttNs } = await host.ping(target, { count: PINGS, intervalMs: 100, timeoutMs: PING_PATIENCE_MS })
  const medianMicroseconds = Math.round([...rttNs].sort((a, b) => a - b)[rttNs.length >> 1] / 1000)
  output.line(
    `ping from ${host.name} to ${target}: ${received} of ${sent} answered, ${medianMicroseconds > 0 ? `${medianMicroseconds} us` : 'within one turn of the engine'}`
  )
  if (received < sent) throw new CliError(`${sent - received} of ${sent} pings to ${target} were lost`, { code: 'ERR_DEMO' })
  return { sent, received, medianMicroseconds }
}

function firstLine(stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('data', () => resolve())
    stream.once('end', () => reject(new CliError('the web server ended before it listened', { code: 'ERR_DEMO' })))
  })
}

function script(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}

function transferOf(bytes: number, seconds: number): Transfer {
  return { bytes, seconds, gbitPerSecond: (bytes * 8) / seconds / 1e9 }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1048576)} MiB`
}

function gigabits({ gbitPerSecond }: Transfer): string {
  return `${gbitPerSecond.toFixed(2)} Gbit/s`
}
