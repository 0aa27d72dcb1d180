/** TCP with super-frames of up to 64 KiB, as hosts hand them to their devices: out, in by published ports, between stations. */
import { Random } from '../../src/engine/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { flowOf, OUTWARD, PUBLISHED_ROUTES } from './routes.ts'
import type { Stream } from './stream.ts'
import { TcpTalk } from './tcp-talk.ts'
import { SLOTS, slotOf } from './world.ts'

const { psh, ack } = TcpFlag
/** With 20 bytes of IP and 20 of TCP; the uplink carries 1,400. */
const SEGMENTS = [1360, 1360, 1360, 536, 1361, 1448]
const LONGEST = 65_000

export function generateSuperFrames(seed: number | string, number: number, slotNumber = number % SLOTS): Stream {
  const random = new Random(`super ${seed}/${number}`)
  const slot = slotOf(slotNumber)
  let id = random.below(60_000)
  const takeId = (): number => (id = (id % 65_000) + 1)
  const routes = random.below(3) === 0 ? PUBLISHED_ROUTES : OUTWARD
  const route = routes[random.below(routes.length)](slot, 6, 1024 + random.below(60_000))
  const talk = new TcpTalk(random, 0, takeId)
  talk.open()
  const data = 1 + random.below(5)
  for (let i = 0; i < data; i++) {
    const segment = SEGMENTS[random.below(SEGMENTS.length)]
    const length = segment + 1 + random.below(random.below(2) === 0 ? 4 * segment : LONGEST - segment)
    const from = talk.party()
    const ttl = random.below(10) === 0 ? 1 : 64
    talk.send(from, psh | ack, length, {}, { segment, dontFragment: true, ttl })
    if (random.below(3) !== 0) talk.send(from === 'client' ? 'server' : 'client', ack)
  }
  talk.close(talk.party())
  return { seed, number, kind: `super-frames; ${route.name}`, slot, pace: 0.6, flows: [flowOf(route, 6)], steps: talk.steps }
}
