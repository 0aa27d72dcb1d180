/**
 * Where our gateway does otherwise on purpose. Each decision names the step at which it shows: what is there is not compared, and where
 * the two cannot know the same afterwards, neither is the rest of the stream.
 */

import type { Step } from './stream.ts'

/** What one step came to in two gateways, and what the second says of it. */
export interface StepPair {
  readonly step: Step
  readonly left: readonly string[]
  readonly right: readonly string[]
  readonly notes: readonly string[]
}

export interface Decision {
  readonly name: string
  /** `step`: compare the next step again. `rest`: the two have seen different packets from here on. */
  readonly leavesOut: 'step' | 'rest'
  readonly isThis: (pair: StepPair) => boolean
}

/** A frame that the gateway itself made. */
const OWN = / id own /
/** An answer of the gateway's own with options. */
const OPTIONS = / id own ttl 64,(?: fragment 4000,)? options \w+, (?:icmp|tcp)/
/** An error's type, code and second word, and the destination port of what it quotes. */
const QUOTE = /, (icmp \d+\/\d+ checksum ok \w+) about \[.*(?:udp|tcp) \S+(?: below \d+)? > (\S+)/
const BAD_QUOTE = /about \[(cut|.*protocol \d+ \([0-7] bytes)/
const INVALID = new Set(['nat.invalidState', 'nat.outOfWindow', 'nat.badChecksum', 'nat.malformed', 'nat.icmpType'])
const IMPOSSIBLE = new Set(['nat.spoofed', 'nat.martian'])

export const DECISIONS: readonly Decision[] = [
  {
    // Linux takes what it calls invalid for its own, and resets the connection that it does not know (docker/libnetwork issue 1090); or
    // it says that the packet is too long, or its time over, before the filter would have dropped it.
    name: 'invalid packets are dropped, not answered',
    leavesOut: 'step',
    isThis: ({ left, right, notes }) =>
      right.length === 0 && left.every((line) => OWN.test(line)) && notes.some((note) => INVALID.has(note))
  },
  {
    // Linux tracks it before it judges the source; and a land attack within a network, which no station needs a gateway for, goes on.
    name: 'a packet with a source that cannot be does not move a connection',
    leavesOut: 'rest',
    isThis: ({ left, right, notes }) => {
      const isImpossible = left.every((line) => OWN.test(line)) && notes.some((note) => IMPOSSIBLE.has(note))
      return right.length === 0 && (isImpossible || notes.includes('nat.land'))
    }
  },
  {
    name: 'transport checksums are not verified in the middle of a flow',
    leavesOut: 'rest',
    isThis: ({ left, right }) =>
      right.length > 0 && left.every((line) => OWN.test(line)) && right.every((line) => line.includes('checksum off by'))
  },
  {
    name: 'no timestamp replies (RFC 1812 4.3.3.8: MAY)',
    leavesOut: 'step',
    isThis: ({ left, right }) =>
      right.length === 0 && left.length > 0 && left.every((line) => / ttl 64,(?: options \w+,)? icmp 14\/0 /.test(line))
  },
  {
    // RFC 1812 4.3.2.6 would have them answered with what they recorded.
    name: 'answers carry no options',
    leavesOut: 'step',
    isThis: ({ left, right }) => left.some((line) => OPTIONS.test(line)) && left.map(headOfError).join() === right.map(headOfError).join()
  },
  {
    // Linux has cut the packet down to its UDP datagram by then.
    name: 'what follows a UDP datagram in its packet is quoted',
    leavesOut: 'step',
    isThis: ({ left, right }) => left.length === 1 && withoutQuotedUdp(left[0]) === withoutQuotedUdp(right[0] ?? '')
  },
  {
    // A published port's answers and a masqueraded flow of its target may look the same with their destination translated.
    name: 'a quote that may be of two flows is of the older one',
    leavesOut: 'step',
    isThis: ({ left, right }) => left.length === 1 && right.length === 1 && isQuoteOfAnother(left[0], right[0])
  },
  {
    // Linux knows more protocols by name, as IGMP, and says nothing.
    name: 'every protocol but ICMP, TCP and UDP is unknown to the gateway itself',
    leavesOut: 'step',
    isThis: ({ left, right }) => left.length === 0 && right.length > 0 && right.every((line) => / id own .*, icmp 3\/2 /.test(line))
  },
  {
    // Linux throws away what has options that it cannot read, without a word.
    name: 'a segment with broken options is refused like any other',
    leavesOut: 'step',
    isThis: ({ step, left, right }) =>
      step.edits !== undefined && left.length === 0 && right.length > 0 && right.every((line) => / id own .*, tcp .* flags R/.test(line))
  },
  {
    name: 'redirects are dropped',
    leavesOut: 'step',
    isThis: ({ right, notes }) => right.length === 0 && notes.includes('nat.redirect')
  },
  {
    // RFC 792: "the first 64 bits". Linux is content with less when the protocol has no ports, and looks at no version.
    name: 'an error must quote an IPv4 header and eight bytes of transport',
    leavesOut: 'step',
    isThis: ({ step, left, right, notes }) =>
      right.length === 0 &&
      notes.includes('nat.unrelatedError') &&
      (left.every((line) => BAD_QUOTE.test(line)) || isQuoteWithoutHeader(step))
  },
  {
    // Linux cuts its end off, and finds the next one overlapping.
    name: 'a fragment whose length is no multiple of eight is dropped alone',
    leavesOut: 'rest',
    isThis: ({ notes }) => notes.includes('fragment.malformed')
  },
  {
    // Linux with strict reverse path filtering does not; without, it does as we do.
    name: 'a station of two networks may go on with a flow by the other gateway',
    leavesOut: 'rest',
    isThis: ({ step, left, right }) => step.interface !== undefined && left.length === 0 && right.length > 0
  },
  {
    // Linux puts together what came in by any door, and judges the source of the whole by the last one's.
    name: 'fragments that came in by different interfaces are not put together',
    leavesOut: 'rest',
    isThis: ({ step }) => step.interface !== undefined && step.fragment !== undefined
  },
  {
    name: 'tiny fragments are refused',
    leavesOut: 'rest',
    isThis: ({ notes }) => notes.includes('fragment.tiny')
  }
]

/** An answer of the gateway's own without its options, its length and what it quotes. */
function headOfError(line: string): string {
  const plain = line.replace(/^(.*?) length \d+, (tos \d+ id own ttl 64(?:, fragment 4000)?)(?:, options \w+)?, /, '$1 $2 ')
  return plain.replace(/(icmp \d+\/\d+ checksum \w+).*$/, '$1')
}

function withoutQuotedUdp(line: string): string {
  return line.replace(/^(.*?) length \d+, (tos .*, icmp 3\/3 .*, udp .*) checksum .*$/, '$1 $2')
}

function isQuoteOfAnother(left: string, right: string): boolean {
  const [one, other] = [QUOTE.exec(left), QUOTE.exec(right)]
  return one !== null && other !== null && one[1] === other[1] && one[2] !== other[2]
}

/** Version or length of the quoted header are wrong. */
function isQuoteWithoutHeader({ body }: Step): boolean {
  return body.kind === 'error' && body.edits?.some(({ at }) => at === 0) === true
}
