/**
 * What an element is, and what the engine gives it.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'
import type { Port } from './link.ts'
import type { Random } from './random.ts'
import type { Timer } from './timer-queue.ts'

/** Data that travels between threads by structured clone. */
export type Plain = unknown

/** Ends a command: an error or a value. Called once, at once or later. */
export type Reply = (error: Error | null, value?: Plain) => void

/** A network function with numbered ports. It owns every frame that it receives; transmit and drop give ownership away. */
export interface Element {
  /**
   * Frames wait on some port: handle all of them. `context.nextReady()` names the ports.
   * Frames left in a link must be announced again by `context.again(port)`.
   */
  push(): void
  /** For devices: take a batch from outside. True when more may be waiting, so that the engine asks again next turn. */
  pull?(): boolean
  /** New options for the same element; false when it must be made anew. */
  reconfigure?(options: Plain): boolean
  /**
   * Changes a part of what the element holds, beside its options, at the cost of that part. Throws before anything is changed.
   * Returns the change that undoes it.
   */
  update?(change: Plain): Plain
  /** A port was connected or disconnected. */
  portsChanged?(): void
  /** A request of the control plane, carried out between two turns. */
  command?(verb: string, argument: Plain, reply: Reply): void
  /** The end: give back frames that are held, close what is open. */
  close?(): void
}

/** Hears of a frame that is about to end: by which reason, in which element, and by which one it came in ('' when that is gone). */
export type DropWatch = (frame: FrameHandle, reason: number, element: string, ingress: string) => void

/** The file descriptors that wake the engine. */
export interface PollRegistry {
  /** `node` is named by the poller when the descriptor is readable. */
  add(fd: number, node: number): void
  remove(fd: number): void
}

/** The engine's services for one element. */
export interface ElementContext {
  /** The name in the topology. */
  readonly name: string
  /** The number of the element in this engine; stands in `frames.ingress` of frames that came in by it. */
  readonly number: number
  readonly frames: FramePool
  /** The element's ports by number; null where nothing is connected. The engine changes it between turns. */
  readonly ports: readonly (Port | null)[]
  /** One value per name in the type's `counters`. */
  readonly counters: Float64Array
  /** Nanoseconds since the engine's start, read once per turn. */
  readonly now: number
  /** Nanoseconds between 1970 and the engine's start. */
  readonly epochNs: bigint
  /** A generator of this element's own. */
  readonly random: Random
  /** Ends the frame: counts the reason here and at the port where the frame came in. */
  drop(frame: FrameHandle, reason: number): void
  /** Ends `handles[0..count-1]` for one reason; a batch costs less than as many `drop`. */
  dropAll(handles: Int32Array, count: number, reason: number): void
  /** The next port with waiting frames, each once per push; -1 when there is none. */
  nextReady(): number
  /** Frames were left in the link of `port`: come back in this turn. */
  again(port: number): void
  /** Has `push` called in this turn although no frame waits (a timer or a command made work). */
  schedule(): void
  /** Sends by a port, or drops where the port is not connected. */
  transmit(port: number, frame: FrameHandle): void
  /**
   * The engine keeps the frame until `due` (nanoseconds since its start; HOLD_MAX from now at most) and transmits it by `port` (0 or 1)
   * then. Frames of one element and one time leave in the order in which they were given; the end of the element drops them.
   */
  hold(port: number, frame: FrameHandle, due: number): void
  /** The same for `frames[0..count-1]`, each until the time in its place in `dues`, which may be changed: half the cost, and no object for a double. */
  holdAll(port: number, frames: Int32Array, dues: Float64Array, count: number): void
  /**
   * A port of another element, by whose `tx` frames leave as if that element had sent them; null where there is none now. For
   * replays: to be asked anew in each turn, since elements and links come and go between turns.
   */
  portOf(element: string, port: number): Port | null
  /** For devices: stamps a frame that enters the engine with this element's number, the time and a packet id. */
  enter(frame: FrameHandle): void
  /** The same for `frames[0..count-1]`, at half the cost. */
  enterAll(frames: Int32Array, count: number): void
  timer(fire: (now: number) => void): Timer
  /** Tells the control plane something; structured-clone data. */
  emit(event: Plain): void
  /**
   * Says what is done with the frame, for its walk; call only when `frames.flags` has FrameFlag.traced. `until`: the element keeps it so
   * long, nanoseconds since the engine's start. Where frames arrive, leave and end is noted by the engine.
   */
  trace(frame: FrameHandle, text: string, until?: number): void
  /** Tells `watch` of every drop in the engine from now on, nobody else; null: nobody any more. It must neither throw nor keep the frame. */
  watchDrops(watch: DropWatch | null): void
  /** What the control plane shared under a name (see Engine.share); undefined when there is none. */
  resource(name: string): unknown
  /** Asks to be pulled when `fd` is readable. */
  poll(fd: number): void
  unpoll(fd: number): void
}

/** How a kind of element is made. */
export interface ElementType<Options = Plain> {
  readonly type: string
  /** Ports that may be connected: 0 to maxPorts - 1. */
  readonly maxPorts: number
  /** Names of the element's counters, in the order of `context.counters`. */
  readonly counters: readonly string[]
  create(context: ElementContext, options: Options): Element
}

/** The kinds that an engine can make. */
export class ElementRegistry {
  private readonly types = new Map<string, ElementType<never>>()

  register<Options>(...types: readonly ElementType<Options>[]): this {
    for (const type of types) this.types.set(type.type, type as ElementType<never>)
    return this
  }

  get(type: string): ElementType | undefined {
    return this.types.get(type) as ElementType | undefined
  }

  get names(): string[] {
    return [...this.types.keys()]
  }
}
