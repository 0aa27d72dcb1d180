import type { Uplink } from '../uplink.ts'

/** No way out: networks are routed and filtered, published ports answer to each other's containers, and the world is unreachable. */
export class NoUplink implements Uplink {
  readonly kind = 'none'

  async start(): Promise<null> {
    return null
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  async publish(): Promise<void> {}

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {}
}
