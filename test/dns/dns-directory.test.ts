/** Records changed in part: each change, and its undoing, leave what a directory made afresh would hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DnsDirectory } from '../../src/dns/dns-directory.ts'
import type { DnsAsker, DnsChange, DnsStation, DnsZone } from '../../src/dns/dns-options.ts'
import { DnsQuery } from '../../src/dns/dns-query.ts'
import { lookUp } from '../../src/dns/look-up.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { queryBytes } from './dns-lab.ts'

/** What an asker gets for a name: addresses as hexadecimal text in order of value, the pointer, or what is missing. */
function answer(directory: DnsDirectory, port: number, name: string, type: string): string {
  const asker = directory.askers[port] ?? null
  if (asker === null) return 'nobody'
  const bytes = queryBytes(name, { type })
  const query = new DnsQuery()
  query.read(bytes, 0, bytes.length)
  const found = lookUp(asker, bytes, query, false)
  if (typeof found === 'number') return ['no data', 'unknown'][found]
  if (type === 'PTR') return Buffer.from(found.pointer!).toString('hex')
  return (Buffer.from(found.a).toString('hex').match(/.{8}/g) ?? []).sort().join(' ')
}

const NAMES = ['a', 'b', 'c', 'app', 'b.n1', 'a.n0', 'l']
const QUESTIONS = [...NAMES, ...NAMES.map((name) => `${name}.n0`), ...NAMES.map((name) => `${name}.n1`)]
const ADDRESSES = Array.from({ length: 6 }, (_, i) => `192.0.2.${i}`)

function everyAnswer(directory: DnsDirectory): string[] {
  const answers: string[] = []
  for (let port = 0; port < 4; port++) {
    for (const name of QUESTIONS) answers.push(`${port} ${name}: ${answer(directory, port, name, 'A')}`)
    for (let i = 0; i < 6; i++) answers.push(`${port} ${i}: ${answer(directory, port, `${i}.2.0.192.in-addr.arpa`, 'PTR')}`)
  }
  return answers
}

test('random changes: the same answers as a directory made afresh, and undone as before', () => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed)
    const directory = new DnsDirectory()
    const now = { zones: new Map<string, DnsZone>(), stations: new Map<string, DnsStation>(), askers: new Map<string, DnsAsker>() }
    for (let step = 0; step < 60; step++) {
      const change = randomChange(random, now)
      const before = everyAnswer(directory)
      const undo = directory.update(change)
      if (random(4) === 0) {
        directory.update(undo)
        assert.deepEqual(everyAnswer(directory), before, `seed ${seed} step ${step}`)
        continue
      }
      for (const kind of ['zones', 'stations', 'askers'] as const) {
        for (const [key, record] of Object.entries(change[kind] ?? {})) {
          if (record === null) now[kind].delete(key)
          else now[kind].set(key, record as never)
        }
      }
      const afresh = new DnsDirectory({
        zones: Object.fromEntries(now.zones),
        stations: Object.fromEntries(now.stations),
        askers: Object.fromEntries(now.askers)
      })
      assert.deepEqual(everyAnswer(directory), everyAnswer(afresh), `seed ${seed} step ${step}`)
    }
  }
})

/** One record comes, is replaced or goes; each address has one station at most, as in a network. */
function randomChange(
  random: (below: number) => number,
  now: { zones: Map<string, DnsZone>; stations: Map<string, DnsStation>; askers: Map<string, DnsAsker> }
): DnsChange {
  const zone = `z${random(2)}`
  const number = random(6)
  const change: {
    zones: Record<string, DnsZone | null>
    stations: Record<string, DnsStation | null>
    askers: Record<string, DnsAsker | null>
  } = {
    zones: {},
    stations: {},
    askers: {}
  }
  const inUse =
    [...now.stations.values()].some((station) => station.zone === zone) ||
    [...now.askers.values()].some(({ zones }) => zones.includes(zone))
  if (random(8) === 0 && now.zones.has(zone) && !inUse) return { zones: { [zone]: null } }
  if (!now.zones.has(zone)) change.zones[zone] = { name: zone.replace('z', 'n') }
  if (random(3) > 0) {
    const names = NAMES.filter(() => random(3) === 0)
    change.stations[`s${number}`] = random(4) === 0 ? null : { zone, names, addresses: [ADDRESSES[number]] }
  } else {
    const zones = [...new Set([zone, ...now.zones.keys()])].filter((_, index) => index === 0 || random(2) === 0)
    const links = random(2) === 0 ? undefined : { [zone]: { l: NAMES[random(5)], a: NAMES[random(5)] } }
    change.askers[random(4)] = random(5) === 0 ? null : { zones, links, forward: false }
  }
  return change
}

test('a change that cannot be is refused whole', () => {
  const directory = new DnsDirectory({
    zones: { z: { name: 'net' } },
    stations: { s: { zone: 'z', names: ['web'], addresses: ['192.0.2.1'] } },
    askers: { 0: { zones: ['z'], forward: false } }
  })
  const other = { zone: 'z', names: ['other'], addresses: ['192.0.2.2'] }
  for (const [change, message] of [
    [{ stations: { o: other }, askers: { 1: { zones: ['y'], forward: true } } }, /askers\.1\.zones "y"/],
    [{ stations: { o: other, s: { ...other, addresses: ['x'] } } }, /stations\.s "x"/],
    [{ stations: { o: other }, zones: { z: null } }, /is not one of the zones/],
    [{ zones: { z: null } }, /has 1 stations and cannot go/],
    [{ stations: { o: other }, zones: { z: { name: 'new' } } }, /is called net already/]
  ] as const) {
    assert.throws(() => directory.update(change as DnsChange), { code: 'ERR_DNS_OPTIONS', message })
    assert.equal(answer(directory, 0, 'web', 'A'), 'c0000201')
    assert.equal(answer(directory, 0, 'other', 'A'), 'unknown')
  }
  directory.update({ zones: { z: null }, stations: { s: null } })
  assert.equal(answer(directory, 0, 'web', 'A'), 'unknown')
})

test('a station among thousands comes and goes without a look at the others', () => {
  const directory = new DnsDirectory({ zones: { z: { name: 'net' } } })
  const asked: string[] = []
  const station = (number: number): DnsStation => ({
    zone: 'z',
    // Whoever looks at a station's names again reads them through this.
    get names() {
      asked.push(`s${number}`)
      return [`web${number}`]
    },
    addresses: [`10.0.${number >> 8}.${number & 255}`]
  })
  for (let number = 0; number < 3000; number++) directory.update({ stations: { [`s${number}`]: station(number) } })
  directory.update({ askers: { 0: { zones: ['z'], forward: false } } })
  asked.length = 0
  directory.update({ stations: { s7: null } })
  directory.update({ stations: { s5000: station(5000) } })
  assert.deepEqual([...new Set(asked)], ['s5000'])
  assert.equal(answer(directory, 0, 'web7', 'A'), 'unknown')
  assert.equal(answer(directory, 0, 'web2999.net', 'A'), '0a000bb7')
})
