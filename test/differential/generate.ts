/** Seeded streams: number N of a seed is the same always, but for the addresses of its slot. */
import { Random } from '../../src/engine/random.ts'
import { DISTURBANCES } from './disturb.ts'
import { generateOther, generateQueries, generateUdp } from './generate-datagrams.ts'
import { generateTcp } from './generate-tcp.ts'
import { clientPort, flowOf, OUTWARD, pickRoute } from './routes.ts'
import type { Flow, Step, Stream } from './stream.ts'
import { A, SLOTS, slotOf, UP } from './world.ts'

/** Virtual seconds between two frames: the limits on ICMP errors recover, no flow times out in a stream. */
const PACE = 0.6

export function generateStream(seed: number | string, number: number, slotNumber = number % SLOTS): Stream {
  const random = new Random(`${seed}/${number}`)
  const slot = slotOf(slotNumber)
  let id = random.below(60_000)
  const takeId = (): number => (id = (id % 65_000) + 1)
  const draw = random.next()
  if (draw < 0.003) return exhaustion(random, { seed, number, slot }, takeId)
  if (draw < 0.06) return collision(random, { seed, number, slot }, takeId)
  const protocol = draw < 0.5 ? 6 : draw < 0.76 ? 17 : draw < 0.97 ? 1 : 50
  const route = pickRoute(random, slot, protocol)
  const generate = protocol === 6 ? generateTcp : protocol === 17 ? generateUdp : protocol === 1 ? generateQueries : generateOther
  const { name, steps } = generate(random, 0, takeId)
  const stream = { seed, number, kind: `${name}; ${route.name}`, slot, pace: PACE, flows: [flowOf(route, protocol)], steps }
  return disturbed(random, stream, takeId)
}

/** Half of the streams go their way undisturbed. */
function disturbed(random: Random, stream: Stream, takeId: () => number): Stream {
  let { kind, steps } = stream
  const rounds = [0, 0, 0, 1, 1, 2][random.below(6)]
  for (let round = 0; round < rounds; round++) {
    const { name, change } = DISTURBANCES[random.below(DISTURBANCES.length)]
    steps = change([...steps], random, stream, takeId)
    kind += `; ${name}`
  }
  return { ...stream, kind, steps }
}

interface Base {
  readonly seed: number | string
  readonly number: number
  readonly slot: Stream['slot']
}

/** Two stations with one source port to one server: the second gets another port, and each its own answers. */
function collision(random: Random, base: Base, takeId: () => number): Stream {
  const protocol = [6, 17, 1][random.below(3)]
  const port = clientPort(random)
  const flows: Flow[] = base.slot.clients.map((address) => ({
    ...flowOf(OUTWARD[0](base.slot, protocol, port), protocol),
    client: { interface: A, address, port }
  }))
  const generate = protocol === 6 ? generateTcp : protocol === 17 ? generateUdp : generateQueries
  const talks = flows.map((_, flow) => generate(random, flow, takeId))
  const queues = talks.map(({ steps }) => [...steps])
  const steps: Step[] = []
  while (queues.some((queue) => queue.length > 0)) {
    const step = queues[random.below(queues.length)].shift()
    if (step !== undefined) steps.push(step)
  }
  return disturbed(
    random,
    { ...base, kind: `collision of ${talks.map(({ name }) => name).join(' and ')}`, pace: PACE, flows, steps },
    takeId
  )
}

/** All ports of a class are taken by one station, then the other wants one: it is refused, and the first one's flows stay. */
function exhaustion(random: Random, base: Base, takeId: () => number): Stream {
  const protocol = random.below(2) === 0 ? 17 : 6
  // Linux chooses from 600 to 1023 for a source port of 512 to 1023.
  const ports = Array.from({ length: 424 }, (_, index) => 600 + index)
  const server = { interface: UP, address: base.slot.near, port: 7000 }
  const flow = (address: string, port: number): Flow => ({ protocol, client: { interface: A, address, port }, to: server, server })
  const flows = [
    ...ports.map((port) => flow(base.slot.clients[0], port)),
    flow(base.slot.clients[1], 600 + random.below(424)),
    flow(base.slot.clients[1], 5000)
  ]
  const step = (index: number, from: 'client' | 'server'): Step => {
    const body =
      protocol === 17
        ? ({ kind: 'udp', length: 4 } as const)
        : ({ kind: 'tcp', flags: from === 'client' ? 2 : 18, seq: 1, ack: from === 'client' ? 0 : 2 } as const)
    return { flow: index, from, body, id: takeId() }
  }
  const probe = random.below(ports.length)
  const steps = [
    ...ports.map((_, index) => step(index, 'client')),
    step(424, 'client'),
    step(425, 'client'),
    step(probe, 'server'),
    step(probe, 'client')
  ]
  return { ...base, kind: `port exhaustion, protocol ${protocol}`, pace: 0.0001, flows, steps }
}
