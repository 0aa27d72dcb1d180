/**
 * Captures as a host's API serves them: filters in text, rows without what only the engine needs.
 */
import os from 'node:os'
import type { CaptureBackend, CapturePointRow, CaptureRequest } from '../api/capture-backend.ts'
import type { SectionOptions } from '../capture/pcapng-writer.ts'
import { captureFilter } from '../lab/capture-filter.ts'
import type { CaptureControl } from '../network/capture-control.ts'
import { withoutSite } from '../network/explain-target.ts'
import type { CaptureOutlet, CaptureStatus, CaptureSummary, LiveCapture } from '../network/live-capture.ts'

export class CaptureService implements CaptureBackend {
  private readonly control: CaptureControl
  private readonly site: string

  /** @param site what the host is called in its lab, whose captures they are */
  constructor(control: CaptureControl, site = '') {
    this.control = control
    this.site = site
  }

  captures(): CaptureStatus[] {
    return this.control.captures()
  }

  capturePoints(): CapturePointRow[] {
    return this.control.points().map(({ name, kind, description, mac, addresses, network, link, speed }) => {
      return {
        name,
        kind,
        description,
        addresses,
        ...(mac !== undefined && { mac }),
        ...(network !== undefined && { network }),
        ...(link !== undefined && this.isSettable(kind, link) && { link: withoutSite(link, this.site) }),
        ...(speed !== undefined && { speed })
      }
    })
  }

  /** Links of other hosts' endpoints are set there; cables anywhere. */
  private isSettable(kind: CapturePointRow['kind'], link: string): boolean {
    return this.site === '' || kind !== 'endpoint' || link.startsWith(`${this.site}/`)
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
