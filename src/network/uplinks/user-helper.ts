/**
 * The two processes of the user uplink and the namespace of one of them (native/uplink), started and asked.
 */
import { loadNative } from '../../io/load-native.ts'
import type { OpenedTap } from '../../io/native-binding.ts'
import { Sandbox } from '../../sandbox/sandbox.ts'
import { findUplink } from '../../sandbox/shim-binary.ts'
import { ShimConnection } from '../../sandbox/shim-connection.ts'
import type { ShimMessage } from '../../sandbox/shim-message.ts'
import { type HelperLink, prepareHelper, steerHelper, TAP_NAME } from './helper-namespace.ts'

/** Seconds. */
export interface UserTimeouts {
  /** A UDP flow that nobody has answered. Default 30. */
  readonly udpUnreplied?: number
  /** One that was answered. Default 180. */
  readonly udpAssured?: number
  /** An identifier of echo requests. Default 30. */
  readonly ping?: number
}

export interface HelperPort {
  readonly key: string
  readonly protocol: 'tcp' | 'udp'
  readonly address: string
  readonly port: number
  readonly target: string
  readonly targetPort: number
}

/** A running helper. Both processes end with this one, however that ends. */
export class UserHelper {
  /** The end of the link that is the router's. The descriptor is the caller's. */
  readonly tap: OpenedTap
  /** What this user may not have: 'ping', 'ipv6'. */
  readonly missing: readonly string[]
  private readonly sandbox: Sandbox
  private readonly connection: ShimConnection
  private isClosing = false

  private constructor(sandbox: Sandbox, connection: ShimConnection, tap: OpenedTap, missing: readonly string[]) {
    this.sandbox = sandbox
    this.connection = connection
    this.tap = tap
    this.missing = missing
  }

  /**
   * `ended` is called once when either process has ended without being asked. Throws SandboxError: EPERM, ENOSPC (user namespaces),
   * EACCES, ENOENT (/dev/net/tun), ERR_SHIM_MISSING; NetlinkError; NativeUnavailableError.
   */
  static async start(link: HelperLink, timeouts: UserTimeouts, ended: (reason: string) => void): Promise<UserHelper> {
    const program = findUplink()
    const native = loadNative()
    const sandbox = await Sandbox.create({ name: 'netloom-uplink', init: false })
    let connection: ShimConnection | undefined
    let tap: OpenedTap | undefined
    try {
      await prepareHelper(sandbox)
      tap = await sandbox.openTap({ name: TAP_NAME })
      connection = await startProcesses(sandbox, program)
      let reason = 'the helper of the user uplink has ended'
      connection.onEvent = (event) => {
        if (event.word === 'failed') reason = `the helper of the user uplink: ${event.text('text')}`
      }
      const { message } = await connection.request(startRequest(link, timeouts))
      const missing = message.all('missing')
      await steerHelper(sandbox, link, !missing.includes('ipv6'))
      const helper = new UserHelper(sandbox, connection, tap, missing)
      const tell = once(() => {
        if (!helper.isClosing) ended(reason)
      })
      connection.onClose = tell
      sandbox.onExit(tell)
      return helper
    } catch (error) {
      if (tap !== undefined) native.closeFd(tap.fd)
      await connection?.disconnect()
      await sandbox.close()
      throw error
    }
  }

  /** Throws SandboxError: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
  async publish({ key, protocol, address, port, target, targetPort }: HelperPort): Promise<void> {
    const fields = [`key=${key}`, `protocol=${protocol}`, `address=${address}`, `port=${port}`]
    await this.connection.request(['publish', ...fields, `target=${target}`, `target-port=${targetPort}`])
  }

  async unpublish(key: string): Promise<void> {
    await this.connection.request(['unpublish', `key=${key}`])
  }

  /** Counters by their names in native/uplink/README.md. */
  async stats(): Promise<Record<string, number>> {
    const { message } = await this.connection.request(['stats'])
    return Object.fromEntries(COUNTERS.map((name) => [name, counterOf(message, name)]))
  }

  /** Ends both processes. The namespace itself goes with the TAP's descriptor. */
  async close(): Promise<void> {
    this.isClosing = true
    await this.connection.disconnect()
    await this.sandbox.close()
  }
}

const COUNTERS = [
  ...['tcpOpened', 'tcpRefused', 'tcpUnreachable', 'tcpDropped', 'tcpReset', 'tcpActive', 'tcpAccepted'],
  ...['udpFlows', 'udpActive', 'udpOut', 'udpIn', 'udpDropped', 'pings', 'pingReplies', 'icmpErrors', 'bytesOut', 'bytesIn']
] as const

function counterOf(message: ShimMessage, name: string): number {
  return message.integer(name) ?? 0
}

/** The socket maker in the sandbox and the relay outside, joined by a socket pair. */
async function startProcesses(sandbox: Sandbox, program: string): Promise<ShimConnection> {
  const native = loadNative()
  const [insideEnd, outsideEnd] = native.socketpairSeqpacket()
  try {
    await sandbox.spawn({ argv: [program, '--inside'], stdio: [insideEnd, 'null', 'null'] })
    return await ShimConnection.startProgram(program, ['--outside'], [outsideEnd])
  } finally {
    native.closeFd(insideEnd)
    native.closeFd(outsideEnd)
  }
}

function startRequest({ helper }: HelperLink, { udpUnreplied = 30, udpAssured = 180, ping = 30 }: UserTimeouts): string[] {
  const seconds = [`udp-unreplied=${udpUnreplied}`, `udp-assured=${udpAssured}`, `ping=${ping}`]
  return ['start', `address=${helper.address}`, `address6=${helper.address6}`, ...seconds]
}

function once(call: () => void): () => void {
  let called = false
  return () => {
    if (!called) call()
    called = true
  }
}
