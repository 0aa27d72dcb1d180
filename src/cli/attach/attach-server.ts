/**
 * Holds a network in the foreground and plugs in what other `netloom attach` processes ask for.
 */
import { chmodSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Lab } from '../../lab/lab.ts'
import type { LabNetwork } from '../../lab/lab-network.ts'
import type { AttachedEndpoint, AttachRequest, Message, Request, WireError } from './attach-protocol.ts'
import { JsonLines } from './json-lines.ts'

/** What can be taken away again. */
interface Plugged {
  readonly name: string
  readonly address: string
  readonly endpoint: { readonly mac: string }
  close(): Promise<void>
}

export class AttachServer {
  private readonly network: LabNetwork
  private readonly socketPath: string
  private readonly server: Server
  private readonly attached = new Map<string, { plugged: Plugged; lines: JsonLines; socket: Socket }>()
  private readonly idleListeners: (() => void)[] = []

  private constructor(network: LabNetwork, socketPath: string) {
    this.network = network
    this.socketPath = socketPath
    this.server = createServer((socket) => this.accept(socket))
  }

  /** Rejects with EADDRINUSE when another process holds the network. */
  static async start(lab: Lab, network: LabNetwork, socketPath: string): Promise<AttachServer> {
    const server = new AttachServer(network, socketPath)
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject)
      server.server.listen(socketPath, resolve)
    })
    chmodSync(socketPath, 0o600)
    lab.onClose(() => server.close())
    return server
  }

  /** Endpoints that are plugged in. */
  get size(): number {
    return this.attached.size
  }

  /** Resolves when nothing is plugged in any more. */
  idle(): Promise<void> {
    if (this.attached.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.idleListeners.push(resolve))
  }

  async close(): Promise<void> {
    this.server.close()
    for (const { socket } of this.attached.values()) socket.destroy()
    try {
      unlinkSync(this.socketPath)
    } catch {} // the server's close removes it too
  }

  private accept(socket: Socket): void {
    let own: string | undefined
    let ended = false
    const lines = new JsonLines(socket, (message) => {
      this.answer(message as Request, socket, lines).then(
        (name) => {
          own ??= name
          // It was gone before its endpoint was there.
          if (ended && own !== undefined) this.detach(own).catch(() => {})
        },
        (error) => lines.send({ ok: false, error: wireError(error) } satisfies Message)
      )
    })
    socket.on('close', () => {
      ended = true
      if (own !== undefined) this.detach(own).catch(() => {})
    })
  }

  /** The name of what was plugged in, if it was. */
  private async answer(request: Request, socket: Socket, lines: JsonLines): Promise<string | undefined> {
    if (request.verb === 'detach') {
      await this.detach(request.name)
      lines.send({ ok: true } satisfies Message)
      return undefined
    }
    if (request.verb !== 'attach') throw new Error(`unknown verb '${(request as { verb: unknown }).verb}'`)
    const plugged = await this.plugIn(request)
    this.attached.set(plugged.name, { plugged, lines, socket })
    const endpoint: AttachedEndpoint = {
      network: this.network.name,
      subnet: this.network.subnet,
      gateway: this.network.gateway,
      name: plugged.name,
      ip: plugged.address,
      mac: plugged.endpoint.mac
    }
    lines.send({ ok: true, endpoint } satisfies Message)
    return plugged.name
  }

  private plugIn({ target, name, interfaceName, mtu, ip, mac, aliases }: AttachRequest): Promise<Plugged> {
    if ('tap' in target) return this.network.machine(name, { tap: target.tap, user: target.user, mtu, ip, mac, aliases })
    return this.network.attach(name, target, { interfaceName, mtu, ip, mac, aliases })
  }

  private async detach(name: string): Promise<void> {
    const entry = this.attached.get(name)
    if (entry === undefined) {
      const names = [...this.attached.keys()]
      throw Object.assign(new Error(`nothing named '${name}' is attached to ${this.network.name}`), {
        code: 'not-found',
        fix: names.length === 0 ? undefined : `attached are: ${names.join(', ')}`
      })
    }
    this.attached.delete(name)
    try {
      await entry.plugged.close()
    } finally {
      entry.lines.send({ detached: true } satisfies Message)
      entry.socket.end()
      if (this.attached.size === 0) for (const listener of this.idleListeners.splice(0)) listener()
    }
  }
}

function wireError(error: Error & { code?: string; fix?: string }): WireError {
  return { message: error.message, code: error.code, fix: error.fix }
}
