import type { Writable } from 'node:stream'
import type { CaptureOutlet } from './capture-backend.ts'

/** A capture's file as the body of an answer, at the client's pace. */
export class AnswerOutlet implements CaptureOutlet {
  private body: Writable | null = null
  /** Resolves when the client has taken what was written, rejects when it goes; null: nothing waits. */
  private drained: Promise<void> | null = null
  private begin: () => void = () => {}
  private readonly begun = new Promise<void>((resolve) => {
    this.begin = resolve
  })

  /** The headers are out: what was written before goes now. */
  attach(body: Writable): void {
    this.body = body
    // A client that goes is told by `gone` and by the next write; the error itself says no more.
    body.on('error', () => {})
    this.begin()
  }

  write(chunk: Uint8Array): void | Promise<void> {
    return this.body === null ? this.begun.then(() => this.send(this.body!, chunk)) : this.send(this.body, chunk)
  }

  close(error?: Error): void {
    if (this.body === null) void this.begun.then(() => this.close(error))
    else if (error === undefined) this.body.end()
    else this.body.destroy(error)
  }

  private send(body: Writable, chunk: Uint8Array): void | Promise<void> {
    if (body.destroyed) throw new Error('the client has gone')
    if (body.write(chunk)) return
    this.drained ??= this.drain(body)
    return this.drained
  }

  /** One for all that wait: of a reader who stands still hundreds of pieces may be pending. */
  private drain(body: Writable): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.drained = null
        body.off('drain', done)
        body.off('close', done)
        if (body.destroyed) reject(new Error('the client has gone'))
        else resolve()
      }
      body.on('drain', done)
      body.on('close', done)
    })
  }
}
