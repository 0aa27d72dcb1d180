/** UDP, ICMP queries, and protocols without ports. */
import type { Random } from '../../src/engine/random.ts'
import type { Body, Party, Step } from './stream.ts'

const ECHO = 8
const TIMESTAMP = 13

/** Questions and answers, in any order, sometimes by a stranger. */
export function generateUdp(random: Random, flow: number, takeId: () => number): { name: string; steps: Step[] } {
  const steps: Step[] = []
  const send = (from: Party, about: Partial<Step> = {}): void => {
    const length = random.below(10) === 0 ? random.below(1450) : random.below(100)
    const body: Body = { kind: 'udp', length, ...(random.below(6) === 0 && { noChecksum: true }) }
    steps.push({ flow, from, body, id: takeId(), dontFragment: random.below(2) === 0, ...about })
  }
  if (random.below(6) === 0) send('server')
  const count = 1 + random.below(6)
  for (let i = 0; i < count; i++) {
    send(i === 0 ? 'client' : random.below(2) === 0 ? 'client' : 'server')
    // Address- and port-dependent filtering: another port, another address of the same LAN.
    if (random.below(6) === 0) send('server', { source: { port: 9 + random.below(20) } })
    if (random.below(12) === 0) send('client', { destination: { port: 7200 } })
  }
  return { name: 'udp', steps }
}

export function generateQueries(random: Random, flow: number, takeId: () => number): { name: string; steps: Step[] } {
  const steps: Step[] = []
  const draw = random.next()
  const type = draw < 0.8 ? ECHO : draw < 0.95 ? TIMESTAMP : [15, 17, 10, 42][random.below(4)]
  const send = (from: Party, about: Partial<Step> = {}): void => {
    const isAnswer = from === 'server' && random.below(8) !== 0
    const length = type === TIMESTAMP ? 12 : random.below(8) === 0 ? random.below(1450) : random.below(80)
    const body: Body = { kind: 'query', type: isAnswer ? answerTo(type) : type, sequence: random.below(4), length }
    steps.push({ flow, from, body, id: takeId(), ...about })
  }
  if (random.below(6) === 0) send('server')
  const count = 1 + random.below(5)
  for (let i = 0; i < count; i++) {
    send('client')
    if (random.below(4) !== 0) send('server')
    if (random.below(8) === 0) send('server')
  }
  return { name: `icmp query ${type}`, steps }
}

/** ESP and what has no name here: translated by address alone. */
export function generateOther(random: Random, flow: number, takeId: () => number): { name: string; steps: Step[] } {
  const steps = Array.from(
    { length: 1 + random.below(4) },
    (_, index): Step => ({
      flow,
      from: index === 0 || random.below(2) === 0 ? 'client' : 'server',
      body: { kind: 'other', length: random.below(100) },
      id: takeId()
    })
  )
  return { name: 'another protocol', steps }
}

function answerTo(type: number): number {
  return type === ECHO ? 0 : type + 1
}
