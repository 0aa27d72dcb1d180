/** What passes between those who capture and the writer thread. */
import type { MessagePort } from 'node:worker_threads'
import type { CaptureCounts, CaptureOptions } from './capture-recorder.ts'
import type { AddressNames, InterfaceInfo } from './pcapng-writer.ts'

export interface CaptureWorkerData {
  /** Two words: the doorbell of all rings, and the number of commands sent. */
  readonly bell: SharedArrayBuffer
  readonly commands: MessagePort
}

/** `id` is the capture's. */
export type CaptureCommand =
  /** Into the file at `path`; without one in pieces to the main thread. */
  | { type: 'open'; id: number; path: string | undefined; options: CaptureOptions; ring: SharedArrayBuffer }
  | { type: 'interface'; id: number; info: InterfaceInfo }
  | { type: 'comment'; id: number; text: string }
  | { type: 'names'; id: number; entries: AddressNames[] }
  /** The stream's reader has taken so many bytes. */
  | { type: 'credit'; id: number; bytes: number }
  /** The stream's reader is gone. */
  | { type: 'abort'; id: number; message: string }
  /** The thread ends after the captures that are open. */
  | { type: 'end' }

/** `failed` before `opened`: there is no capture. After it: nothing more is written, the frames are still drained. */
export type CaptureReport =
  | { type: 'opened'; id: number }
  | { type: 'failed'; id: number; code: string; message: string }
  | { type: 'piece'; id: number; bytes: Uint8Array }
  | { type: 'closed'; id: number; counts: CaptureCounts }
