import type { ExecInspect } from '../api/container-json.ts'
import type { Hijacked, HttpTransport } from './http-transport.ts'

export interface ExecRequest {
  readonly User?: string
  readonly Privileged?: boolean
  readonly Tty?: boolean
  readonly AttachStdin?: boolean
  readonly AttachStdout?: boolean
  readonly AttachStderr?: boolean
  readonly DetachKeys?: string
  readonly Env?: readonly string[]
  readonly WorkingDir?: string
  readonly Cmd: readonly string[]
}

/** Processes in running containers. */
export class ExecCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  create(container: string, request: ExecRequest): Promise<{ Id: string }> {
    return this.http.call('POST', `/containers/${encodeURIComponent(container)}/exec`, { json: request })
  }

  /** Starts it, and gives its streams. */
  attach(id: string, options: { tty: boolean; size?: [rows: number, columns: number] | undefined }): Promise<Hijacked> {
    return this.http.hijack('POST', `/exec/${id}/start`, { json: { Detach: false, Tty: options.tty, ConsoleSize: options.size } })
  }

  /** Starts it, and lets it run. */
  async detach(id: string, tty: boolean): Promise<void> {
    await this.http.call('POST', `/exec/${id}/start`, { json: { Detach: true, Tty: tty } })
  }

  inspect(id: string): Promise<ExecInspect> {
    return this.http.call('GET', `/exec/${id}/json`)
  }

  async resize(id: string, rows: number, columns: number): Promise<void> {
    await this.http.call('POST', `/exec/${id}/resize`, { query: { h: rows, w: columns } })
  }
}
