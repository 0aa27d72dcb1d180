/** What happens to a conversation on its way: errors, fragments, low TTLs, options, broken headers. */
import type { Random } from '../../src/engine/random.ts'
import type { Edit, Party, Step, Stream } from './stream.ts'
import { INTERFACES } from './world.ts'

export interface Disturbance {
  readonly name: string
  readonly change: (steps: Step[], random: Random, stream: Pick<Stream, 'flows' | 'slot'>, takeId: () => number) => Step[]
}

const UNREACHABLE_CODES = 16

/** An ICMP error about the last packet that an end got, from it or from somewhere between. */
const errors: Disturbance = {
  name: 'icmp error',
  change(steps, random, { flows, slot }, takeId) {
    const at = random.below(steps.length) + 1
    const { flow } = steps[at - 1]
    const from: Party = random.below(3) === 0 ? 'client' : 'server'
    const draw = random.below(10)
    const [type, code] =
      draw < 5
        ? [3, random.below(UNREACHABLE_CODES)]
        : draw < 7
          ? [11, random.below(2)]
          : draw < 8
            ? [12, 0]
            : draw < 9
              ? [4, 0]
              : [5, random.below(4)]
    const error: Step = {
      flow,
      from,
      body: {
        kind: 'error',
        type,
        code,
        rest: type === 3 && code === 4 ? 1280 : type === 5 ? 0xcb007142 | 0 : 0,
        quote: [28, 28, 36, 48, 80, 548, 20, 24, 27, 12][random.below(10)],
        ...(random.below(5) === 0 && { edits: [{ at: quoteEdit(random, flows[flow].protocol), xor: 1 << random.below(8) }] })
      },
      id: takeId(),
      // A router on the way, which the gateway has never heard of.
      ...(flows[flow][from].interface === 2 && random.below(2) === 0 && { source: { address: slot.far } })
    }
    return [...steps.slice(0, at), error, ...steps.slice(at)]
  }
}

/** One packet in pieces: in order or not, with repetitions, holes or overlaps. */
const fragments: Disturbance = {
  name: 'fragments',
  change(steps, random) {
    const at = random.below(steps.length)
    const step = steps[at]
    const payload = payloadLength(step)
    if (step.fragment !== undefined || payload < 16) return steps
    // Those under 48 bytes are tiny, which is another matter, and rare here.
    const least = random.below(8) === 0 ? 1 : 6
    const size = 8 * (least + random.below(Math.min(100, payload >> 3)))
    let pieces: Step[] = []
    for (let offset = 0; offset < payload && pieces.length < 12; offset += size) {
      pieces.push({ ...step, dontFragment: false, fragment: { offset, length: size, more: offset + size < payload } })
    }
    const draw = random.below(8)
    if (draw === 1) pieces.reverse()
    if (draw === 2 && pieces.length + steps.length > 2) pieces.splice(random.below(pieces.length), 1)
    if (draw === 3) pieces = [...pieces.slice(0, 1), ...pieces]
    if (draw === 4) {
      const victim = random.below(pieces.length)
      const { fragment } = pieces[victim]
      pieces.splice(victim, 0, { ...pieces[victim], fragment: { offset: fragment!.offset, length: fragment!.length + 8, more: true } })
    }
    if (draw === 5) pieces = pieces.sort(() => random.next() - 0.5)
    return [...steps.slice(0, at), ...pieces, ...steps.slice(at + 1)]
  }
}

/** TTL, TOS, options, DF. */
const headers: Disturbance = {
  name: 'header',
  change(steps, random) {
    return change(steps, random, (step) => {
      switch (random.below(5)) {
        case 0:
          return { ...step, ttl: [0, 1, 1, 1, 2, 255][random.below(6)] }
        case 1:
          return { ...step, tos: random.below(256) }
        case 2:
          return { ...step, options: OPTIONS[random.below(OPTIONS.length)] }
        case 3:
          return { ...step, dontFragment: !step.dontFragment }
        default:
          return { ...step, cut: -random.below(30) }
      }
    })
  }
}

/** More than the uplink's MTU: cut, or refused. */
const large: Disturbance = {
  name: 'large',
  change(steps, random) {
    return change(steps, random, (step) => {
      const { body } = step
      if (body.kind === 'error') return step
      const length = 1360 + random.below(100)
      return {
        ...step,
        dontFragment: random.below(2) === 0,
        body: { ...body, length: body.kind === 'tcp' && (body.flags & 2) !== 0 ? 0 : length }
      }
    })
  }
}

/** Somebody lies about where he is, or comes in by the wrong door. */
const spoofed: Disturbance = {
  name: 'spoofed',
  change(steps, random, { flows }) {
    return change(steps, random, (step) => {
      const { client, to } = flows[step.flow]
      const draw = random.below(8)
      if (draw === 0) return { ...step, interface: random.below(INTERFACES.length) }
      // Land: from the address that it goes to.
      if (draw === 1 && step.from === 'client') return { ...step, source: { address: to.address, port: to.port } }
      if (draw === 2) return { ...step, source: { address: INTERFACES[client.interface].address } }
      return { ...step, source: { address: MARTIANS[random.below(MARTIANS.length)] } }
    })
  }
}

const elsewhere: Disturbance = {
  name: 'strange destination',
  change(steps, random) {
    return change(steps, random, (step) => ({ ...step, destination: { address: DESTINATIONS[random.below(DESTINATIONS.length)] } }))
  }
}

/** Bits of the headers change; half of the time the checksums are made right again. */
const mutated: Disturbance = {
  name: 'mutated',
  change(steps, random, { flows }) {
    let changed = steps
    for (let rounds = 1 + random.below(3); rounds > 0; rounds--) {
      changed = change(changed, random, (step) => {
        const edits: Edit[] = Array.from({ length: 1 + random.below(3) }, () => ({ at: random.below(60), xor: 1 << random.below(8) }))
          // The code of a query is part of Linux's tuple, and always 0. Under another protocol number a port that a gateway chose is payload, which is compared byte by byte.
          .filter(({ at }) => (at !== 9 || flows.length === 1) && (at !== 21 || flows[step.flow].protocol !== 1))
        return { ...step, edits, repair: random.below(2) === 0, ...(random.below(6) === 0 && { cut: random.below(40) }) }
      })
    }
    return changed
  }
}

/** The order of the steps, or a step of them twice or never. */
const reordered: Disturbance = {
  name: 'reordered',
  change(steps, random) {
    const result = [...steps]
    const at = random.below(result.length)
    const [step] = result.splice(at, 1)
    if (random.below(3) !== 0) result.splice(random.below(result.length + 1), 0, step)
    return result.length > 0 ? result : steps
  }
}

export const DISTURBANCES: readonly Disturbance[] = [
  errors,
  errors,
  errors,
  fragments,
  fragments,
  headers,
  headers,
  large,
  spoofed,
  elsewhere,
  mutated,
  mutated,
  reordered
]

/** Record route, timestamp, loose and strict source route, router alert, security, nothing; then broken ones. */
const OPTIONS = [
  '07070400000000' + '00',
  '440c05000000000000000000',
  '83070400000000' + '00',
  '89070400000000' + '00',
  '94040000',
  '01010101',
  '820b0000000000000000000000'.slice(0, 24),
  '07030400',
  '44ff0500'
]
const MARTIANS = [
  '127.0.0.1',
  '0.0.0.0',
  '255.255.255.255',
  '224.0.0.5',
  '203.0.113.1',
  '192.0.2.1',
  '192.0.2.250',
  '198.51.100.250',
  '10.1.2.3',
  '240.0.0.1',
  '192.0.2.255'
]
const DESTINATIONS = [
  '255.255.255.255',
  '224.0.0.1',
  '239.1.2.3',
  '127.0.0.1',
  '0.0.0.0',
  '192.0.2.255',
  '198.51.100.255',
  '203.0.113.255',
  '192.0.2.0',
  '240.0.0.1',
  '10.9.8.7',
  '198.51.100.1',
  '203.0.113.1',
  '203.0.113.240'
]

/** A byte of a quote that is to be broken; not the code of a query, which is part of Linux's tuple, and always 0. */
function quoteEdit(random: Random, protocol: number): number {
  const at = random.below(28)
  return protocol === 1 && at === 21 ? 20 : at
}

function change(steps: readonly Step[], random: Random, how: (step: Step) => Step): Step[] {
  const at = random.below(steps.length)
  return steps.map((step, index) => (index === at ? how(step) : step))
}

/** Bytes after the IP header. */
function payloadLength({ body }: Step): number {
  switch (body.kind) {
    case 'tcp':
      return 20 + (body.options?.length ?? 0) / 2 + (body.length ?? 0)
    case 'error':
      return 8 + body.quote
    case 'other':
      return body.length
    default:
      return 8 + body.length
  }
}
