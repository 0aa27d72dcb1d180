/** TCP streams: what well-behaved ends do, what they do when things go wrong, and what nobody should do. */
import type { Random } from '../../src/engine/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import type { Step } from './stream.ts'
import { TcpTalk } from './tcp-talk.ts'

const { fin, syn, rst, psh, ack } = TcpFlag

type Script = (talk: TcpTalk, random: Random) => void

const SCRIPTS: Readonly<Record<string, Script>> = {
  'open, talk, close'(talk, random) {
    talk.open()
    talk.talk(random.below(5))
    talk.close(talk.party())
  },
  'reset in the middle'(talk, random) {
    talk.open()
    talk.talk(random.below(3))
    talk.reset(talk.party())
    talk.talk(1 + random.below(2))
    talk.send('client', syn)
  },
  refused(talk, random) {
    talk.send('client', syn)
    talk.send('server', rst | ack)
    if (random.below(2) === 0) talk.send('client', syn)
  },
  'simultaneous open'(talk) {
    talk.send('client', syn)
    talk.send('server', syn)
    talk.send('client', syn | ack, 0, { seq: (talk.next.client - 1) >>> 0 })
    talk.send('server', syn | ack, 0, { seq: (talk.next.server - 1) >>> 0 })
    talk.talk(2)
  },
  'half-close'(talk, random) {
    talk.open()
    talk.send('client', fin | ack)
    talk.send('server', ack)
    for (let i = random.below(4); i >= 0; i--) talk.send('server', psh | ack, 100)
    talk.send('server', fin | ack)
    talk.send('client', ack)
  },
  'picked up in the middle'(talk, random) {
    if (random.below(2) === 0) talk.send('server', psh | ack, 10)
    talk.talk(1 + random.below(4))
    talk.close(talk.party())
  },
  'opened again'(talk, random) {
    talk.open()
    if (random.below(2) === 0) talk.close(talk.party())
    else talk.reset(talk.party())
    const ahead = [1, 100_000, -100_000][random.below(3)]
    talk.next.client = (talk.next.client + ahead) >>> 0
    talk.next.server = (talk.next.server + ahead) >>> 0
    talk.open()
    talk.talk(1)
  },
  'an answer that nobody asked for'(talk, random) {
    talk.send('server', [syn | ack, rst, ack, syn][random.below(4)])
    talk.send('client', [rst, ack, syn][random.below(3)])
    talk.send('server', syn | ack)
  },
  'answer to another question'(talk, random) {
    talk.send('client', syn)
    // RFC 793 figure 9: the client answers with a reset, and repeats its SYN.
    talk.send('server', syn | ack, 0, { ack: (talk.next.client + 1 + random.below(1000)) >>> 0 })
    talk.send('client', rst)
    talk.send('client', syn, 0, { seq: (talk.next.client - 1) >>> 0 })
    talk.send('server', syn | ack, 0, { seq: (talk.next.server - 1) >>> 0 })
    talk.send('client', ack)
  },
  'segments outside of the window'(talk, random) {
    talk.open()
    talk.talk(1)
    for (let i = 0; i < 3; i++) {
      const from = talk.party()
      const far = (talk.next[from] + [70_000, 10_000_000, 0x40000000, -70_000, -10_000_000][random.below(5)]) >>> 0
      talk.send(from, [ack, psh | ack, rst, fin | ack][random.below(4)], random.below(2) * 50, { seq: far })
    }
    talk.talk(2)
  },
  'acknowledges what was never sent'(talk, random) {
    talk.open()
    const from = talk.party()
    const other = from === 'client' ? 'server' : 'client'
    talk.send(from, ack, 0, { ack: (talk.next[other] + 1 + random.below(200_000)) >>> 0 })
    talk.talk(2)
  },
  'challenge: a SYN in an open connection'(talk, random) {
    talk.open()
    const from = talk.party()
    const other = from === 'client' ? 'server' : 'client'
    talk.send(from, syn, 0, { seq: random.below(2) === 0 ? (talk.next[from] + random.below(100_000)) >>> 0 : (talk.next[from] - 1) >>> 0 })
    talk.send(other, ack)
    talk.send(from, rst, 0, { seq: talk.next[from] })
    talk.talk(1)
  },
  'flags without sense'(talk, random) {
    if (random.below(2) === 0) talk.open()
    for (let i = 0; i < 5; i++) talk.wild()
  },
  'wild from the start'(talk) {
    for (let i = 0; i < 8; i++) talk.wild()
  },
  'wild after opening'(talk, random) {
    talk.open()
    talk.talk(random.below(2))
    for (let i = 0; i < 8; i++) talk.wild()
  },
  repetitions(talk, random) {
    for (const [from, flags] of [
      ['client', syn],
      ['server', syn | ack],
      ['client', ack],
      ['client', psh | ack],
      ['server', fin | ack],
      ['client', fin | ack],
      ['server', ack]
    ] as const) {
      talk.send(from, flags, (flags & psh) !== 0 ? 30 : 0)
      for (let i = random.below(3); i > 0; i--) talk.repeat()
    }
  }
}

const NAMES = Object.keys(SCRIPTS)

export function generateTcp(random: Random, flow: number, takeId: () => number): { name: string; steps: Step[] } {
  const name = NAMES[random.below(NAMES.length)]
  const talk = new TcpTalk(random, flow, takeId)
  SCRIPTS[name](talk, random)
  return { name: `tcp: ${name}`, steps: talk.steps }
}
