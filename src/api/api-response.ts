/** How a handler answers. Exactly one of the methods is called, once; a handler that throws instead is answered by its error. */
import type { Duplex, Writable } from 'node:stream'

export interface ApiResponse {
  /** Whether the status line is out: an error after that can only end the connection. */
  readonly isSent: boolean
  /** A header beside those that every answer has; before the answer. */
  header(name: string, value: string): void
  /** Members whose value is undefined are left out. */
  json(status: number, value: unknown): void
  text(status: number, text: string): void
  /** No body: 204, 304, 201... */
  empty(status: number): void
  /**
   * Sends the headers at once, without a type when that is empty; what is written goes out in chunks. Heed `write`'s result (or use pipeline): it is the client's
   * pace. The stream is destroyed when the client goes.
   */
  stream(status: number, contentType: string): Writable
  /**
   * Takes over the connection: 101 UPGRADED when the client asked for an upgrade, else 200 and a raw stream until the end of the
   * connection. `end()` closes our direction only; the client's end arrives as 'end'. Default content type: Docker's raw stream.
   */
  hijack(contentType?: string): Promise<Duplex>
}
