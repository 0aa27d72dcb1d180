/**
 * One stream with a flow in each state that has a time-out of its own. Between its parts nobody speaks; then every far end says
 * something that a live flow lets in, and a dead one does not.
 */
import { Random } from '../../src/engine/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { flowOf, OUTWARD } from './routes.ts'
import type { Body, Party, Step, Stream } from './stream.ts'
import { TcpTalk } from './tcp-talk.ts'
import { slotOf } from './world.ts'

const { syn, ack, fin, psh, rst } = TcpFlag
const FIRST_PORT = 20_000

/** A time-out: our option and Linux's sysctl below net.netfilter; and which flows of the stream end when it alone is short. */
export interface IdleTimeout {
  readonly option: string
  readonly sysctl: string
  readonly ends: readonly string[]
}

const tcp = (option: string, name: string, ...others: string[]): IdleTimeout => ({
  option,
  sysctl: `nf_conntrack_tcp_timeout_${name}`,
  ends: [option, ...others]
})

export const IDLE_TIMEOUTS: readonly IdleTimeout[] = [
  tcp('tcpSynSent', 'syn_sent'),
  tcp('tcpSynRecv', 'syn_recv'),
  tcp('tcpEstablished', 'established', 'tcpUnacknowledged', 'tcpMaxRetrans'),
  tcp('tcpFinWait', 'fin_wait'),
  tcp('tcpCloseWait', 'close_wait'),
  tcp('tcpLastAck', 'last_ack'),
  tcp('tcpTimeWait', 'time_wait'),
  tcp('tcpClose', 'close'),
  // A FIN waits to be acknowledged as data does.
  tcp('tcpUnacknowledged', 'unacknowledged', 'tcpMaxRetrans', 'tcpFinWait', 'tcpLastAck'),
  // So does what has not seen a window yet.
  tcp('tcpMaxRetrans', 'max_retrans', 'tcpSynSent', 'tcpSynRecv'),
  // The one that would become a stream ends in the first silence, and begins anew.
  { option: 'udp', sysctl: 'nf_conntrack_udp_timeout', ends: ['udp', 'udpStream'] },
  { option: 'udpStream', sysctl: 'nf_conntrack_udp_timeout_stream', ends: ['udpStream'] },
  { option: 'icmp', sysctl: 'nf_conntrack_icmp_timeout', ends: ['icmp'] },
  { option: 'generic', sysctl: 'nf_conntrack_generic_timeout', ends: ['generic'] }
]

export interface IdleStream {
  readonly stream: Stream
  /** Steps before the first silence, in which a UDP flow becomes old enough to be a stream, and before the second, after which all are tried. */
  readonly young: number
  readonly idle: number
  /** The flow that each step after `idle` tries. */
  readonly tried: readonly string[]
}

type Talk = (talk: TcpTalk) => void

const say =
  (from: Party, flags: number, length = 0): Talk =>
  (talk) =>
    talk.send(from, flags, length)
const open: readonly Talk[] = [(talk) => talk.open()]
const answered = [...open, say('client', psh | ack, 100), say('server', psh | ack, 100), say('client', ack)]
const waiting = [...open, say('client', psh | ack, 100)]
const again: Talk = (talk) => talk.repeat()
const ended = [...answered, say('client', fin | ack)]
const closing = [...ended, say('server', ack), say('server', fin | ack)]

/** What leaves a connection in the state of a time-out, and the flags of what its server says later. */
const CONNECTIONS: Readonly<Record<string, readonly [talks: readonly Talk[], later: number]>> = {
  tcpSynSent: [[say('client', syn)], syn | ack],
  tcpSynRecv: [[say('client', syn), say('server', syn | ack)], ack],
  tcpEstablished: [answered, psh | ack],
  tcpFinWait: [ended, ack],
  tcpCloseWait: [[...ended, say('server', ack)], ack],
  tcpLastAck: [closing, ack],
  tcpTimeWait: [[...closing, say('client', ack)], ack],
  tcpClose: [[...answered, say('client', rst)], ack],
  tcpUnacknowledged: [waiting, ack],
  tcpMaxRetrans: [[...waiting, again, again, again, again], psh | ack]
}

export function idleStream(): IdleStream {
  const slot = slotOf(0)
  const random = new Random('idle flows')
  const names = [...Object.keys(CONNECTIONS), 'udp', 'udpStream', 'icmp', 'generic']
  const protocols: Readonly<Record<string, number>> = { udp: 17, udpStream: 17, icmp: 1, generic: 50 }
  const flows = names.map((name, index) => {
    const protocol = protocols[name] ?? 6
    return flowOf(OUTWARD[0](slot, protocol, FIRST_PORT + index), protocol)
  })
  let id = 0
  const takeId = (): number => ++id
  const step = (name: string, from: Party, body: Body): Step => ({ flow: names.indexOf(name), from, body, id: takeId() })
  const datagram: Body = { kind: 'udp', length: 20 }
  const other: Body = { kind: 'other', length: 20 }
  const echo = (type: number): Body => ({ kind: 'query', type, sequence: 1, length: 20 })

  const young = [step('udpStream', 'client', datagram), step('udpStream', 'server', datagram)]
  const talks = Object.entries(CONNECTIONS).map(([name, [talks]]) => {
    const made = new TcpTalk(random, names.indexOf(name), takeId)
    for (const talk of talks) talk(made)
    return made
  })
  const idle = [
    ...talks.flatMap(({ steps }) => steps),
    step('udpStream', 'client', datagram),
    step('udpStream', 'server', datagram),
    step('udp', 'client', datagram),
    step('icmp', 'client', echo(8)),
    step('generic', 'client', other)
  ]
  const late = Object.entries(CONNECTIONS).map(([name, [, flags]], index): Step => {
    const { client, server } = talks[index].next
    const isSyn = (flags & syn) !== 0
    return step(name, 'server', {
      kind: 'tcp',
      flags,
      seq: server,
      ack: client,
      length: flags & psh ? 10 : 0,
      ...(isSyn && { options: '020405b4' })
    })
  })
  late.push(
    step('udpStream', 'server', datagram),
    step('udp', 'server', datagram),
    step('icmp', 'server', echo(0)),
    step('generic', 'server', other)
  )
  const steps = [...young, ...idle, ...late]
  return {
    stream: { seed: 'idle', number: 0, kind: 'idle flows', slot, pace: 0, flows, steps },
    young: young.length,
    idle: young.length + idle.length,
    tried: late.map(({ flow }) => names[flow])
  }
}
