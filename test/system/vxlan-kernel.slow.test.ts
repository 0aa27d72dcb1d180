// Our VTEP and Linux's vxlan device, on two machines with a cable between them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { namespacesMissing } from './test-namespace.ts'
import { VxlanWorld, type VxlanWorldOptions } from './vxlan-world.ts'

const skip = namespacesMissing('ip', 'bridge', 'ping', 'iperf3', 'tcpdump', 'tshark', 'ss')
let port = 5300
/** Of tshark's expert (PI_WARN): what is less are notes, such as that a connection begins. */
const WARNING = 0x600000
/** Of two pings with three answers, and five datagrams. */
const FRAMES = 17

interface IperfEnd {
  readonly bits_per_second: number
  readonly bytes: number
  readonly lost_packets: number
  readonly packets: number
}

/** One run of iperf3 from `inside` to the peer, or back; what the receiver got. */
async function iperf(world: VxlanWorld, address: string, ...options: string[]): Promise<IperfEnd> {
  const number = String(port++)
  const server = world.peer.exec('iperf3', '-s', '-1', '-p', number)
  for (let tries = 0; world.peer.run('ss', '-Hltn', `sport = :${number}`) === '' && tries < 3000; tries++) {
    await sleep(20)
  }
  const { status, stdout, stderr } = await world.inside.exec('iperf3', '-c', address, '-p', number, '-J', ...options)
  assert.equal(status, 0, stdout + stderr)
  await server
  const { end } = JSON.parse(stdout) as { end: { sum_received?: IperfEnd; sum: IperfEnd } }
  return end.sum_received ?? end.sum
}

function suite(name: string, options: VxlanWorldOptions): void {
  describe(`kernel vxlan beside ours: ${name}`, { skip }, () => {
    let world: VxlanWorld
    before(async () => {
      world = await VxlanWorld.open(options)
    })
    after(() => world?.close())

    test('ARP and ping, IPv4 and IPv6, both directions, up to the longest packet', async () => {
      const longest = world.innerMtu
      for (const [end, four, six] of [
        [world.inside, '10.0.0.3', '2001:db8:a::3'],
        [world.peer, '10.0.0.2', '2001:db8:a::2']
      ] as const) {
        for (const size of [56, longest - 28]) {
          const { status, stdout } = await end.exec('ping', '-n', '-c', '2', '-i', '0.1', '-W', '60', '-M', 'do', '-s', String(size), four)
          assert.equal(status, 0, stdout)
        }
        const { status, stdout } = await end.exec('ping', '-n', '-c', '2', '-i', '0.1', '-W', '60', '-s', String(longest - 48), six)
        assert.equal(status, 0, stdout)
      }
    })

    // What comes to the peer's cable: ours, and the kernel's beside.
    const decodes = options.mtu === undefined ? test : () => {}
    decodes('tshark decodes what crosses, with nothing to complain of', async () => {
      const fields = ['vxlan.flags', 'vxlan.vni', '_ws.expert.severity', '_ws.expert.message'].flatMap((field) => ['-e', field])
      const tshark = world.peer.start('tshark', '-i', 'eth0', '-l', '-n', '-f', 'udp', '-T', 'fields', ...fields)
      let told = ''
      let text = ''
      tshark.stderr!.on('data', (data) => (told += data))
      tshark.stdout!.on('data', (data) => (text += data))
      // It says `Capturing on` before it does. On a busy machine its first start, which asks every extcap program, takes long.
      for (let tries = 0; !told.includes('Capture started') && tries < 3000; tries++) await sleep(20)
      await world.inside.exec('ping', '-n', '-c', '3', '-i', '0.1', '-s', String(world.innerMtu - 28), '10.0.0.3')
      await world.inside.exec('ping', '-n', '-c', '3', '-i', '0.1', '2001:db8:a::3')
      // No TCP: a capture that is late tells of segments that it missed.
      await world.inside.exec('bash', '-c', 'for i in 1 2 3 4 5; do echo netloom > /dev/udp/10.0.0.3/9; sleep 0.02; done')
      const lines = (): string[][] =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => line.split('\t'))
      for (let tries = 0; lines().length < FRAMES && tries < 3000; tries++) await sleep(20)
      tshark.kill('SIGINT')
      assert.ok(lines().length >= FRAMES, text + told)
      for (const [flags, vni, severities = '', messages] of lines()) {
        assert.deepEqual([flags, vni], ['0x0800', '256'])
        for (const severity of severities.split(',')) assert.ok(Number(severity) < WARNING, messages)
      }
    })

    test('TCP and UDP by iperf3, both directions', async () => {
      for (const reverse of [[], ['-R']]) {
        for (const address of ['10.0.0.3', '2001:db8:a::3']) {
          const { bytes } = await iperf(world, address, '-n', '30M', ...reverse)
          assert.ok(bytes > 1e6, `${address} ${reverse}: ${bytes} bytes of TCP`)
        }
        // So few and short that every queue on the way has room for all of them, however late somebody is: in the receiver's buffer the
        // kernel books 768 bytes for each.
        const udp = ['-u', '-b', '2M', '-k', '400', '-l', '200', '-w', '208K']
        // A receiver that is told of the end first does not count the last ones, neither as come nor as lost: on a busy machine that may be
        // many of them. Then it is done again.
        let counted = 0
        for (let tries = 0; counted < 360 && tries < 30; tries++) {
          const { packets, lost_packets: lost } = await iperf(world, '10.0.0.3', ...udp, ...reverse)
          assert.ok(lost <= packets / 100, `${packets} datagrams, ${lost} lost`)
          counted = packets
        }
        assert.ok(counted >= 360, `${counted} datagrams`)
      }
    })

    test('unknown unicast, multicast and broadcast, both directions', async () => {
      for (const [from, to, device, end] of [
        [world.inside, world.peer, 'eth0', 'vx0'],
        [world.peer, world.inside, 'vx0', 'eth0']
      ] as const) {
        // A station that nobody has heard of; a group and broadcast go the same way.
        from.run('ip', 'neighbor', 'replace', '10.0.0.77', 'lladdr', '02:42:0a:00:00:77', 'dev', device)
        const capture = to.start(
          'tcpdump',
          '--immediate-mode',
          '-lni',
          end,
          '-c',
          '3',
          'icmp[0] == 8 and (dst 10.0.0.77 or dst 224.0.0.1 or dst 10.0.0.255)'
        )
        let text = ''
        capture.stdout!.on('data', (data) => {
          text += data
        })
        let told = ''
        capture.stderr!.on('data', (data) => {
          told += data
        })
        for (let tries = 0; !told.includes('listening') && tries < 3000; tries++) await sleep(20)
        for (const target of [['10.0.0.77'], ['-I', device, '224.0.0.1'], ['-b', '10.0.0.255']]) {
          await from.exec('ping', '-n', '-c', '1', '-W', '1', ...target)
        }
        // It ends with the third.
        for (let tries = 0; !text.includes('10.0.0.255: ICMP') && tries < 3000; tries++) await sleep(20)
        for (const address of ['10.0.0.77', '224.0.0.1', '10.0.0.255']) assert.ok(text.includes(`> ${address}: ICMP echo request`), text)
      }
    })
  })
}

suite('TAP underlay', { underlay: 'tap' })
suite('TAP underlay, 9,000 bytes inside', { underlay: 'tap', mtu: 9050 })
suite('UDP underlay', { underlay: 'udp' })
suite('UDP underlay, IPv6', { underlay: 'udp', family: 6 })
suite('UDP underlay, 9,000 bytes inside', { underlay: 'udp', mtu: 9050 })
