/**
 * One run: frames numbered from `first` on are made, sent and looked after; the invariants are those of FuzzNetwork.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Random } from '../../src/engine/random.ts'
import { parseIpv6, parseMac } from '../../src/wire/address.ts'
import { put16, put32 } from '../../src/wire/big-endian.ts'
import { parseAddress } from '../../src/wire/cidr.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { DEVICES, FuzzNetwork, macOf } from './fuzz-network.ts'
import { Mutator, type Targets } from './mutator.ts'
import { seedFrames } from './seed-frames.ts'
import { Station } from './station.ts'

/** Frames between two turns of the engine, and between two rests in which everything must have been given back. */
const TURN = 32
const REST = 20_000

/** A frame, where it goes in, and how long the network is left alone after it. */
export interface Shot {
  readonly device: string
  /** As FuzzFrame.format writes it. */
  readonly line: string
  /** Nanoseconds; 0: the next frame follows in the same turn. */
  readonly pause: number
}

/** What went wrong, and the number of the frame after which it was noticed. */
export class FuzzFailure extends Error {
  readonly seed: number
  readonly number: number

  constructor(seed: number, number: number, cause: unknown) {
    super(`seed ${seed}, noticed at frame ${number}: ${(cause as Error).message}`, { cause })
    this.name = 'FuzzFailure'
    this.seed = seed
    this.number = number
  }
}

function mac(text: string): Uint8Array {
  const { hi, lo } = parseMac(text)
  const bytes = new Uint8Array(6)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

function ipv4(text: string): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseAddress(text) as number)
  return bytes
}

export const TARGETS: Targets = {
  macs: [1, 2, 3, 4, 5, 6]
    .map((last) => mac(macOf(last)))
    .concat(['02:42:7f:00:00:0b', '02:42:7f:00:00:0b', 'ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01'].map(mac)),
  service: mac('02:42:7f:00:00:0b'),
  sources: ['02:42:c0:00:02:04', '02:42:c0:00:02:05', '02:42:c0:00:02:06', '02:cc:00:00:00:01', '02:cc:00:00:00:02'].map(mac),
  ipv4: [
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.3',
    '192.0.2.4',
    '192.0.2.5',
    '127.0.0.11',
    '192.0.2.255',
    '224.0.0.1',
    '203.0.113.9',
    '0.0.0.0'
  ].map(ipv4),
  ipv6: ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8::4', 'ff02::1', 'ff02::1:ff00:2', 'fe80::42:c0ff:fe00:202', '::'].map(
    parseIpv6
  ),
  ports: [53, 53, 7, 7, 4789, 5001, 68, 33000]
}

export class FuzzRun {
  readonly seed: number
  readonly network: FuzzNetwork
  private readonly mutator: Mutator
  private readonly frame = new FuzzFrame()
  private readonly station: Station

  constructor(seed: number) {
    this.seed = seed
    this.network = new FuzzNetwork(seed)
    this.mutator = new Mutator(seed, seedFrames(), TARGETS)
    this.station = new Station(this.network)
  }

  /** Frame `number` as a line of a fixture. */
  shot(number: number): Shot {
    const { device, pause } = this.make(number)
    return { device, line: this.frame.format(), pause }
  }

  /** Sends the frames [first, last). Throws FuzzFailure. */
  run(first: number, last: number): void {
    const { network, frame } = this
    for (let number = first; number < last; number++) {
      try {
        const { device, pause } = this.make(number)
        network.inject(device, frame)
        if (pause === 0) continue
        network.settle()
        network.advance(pause)
        if (number % REST === REST - 1) this.check()
      } catch (error) {
        throw new FuzzFailure(this.seed, number, error)
      }
    }
  }

  /** Sends frames from a list. Throws what goes wrong. */
  replay(shots: readonly Shot[]): void {
    const { network, frame } = this
    for (const { device, line, pause } of shots) {
      frame.parse(line)
      network.inject(device, frame)
      if (pause === 0) continue
      network.settle()
      network.advance(pause)
    }
    network.settle()
  }

  /** Everything is given back and honest stations are served as ever. */
  check(): void {
    this.network.rest()
    this.station.check()
  }

  /** The end of a run. */
  finish(): void {
    this.check()
    this.network.rest()
    this.network.close()
  }

  private make(number: number): { device: string; pause: number } {
    const random = this.mutator.make(number, this.frame)
    const device = DEVICES[random.below(DEVICES.length)]
    return { device, pause: number % TURN === TURN - 1 ? pauseOf(random) : 0 }
  }
}

/** Null when the frames do no harm to a fresh network; else what they do. */
export function harm(shots: readonly Shot[]): Error | null {
  try {
    const run = new FuzzRun(1)
    run.replay(shots)
    run.finish()
    return null
  } catch (error) {
    return error as Error
  }
}

/** Mostly microseconds; sometimes long enough for retransmissions, reassembly and ageing. */
function pauseOf(random: Random): number {
  const draw = random.below(1000)
  const longest = draw < 900 ? 100e3 : draw < 990 ? 50e6 : draw < 999 ? 3e9 : 400e9
  return 1 + random.below(longest)
}

/** Bytes of the heap that are alive. */
export function liveHeap(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
