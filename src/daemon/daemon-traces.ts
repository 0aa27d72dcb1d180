import type { TraceBackend } from '../api/trace-backend.ts'
import type { TraceRequest } from '../api/trace-json.ts'
import { captureFilter } from '../lab/capture-filter.ts'
import type { NetworkController } from '../network/controller.ts'
import { type RunningTrace, TraceControl } from '../network/trace-control.ts'

/** Follows frames of a daemon's networks; filters may be all that libpcap knows. */
export class DaemonTraces implements TraceBackend {
  private readonly control: TraceControl

  constructor(controller: NetworkController) {
    this.control = new TraceControl(controller)
  }

  async openTrace({ filter, ...request }: TraceRequest): Promise<RunningTrace> {
    return this.control.open({ ...request, ...(filter !== undefined && { filter: await captureFilter(filter) }) })
  }
}
