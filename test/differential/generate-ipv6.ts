/** Streams that mean the same in IPv6: no identification, no fragments on the way, no checksum of 0, echo as the only query. */
import { Random } from '../../src/engine/random.ts'
import { generateQueries, generateUdp } from './generate-datagrams.ts'
import { generateTcp } from './generate-tcp.ts'
import { flowOf, OUTWARD, PUBLISHED_ROUTES } from './routes.ts'
import type { Step, Stream } from './stream.ts'
import { A, SLOTS, slotOf } from './world.ts'

/** Virtual seconds between two frames: two talks one after the other stay below the shortest time-out, 10 s of a connection that was reset. */
const PACE = 0.2

/** Errors that both families have: type, code and second word in IPv4. */
const ERRORS = [
  [3, 0, 0],
  [3, 1, 0],
  [3, 3, 0],
  [3, 13, 0],
  [3, 4, 1280],
  [11, 0, 0],
  [11, 1, 0],
  [12, 0, 6]
] as const

export function generateIpv6(seed: number | string, number: number, slotNumber = number % SLOTS): Stream {
  const random = new Random(`ipv6 ${seed}/${number}`)
  const slot = slotOf(slotNumber)
  let id = random.below(60_000)
  const takeId = (): number => (id = (id % 65_000) + 1)
  const protocol = [6, 6, 17, 1][random.below(4)]
  const generate = protocol === 6 ? generateTcp : protocol === 17 ? generateUdp : generateQueries
  const routes = protocol !== 1 && random.below(3) === 0 ? PUBLISHED_ROUTES : OUTWARD
  const port = 1024 + random.below(60_000)
  const isCollision = random.below(10) === 0
  const flows = isCollision
    ? slot.clients.map((address) => ({ ...flowOf(OUTWARD[0](slot, protocol, port), protocol), client: { interface: A, address, port } }))
    : [flowOf(routes[random.below(routes.length)](slot, protocol, port), protocol)]
  const talks = flows.map((_, flow) => generate(random, flow, takeId))
  const steps = talks.flatMap((talk) => talk.steps.map(inIpv6))
  if (random.below(3) === 0) {
    const at = 1 + random.below(steps.length)
    const [type, code, rest] = ERRORS[random.below(ERRORS.length)]
    const { flow } = steps[at - 1]
    const from = random.below(3) === 0 ? 'client' : 'server'
    steps.splice(at, 0, { flow, from, body: { kind: 'error', type, code, rest, quote: [28, 36, 48, 548][random.below(4)] }, id: takeId() })
  }
  if (random.below(6) === 0) {
    const at = random.below(steps.length)
    steps[at] = { ...steps[at], ttl: 1 }
  }
  return { seed, number, kind: `IPv6: ${talks.map(({ name }) => name).join(' and ')}`, slot, pace: PACE, flows, steps }
}

function inIpv6({ body, ...step }: Step): Step {
  if (body.kind === 'udp') return { ...step, body: { kind: 'udp', length: body.length } }
  // Every query is an echo; answers are even.
  return body.kind === 'query' ? { ...step, body: { ...body, type: step.from === 'client' ? 8 : 0 } } : { ...step, body }
}
