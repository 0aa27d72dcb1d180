// An engine that runs inside the test's own event loop with the real poller: turns alternate with the loop, so the test can
// await processes meanwhile.
import { setImmediate } from 'node:timers/promises'
import { RealClock } from '../../src/engine/clock.ts'
import { ElementRegistry, type ElementType } from '../../src/engine/element.ts'
import { Engine } from '../../src/engine/engine.ts'
import { EMPTY_TOPOLOGY, type Topology } from '../../src/engine/topology.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { PollEvent } from '../../src/io/native-binding.ts'
import { tapElement } from '../../src/io/tap-element.ts'

export class PolledEngine {
  readonly engine: Engine
  readonly events: { element: string; event: unknown }[] = []
  /** Hears events as they come, besides the list. */
  onEvent: ((element: string, event: unknown) => void) | null = null
  private readonly native = loadNative()
  private readonly poller = this.native.pollerCreate()
  private running = true
  private readonly loop: Promise<void>

  /** `more`: element types beside TAPs. */
  constructor(topology: Topology, ...more: readonly ElementType<never>[]) {
    this.engine = new Engine({
      clock: new RealClock(),
      elements: new ElementRegistry().register(tapElement).register(...more),
      pool: { checked: true },
      poller: {
        add: (fd, node) => this.native.pollerAdd(this.poller, fd, node, PollEvent.readable),
        remove: (fd) => this.native.pollerRemove(this.poller, fd)
      },
      onEvent: (element, event) => {
        this.events.push({ element, event })
        this.onEvent?.(element, event)
      }
    })
    this.engine.configure(topology)
    this.loop = this.run()
  }

  private async run(): Promise<void> {
    const events = new Int32Array(64)
    const ready = new Int32Array(32)
    let busy = false
    while (this.running) {
      const count = this.native.pollerWait(this.poller, events, busy ? 0 : 200_000)
      for (let i = 0; i < count; i++) ready[i] = events[2 * i]
      busy = this.engine.turn(ready, count)
      await setImmediate()
    }
  }

  async close(): Promise<void> {
    this.running = false
    await this.loop
    this.engine.configure(EMPTY_TOPOLOGY)
    this.native.pollerClose(this.poller)
  }
}
