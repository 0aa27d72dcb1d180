/**
 * What `netloom attach` and `netloom detach` say to the process that holds a network: one JSON object per line over a Unix
 * socket. A connection that attached something stands for it: when it ends, the endpoint goes.
 */
export interface AttachRequest {
  readonly verb: 'attach'
  readonly target: AttachTarget
  readonly name: string
  readonly ip?: string
  readonly mac?: string
  readonly aliases: readonly string[]
  readonly interfaceName: string
  readonly mtu: number
}

export type AttachTarget =
  | { readonly pid: number }
  | { readonly path: string }
  /** `user`: who may open the TAP, a name or a number. */
  | { readonly tap: string; readonly user?: string }

export interface DetachRequest {
  readonly verb: 'detach'
  readonly name: string
}

export type Request = AttachRequest | DetachRequest

/** The endpoint that an attach made. */
export interface AttachedEndpoint {
  readonly network: string
  readonly subnet: string
  readonly gateway: string | null
  readonly name: string
  readonly ip: string
  readonly mac: string
}

export interface WireError {
  readonly message: string
  readonly code?: string
  readonly fix?: string
}

export type Message =
  | { readonly ok: true; readonly endpoint?: AttachedEndpoint }
  | { readonly ok: false; readonly error: WireError }
  /** Somebody detached the endpoint of this connection. */
  | { readonly detached: true }
