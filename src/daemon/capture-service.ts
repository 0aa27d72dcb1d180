/**
 * Captures as a host's API serves them: filters in text, rows without what only the engine needs.
 */
import os from 'node:os'
import type { CaptureBackend, CapturePointRow, CaptureRequest } from '../api/capture-backend.ts'
import type { SectionOptions } from '../capture/pcapng-writer.ts'
import { captureFilter } from '../lab/capture-filter.ts'
import type { CaptureControl } from '../network/capture-control.ts'
import type { CaptureOutlet, CaptureStatus, CaptureSummary, LiveCapture } from '../network/live-capture.ts'

export class CaptureService implements CaptureBackend {
  private readonly control: CaptureControl

  constructor(control: CaptureControl) {
    this.control = control
  }

  captures(): CaptureStatus[] {
    return this.control.captures()
  }

  capturePoints(): CapturePointRow[] {
    return this.control.points().map(({ name, kind, description, mac, addresses, network, speed }) => {
      return {
        name,
        kind,
        description,
        addresses,
        ...(mac !== undefined && { mac }),
        ...(network !== undefined && { network }),
        ...(speed !== undefined && { speed })
      }
    })
  }

  async openCapture({ filter: text = '', ...wish }: CaptureRequest, outlet: CaptureOutlet): Promise<LiveCapture> {
    const filter = text.trim() === '' ? {} : { filter: { text, program: await captureFilter(text) } }
    return this.control.open({ ...wish, ...filter }, outlet)
  }

  async stopCapture(id: string): Promise<CaptureSummary> {
    return this.control.capture(id).stop()
  }
}

/** For section headers: what captured, on which machine. */
export function captureSection(version: string, comment: string): SectionOptions {
  return { application: `netloom ${version}`, hardware: os.machine(), os: `${os.type()} ${os.release()}`, comment }
}
