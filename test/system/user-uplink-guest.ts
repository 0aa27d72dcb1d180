// Run as an ordinary user: the user uplink and one container behind it, without an engine. The container is what the router would
// be, with its address and MAC; a cable joins the two TAPs. Orders come as JSON lines on stdin, answers go out on stdout.
import { readdirSync, readlinkSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { realTimers, type Timers } from '../../src/engine/clock.ts'
import type { UplinkPart, UplinkPort } from '../../src/network/uplink.ts'
import { UserUplink } from '../../src/network/uplinks/user-uplink.ts'
import { Sandbox } from '../../src/sandbox/sandbox.ts'
import { forward } from './tap-forwarder.ts'

export type GuestOrder =
  | { readonly run: readonly string[] }
  | { readonly publish: readonly UplinkPort[] }
  /** As soon as a new helper's TAP has taken the old one's place, before its ports are there. */
  | { readonly publishWhenChanged: readonly UplinkPort[] }
  /** The next new TAP is refused, as by an engine that cannot take it. */
  | { readonly refuseChange: string }
  | { readonly unpublish: readonly string[] }
  /** Frames in base64, as if the router had sent them. */
  | { readonly frames: readonly string[] }
  | { readonly stats: true }
  | { readonly failures: true }
  | { readonly logs: true }
  | { readonly hostAddresses: true }
  /** Open TAPs of the uplink and the container. */
  | { readonly taps: true }

export interface GuestAnswer {
  readonly error?: { readonly code: string; readonly errno?: string; readonly message: string }
  readonly status?: number | null
  readonly stdout?: string
  readonly stderr?: string
  readonly stats?: Record<string, number>
  readonly failures?: readonly string[]
  readonly logs?: readonly string[]
  readonly hostAddresses?: readonly string[]
  readonly taps?: number
}

/** virtio_net_hdr_v1 of a frame that needs nothing. */
const PLAIN_HEADER = 12

const failures: string[] = []
let hostAddresses: readonly string[] = []
const logs: string[] = []
let portsWhenChanged: readonly UplinkPort[] = []
let refusal = ''
/** Waits before a restart are a tenth of what they are called. */
const timers: Timers = { after: (ms, call) => realTimers.after(ms / 10, call) }
const uplink = new UserUplink({ timeouts: JSON.parse(process.argv[2] ?? '{}'), timers })
const part = await uplink.start({
  hostAddresses: (addresses) => {
    hostAddresses = addresses
  },
  changed: async (next) => {
    if (refusal !== '') {
      const error = new Error(refusal)
      refusal = ''
      throw error
    }
    pullOut(tap.fd)
    uplinkFd = fdOf(next)
    pullOut = forward(uplinkFd, tap.fd)
    await uplink.publish(portsWhenChanged)
    portsWhenChanged = []
  },
  listen: () => {},
  log: (message) => logs.push(message),
  failed: (error) => failures.push(error.message)
})
hostAddresses = part.hostAddresses
const container = await Sandbox.create({ name: 'container' })
const tap = await container.openTap({ name: 'eth0' })
let uplinkFd = fdOf(part)
let pullOut = forward(uplinkFd, tap.fd)
const { mac, addresses } = part.interface
const gateways = Object.values(part.routes).map(({ via }) => via)
await container.configureInterface({
  name: 'eth0',
  mac,
  address: addresses[0],
  gateway: gateways[0],
  address6: addresses[1],
  gateway6: gateways[1]
})
print({ ready: { mac, addresses, logs, pids: [process.pid, container.shimPid] } })

const lines = createInterface({ input: process.stdin })
for await (const line of lines) {
  void answer(JSON.parse(line))
}
await uplink.close()
await container.close()
pullOut()

function fdOf({ elements }: UplinkPart): number {
  return (elements['uplink/tap'].options as { fd: number }).fd
}

async function answer({ id, order }: { id: number; order: GuestOrder }): Promise<void> {
  let result: GuestAnswer
  try {
    result = await carryOut(order)
  } catch (error) {
    const { code = '', errno, message } = error as Error & { code?: string; errno?: string }
    result = { error: { code, errno, message } }
  }
  print({ id, ...result })
}

async function carryOut(order: GuestOrder): Promise<GuestAnswer> {
  if ('run' in order) {
    const started = await container.spawn({ argv: order.run, stdio: ['null', 'pipe', 'pipe'] })
    const [stdout, stderr, { code }] = await Promise.all([text(started.stdout!), text(started.stderr!), started.wait()])
    return { status: code, stdout, stderr }
  }
  if ('publish' in order) await uplink.publish(order.publish)
  if ('publishWhenChanged' in order) portsWhenChanged = order.publishWhenChanged
  if ('refuseChange' in order) refusal = order.refuseChange
  if ('unpublish' in order) await uplink.unpublish(order.unpublish)
  if ('frames' in order) {
    for (const frame of order.frames) writeSync(uplinkFd, Buffer.concat([Buffer.alloc(PLAIN_HEADER), Buffer.from(frame, 'base64')]))
  }
  if ('stats' in order) return { stats: await uplink.stats() }
  if ('failures' in order) return { failures }
  if ('logs' in order) return { logs }
  if ('hostAddresses' in order) return { hostAddresses }
  if ('taps' in order) return { taps: readdirSync('/proc/self/fd').filter(isTap).length }
  return {}
}

function isTap(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).endsWith('/tun')
  } catch {
    return false // that of the listing itself
  }
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
