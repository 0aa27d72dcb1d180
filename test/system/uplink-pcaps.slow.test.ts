// The packets that Docker's recordings show (test/oracle/pcaps), made by the same commands: masquerade on both sides, a source port that
// two want, published ports, ICMP errors, ARP, a container's start, forwarded names. test/oracle/compare-pcap is the judge of what tcpdump
// sees and of `netloom capture`'s files. Two labs at once, one for each uplink whose address outside is the recorded one.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { labMissing } from '../docker-lab/docker-lab.ts'
import { RecordedPackets } from '../docker-lab/recorded-packets.ts'

describe('recorded packets', { skip: labMissing('tcpdump', 'ethtool', 'nsenter') }, () => {
  let worlds: RecordedPackets[]
  const inEach = async (work: (world: RecordedPackets) => Promise<void>): Promise<void> => void (await Promise.all(worlds.map(work)))

  before(async () => {
    worlds = [new RecordedPackets('host'), new RecordedPackets('interface')]
    await inEach((world) => world.up())
  })
  after(() => {
    for (const { lab } of worlds) lab.down()
  })
  beforeEach(() => inEach((world) => world.reset()))

  test('masquerade, before and after', () =>
    inEach(async (world) => {
      await world.run('aa', 'tools')
      await world.inside('masquerade-before', 'host 10.44.0.2 and not arp', 'aa')
      await world.outside('masquerade-after', 'host 192.0.2.50 and not arp')
      await world.sh(
        'aa',
        'ping -c 2 198.51.100.10',
        'curl -s --local-port 40001 http://198.51.100.10/',
        'echo hello | socat -t 1 - UDP:198.51.100.10:7777,sourceport=40002',
        'nc -w 2 192.0.2.60 9 </dev/null',
        'echo x | socat -t 1 - UDP:192.0.2.60:9'
      )
      await world.compare('masquerade-before', 'masquerade-after')
    }))

  test('a source port that two containers want', () =>
    inEach(async (world) => {
      await world.run('aa', 'tools')
      await world.run('bb', 'tools')
      await world.outside('masquerade-collision', 'tcp port 80 or icmp')
      const first = world.sh('aa', '(until [ -e /tmp/over ]; do sleep 0.1; done) | socat -t 2 - TCP:198.51.100.10:80,sourceport=40003')
      // 40003 and ESTABLISHED, as the kernel writes them.
      await world.sh('aa', 'for i in $(seq 600); do grep -q ":9C43 .* 01 " /proc/net/tcp && break; sleep 0.1; done')
      await world.sh('bb', 'curl -s --local-port 40003 http://198.51.100.10/')
      await world.sh('aa', 'touch /tmp/over')
      await first
      await world.sh('aa', 'ping -c 1 192.0.2.60')
      await world.compare('masquerade-collision')
    }))

  test('a published port, on both sides; one that is not', () =>
    inEach(async (world) => {
      await world.run('ww', 'nginx', '-p', '8080:80')
      await world.outside('published-outside', 'tcp port 8080')
      await world.inside('published-inside', 'tcp port 80 or tcp port 8080', 'ww')
      await world.fromOutside('curl', '-s', '--local-port', '40004', 'http://192.0.2.50:8080/')
      await world.compare('published-outside', 'published-inside')
      await world.outside('published-closed', 'tcp or icmp')
      await world.fromOutside('curl', '-s', '-m', '30', 'http://192.0.2.50:8081/')
      await world.compare('published-closed')
    }))

  test('ICMP errors', () =>
    inEach(async (world) => {
      await world.run('aa', 'tools')
      await world.inside('icmp-errors', 'icmp or udp', 'aa')
      // At once: each is a flow of its own, and most of them wait.
      const commands = [
        'ping -c 1 -t 1 198.51.100.10',
        'ping -c 1 -w 4 192.0.2.99',
        'ping -c 1 -w 2 203.0.113.9',
        'echo x | socat -t 1 - UDP:10.44.0.1:9',
        'ping -c 1 -s 4000 192.0.2.60',
        'traceroute -n -m 3 -q 1 -w 1 198.51.100.10'
      ]
      await Promise.all(commands.map((command) => world.sh('aa', command)))
      // The recording host's bridge shows the fragments of the long request put together (test/oracle/pcaps/README.md).
      await world.compare({ name: 'icmp-errors', differs: ['icmp echo ip 10.44.0.2 <> 192.0.2.60 #1'] })
    }))

  test('a container that starts, moves and stops says nothing; ARP and ping; names that are forwarded', async () => {
    const [host, ours] = worlds as [RecordedPackets, RecordedPackets]
    await Promise.all([quiet(ours).then(() => arp(ours)), names(host)])
  })
})

async function quiet(world: RecordedPackets): Promise<void> {
  await world.run('aa', 'busybox')
  await world.inside('container-start', '')
  await world.run('bb', 'busybox')
  await world.lab.ok('network', 'disconnect', 'net', 'bb')
  await world.lab.ok('network', 'connect', 'net', 'bb')
  await world.lab.ok('stop', '-t', '0', 'bb')
  await world.compare('container-start')
}

/** Here the gateway is our router, and not the host's kernel. */
async function arp(world: RecordedPackets): Promise<void> {
  await world.lab.ok('start', 'bb')
  await world.inside('arp-ping', 'arp or icmp', 'aa')
  const commands = ['ping -c 3 10.44.0.3', 'ping -c 1 -w 2 10.44.0.99', 'ping -c 1 10.44.0.1']
  await Promise.all(commands.map((command) => world.sh('aa', command)))
  await sleep(6000) // neighbors ask again who answered: DELAY_FIRST_PROBE_TIME is five seconds
  await world.compare('arp-ping')
}

/** The same questions and answers outside. */
async function names(world: RecordedPackets): Promise<void> {
  await world.run('aa', 'tools')
  await world.run('web', 'busybox')
  await world.outside('dns-forwarded-host', 'port 53')
  for (const question of ['web A', 'nosuch A', 'google.com A', 'nosuch.lab.example A', '+tcp web A', 'www.lab.example TXT'])
    await world.sh('aa', `dig +tries=1 +time=3 ${question}`)
  // Asked by a socket of the daemon and not of the container's namespace: one hop less.
  const words = (lines: readonly string[]): string[] => lines.flatMap((line) => / (dns .*) <id \d+>$/.exec(line)?.[1] ?? [])
  await world.doneWhen('dns-forwarded-host', ({ recorded, captured }) => words(captured).length >= words(recorded).length)
  const { recorded, captured } = await world.lines('dns-forwarded-host')
  assert.equal(words(recorded).length, 8)
  assert.deepEqual(words(captured).sort(), words(recorded).sort())
}
