// The user uplink as an ordinary user has it: real programs in a container of that user, servers outside, no root in between.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { UplinkPort } from '../../src/network/uplink.ts'
import { emitEthernet } from '../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../src/wire/ipv4.ts'
import { CUT_BYTES, Service, SOURCE_BYTES } from './user-uplink-server.ts'
import { FAR, noUserUplink, SERVER, SERVER6, USER, USER6, UserWorld } from './user-uplink-set-up.ts'

const ROUTER = '192.0.0.2'
const HELPER = '192.0.0.1'
/** A container that wants too much, and where it wants to go. */
const GREEDY = '10.9.0.1'
const SILENT = '198.51.100.77'

function port(key: string, protocol: 'tcp' | 'udp', number: number, address = '0.0.0.0', targetPort = number): UplinkPort {
  const target = address.includes(':') ? 'fd6e:6574:6c6f:6f6d::2' : ROUTER
  return { key, protocol, address, port: number, target, targetPort, network: 'test' }
}

describe('the user uplink', { skip: noUserUplink }, () => {
  let world: UserWorld
  before(async () => {
    world = new UserWorld()
    await world.start({ udpUnreplied: 2, udpAssured: 6 })
    await world.startServer()
  })
  after(() => world.close())

  async function eventually(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
    for (let attempt = 0; attempt < 6000; attempt++) {
      if (await check()) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail(`not reached: ${what}`)
  }

  for (const [family, server] of [
    ['IPv4', SERVER],
    ['IPv6', SERVER6]
  ]) {
    test(`TCP over ${family}: bytes go both ways unchanged, and half a connection may be closed`, async () => {
      const result = await world.script(`
        import { createHash } from 'node:crypto'
        const sent = Buffer.from(Array.from({ length: ${4 << 20} }, (_, i) => (i * 31) ^ (i >> 8)))
        const socket = net.connect({ port: ${Service.digest}, host: '${server}', allowHalfOpen: true })
        socket.end(sent)
        let answer = ''
        for await (const data of socket) answer += data
        const source = net.connect(${Service.source}, '${server}')
        const hash = createHash('sha256')
        let length = 0
        for await (const data of source) length += data.length, hash.update(data)
        out({ up: answer === createHash('sha256').update(sent).digest('hex'), length,
              down: hash.digest('hex') === createHash('sha256').update(Buffer.alloc(${SOURCE_BYTES}, 'netloom')).digest('hex') })`)
      assert.deepEqual(result, { up: true, length: SOURCE_BYTES, down: true })
    })

    test(`UDP over ${family}: a flow keeps its port, two flows have two, fragments are joined`, async () => {
      const result = (await world.script(`
        const exchange = async (socket, data) => {
          const send = () => socket.send(data)
          const again = setInterval(send, 1000)
          send()
          // Not what answers the same question once more.
          let answer = ''
          while (answer.length !== data.length) [answer] = await once(socket, 'message')
          clearInterval(again)
          return { ...JSON.parse(answer), answered: answer.length }
        }
        const sockets = []
        for (let i = 0; i < 2; i++) {
          sockets[i] = dgram.createSocket('${family === 'IPv4' ? 'udp4' : 'udp6'}')
          sockets[i].connect(${Service.udp}, '${server}')
          await once(sockets[i], 'connect')
        }
        const answers = []
        for (const [number, length] of [[0, 300], [1, 301], [0, ${family === 'IPv4' ? 9000 : 1400}]]) answers.push(await exchange(sockets[number], Buffer.alloc(length, 7)))
        for (const socket of sockets) socket.close()
        out(answers)`)) as { port: number; length: number; answered: number }[]
      assert.equal(result[0].port, result[2].port)
      assert.notEqual(result[0].port, result[1].port)
      const long = family === 'IPv4' ? 9000 : 1400
      assert.deepEqual(
        result.map(({ length, answered }) => [length, answered]),
        [
          [300, 300],
          [301, 301],
          [long, long]
        ]
      )
    })

    test(`echo over ${family}`, async () => {
      for (let number = 1; number <= 2; number++) {
        const { stdout, status } = await world.run('ping', '-c', '1', '-W', '60', server)
        assert.equal(status, 0, stdout)
        assert.match(stdout!, /ttl=63 /) // one hop, as with Docker
      }
    })
  }

  test('what the outside refuses, the container is refused', async () => {
    const result = await world.script(`
      const fail = async (port, host) => {
        const socket = net.connect(port, host)
        const [error] = await once(socket, 'error')
        return error.code
      }
      const udp = dgram.createSocket('udp4')
      udp.connect(9, '${SERVER}')
      await once(udp, 'connect')
      udp.send('nobody is there')
      const [error] = await once(udp, 'error')
      udp.close()
      out([await fail(9, '${SERVER}'), await fail(9, '192.0.2.13'), await fail(9, '${SERVER6}'), error.code])`)
    assert.deepEqual(result, ['ECONNREFUSED', 'EHOSTUNREACH', 'ECONNREFUSED', 'ECONNREFUSED'])
  })

  test('RST goes through in both directions, behind what was sent before', async () => {
    const code = await world.script(`
      const socket = net.connect(${Service.reset}, '${SERVER}')
      socket.write('end it')
      const [error] = await once(socket, 'error')
      out(error.code)`)
    assert.equal(code, 'ECONNRESET')
    // Here the RST comes right behind the last bytes, which socat and Node take for an end of file.
    const { stdout } = await world.run('sh', '-c', `echo words | socat -t 10 - TCP:${SERVER}:${Service.reset}`)
    assert.equal(stdout, 'last words')
    await world.script(`
      const socket = net.connect(${Service.watch}, '${SERVER}')
      socket.write('and now this side')
      await once(socket, 'data')
      socket.resetAndDestroy()
      out(1)`)
    await eventually('the server sees it', () => world.serverLines.includes('ECONNRESET'))
  })

  test('a RST waits for a slow reader of what came before it, and comes', async () => {
    // socat writes what it has read before it reads again: nothing is lost in it when the RST comes.
    const result = await world.script(`
      import { spawn } from 'node:child_process'
      const socat = spawn('socat', ['-d', '-u', 'TCP:${SERVER}:${Service.cut}', 'STDOUT'])
      let said = '', length = 0
      socat.stderr.on('data', (data) => { said += data })
      const ended = once(socat, 'exit')
      for await (const data of socat.stdout) {
        length += data.length
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      await ended
      out({ length, said })`)
    const { length, said } = result as { length: number; said: string }
    assert.equal(length, CUT_BYTES)
    assert.match(said, /Connection reset by peer/)
  })

  test('a router on the way is seen by TTL', async () => {
    const { stdout } = await world.run('ping', '-c', '1', '-t', '2', '-W', '60', FAR)
    assert.match(stdout!, new RegExp(`From ${SERVER} icmp_seq=1 Time to live exceeded`))
    const first = await world.run('ping', '-c', '1', '-t', '1', '-W', '60', FAR)
    assert.match(first.stdout!, new RegExp(`From ${HELPER} icmp_seq=1 Time to live exceeded`))
  })

  test('curl fetches from the outside', async () => {
    const web = world.far.start(
      process.execPath,
      '-e',
      `require('http').createServer((q, s) => s.end(q.socket.remoteAddress + ' ' + 'x'.repeat(100000))).listen(80, '0.0.0.0', () => console.log(1))`
    )
    await new Promise((resolve) => web.stdout!.once('data', resolve))
    const { status, stdout, stderr } = await world.run('curl', '-sS', '--max-time', '60', `http://${FAR}/`)
    assert.equal(status, 0, stderr)
    assert.equal(stdout, `${USER} ${'x'.repeat(100_000)}`)
  })

  test('1,000 connections at once', async () => {
    const before = (await world.stats())['tcpOpened']
    const answers = world.script(`
      const sockets = Array.from({ length: 1000 }, () => net.connect(${Service.echo}, '${SERVER}'))
      await Promise.all(sockets.map((socket) => once(socket, 'connect')))
      let right = 0
      await Promise.all(sockets.map(async (socket, i) => {
        const text = ('connection ' + i + ' ').repeat(100)
        socket.end(text)
        let answer = ''
        for await (const data of socket) answer += data
        if (answer === text) right++
      }))
      out(right)`)
    assert.equal(await answers, 1000)
    await eventually('all of them end', async () => (await world.stats())['tcpActive'] === 0)
    assert.equal((await world.stats())['tcpOpened'] - before, 1000)
  })

  test('UDP flows end when nobody uses them', async () => {
    const before = (await world.stats())['udpFlows']
    await world.script(`
      const socket = dgram.createSocket('udp4')
      for (let port = 10000; port < 10020; port++) await new Promise((sent) => socket.send('x', port, '${FAR}', sent))
      socket.close()
      out(1)`)
    await eventually('each has its own', async () => (await world.stats())['udpFlows'] >= before + 20)
    await eventually('none are left', async () => (await world.stats())['udpActive'] === 0)
  })

  describe('published ports', () => {
    /** In the container: says who connected, then what was received. */
    const service = `
      const tcp = net.createServer({ allowHalfOpen: true }, (socket) => {
        let text = ''
        socket.on('data', (data) => { text += data })
        socket.on('end', () => {
          socket.end(socket.remoteAddress + ' ' + text)
          if (text === 'end') tcp.close(), udp.close(), udp6.close()
        })
      }).listen(80, '::')
      const [udp, udp6] = ['udp4', 'udp6'].map((type) => {
        const socket = dgram.createSocket({ type, ipv6Only: type === 'udp6' })
        socket.on('message', (data, peer) => socket.send(peer.address + ' ' + data, peer.port, peer.address))
        return socket.bind(80)
      })
      out(1)`
    let served: Promise<unknown>
    before(async () => {
      served = world.script(service)
      const ports = [
        port('tcp', 'tcp', 8080, '0.0.0.0', 80),
        port('tcp6', 'tcp', 8080, '::', 80),
        port('udp', 'udp', 8080, '0.0.0.0', 80),
        port('udp6', 'udp', 8080, '::', 80),
        port('loopback', 'tcp', 8081, '127.0.0.1', 80)
      ]
      assert.deepEqual(await world.ask({ publish: ports }), {})
      await eventually('the container listens', async () => (await fetchTcp(world.user, '127.0.0.1', 8080, 'hello')).includes('hello'))
      for (const address of ['127.0.0.1', '::1'])
        await eventually('also by UDP', () => fetchUdp(world.user, address, 8080, 'hello').includes('hello'))
    })
    after(async () => {
      await fetchTcp(world.user, '127.0.0.1', 8080, 'end')
      await served
      assert.deepEqual(await world.ask({ unpublish: ['tcp', 'tcp6', 'udp', 'udp6', 'loopback', 'unknown'] }), {})
      assert.match(await fetchTcp(world.server, USER, 8080, 'hello'), /ECONNREFUSED/)
    })

    type Place = UserWorld['user']
    const client = (place: Place, body: string): string =>
      spawnSync('nsenter', [`--net=${place.path}`, process.execPath, '-e', body], { encoding: 'utf8', timeout: 120_000 }).stdout

    async function fetchTcp(place: Place, host: string, number: number, text: string): Promise<string> {
      return client(
        place,
        `const s = require('net').connect({ port: ${number}, host: '${host}', allowHalfOpen: true }); s.end('${text}')
         s.on('data', (d) => process.stdout.write(d)); s.on('error', (e) => console.log(e.code))`
      )
    }

    function fetchUdp(place: Place, host: string, number: number, text: string): string {
      return client(
        place,
        `const s = require('dgram').createSocket('${host.includes(':') ? 'udp6' : 'udp4'}')
         const send = () => s.send('${text}'), end = (words) => { console.log(words); process.exit() }
         s.connect(${number}, '${host}', () => { send(); setInterval(send, 1000) })
         s.on('message', (d) => end(String(d))); s.on('error', (e) => end(e.code))`
      ).trim()
    }

    test('from outside, with the client’s own address', async () => {
      assert.equal(await fetchTcp(world.server, USER, 8080, 'hello'), `::ffff:${SERVER} hello`)
      assert.equal(await fetchTcp(world.server, '2001:db8:1::1', 8080, 'hello'), `${SERVER6} hello`)
      assert.equal(fetchUdp(world.server, USER, 8080, 'hello'), `${SERVER} hello`)
      assert.equal(fetchUdp(world.server, '2001:db8:1::1', 8080, 'hello'), `${SERVER6} hello`)
      assert.equal(await fetchTcp(world.server, USER, 8081, 'hello'), 'ECONNREFUSED\n')
    })

    test('from the user’s loopback', async () => {
      assert.equal(await fetchTcp(world.user, '127.0.0.1', 8080, 'hello'), `::ffff:${HELPER} hello`)
      assert.equal(await fetchTcp(world.user, '127.0.0.1', 8081, 'hello'), `::ffff:${HELPER} hello`)
      assert.equal(fetchUdp(world.user, '127.0.0.1', 8080, 'hello'), `${HELPER} hello`)
    })

    test('a port that cannot be had is an error, and none of its group stays', async () => {
      const taken = await world.ask({ publish: [port('new', 'tcp', 8090, '0.0.0.0', 80), port('second', 'tcp', 8080, '0.0.0.0', 80)] })
      assert.equal(taken.error!.code, 'conflict')
      assert.equal(taken.error!.errno, 'EADDRINUSE')
      assert.match(await fetchTcp(world.server, USER, 8090, 'hello'), /ECONNREFUSED/)
      const elsewhere = await world.ask({ publish: [port('elsewhere', 'udp', 8090, '192.0.2.77', 80)] })
      assert.equal(elsewhere.error!.errno, 'EADDRNOTAVAIL')
      const privileged = await world.ask({ publish: [port('privileged', 'tcp', 80)] })
      assert.equal(privileged.error!.errno, 'EACCES')
    })
  })

  test('the host itself can be reached, the helper can not', async () => {
    const listener = world.user.start(process.execPath, '-e', `require('net').createServer().listen(7000, () => console.log(1))`)
    await new Promise((resolve) => listener.stdout!.once('data', resolve))
    const connect = (host: string): Promise<unknown> =>
      world.script(`
        const socket = net.connect(7000, '${host}')
        socket.on('error', ({ code }) => out(code))
        socket.on('connect', () => { out('connected'); socket.end() })`)
    assert.equal(await connect(USER), 'connected') // as with Docker: the host itself may be reached
    assert.equal(await connect(HELPER), 'ECONNREFUSED')
  })

  test('addresses of the machine are told as they come and go', async () => {
    const addresses = async (): Promise<readonly string[]> => (await world.ask({ hostAddresses: true })).hostAddresses!
    assert.deepEqual([...(await addresses())].sort(), [USER6, USER].sort())
    world.user.run('ip', 'address', 'add', '192.0.2.200/32', 'dev', 'wan')
    await eventually('it is told', async () => (await addresses()).includes('192.0.2.200'))
    world.user.run('ip', 'address', 'del', '192.0.2.200/32', 'dev', 'wan')
    await eventually('that is told too', async () => !(await addresses()).includes('192.0.2.200'))
  })

  test('one who pings with more identifiers than there is room for silences nobody', async () => {
    const before = (await world.stats())['pings']!
    for (let sent = 0; (await world.stats())['pings']! < before + 1100; sent += 100) {
      assert.ok(sent < 10_000, 'echo requests arrive')
      await world.ask({ frames: Array.from({ length: 100 }, (_, i) => echoRequest(sent + i)) })
    }
    const { status, stdout } = await world.run('ping', '-c', '1', '-W', '60', SERVER)
    assert.equal(status, 0, stdout)
  })

  test('a container that opens all that it can leaves room for others', async () => {
    // Silence for as long as the kernel waits.
    world.server.run('ip', 'route', 'add', 'blackhole', SILENT)
    const before = await world.stats()
    for (const [protocol, most] of [
      [6, 4096],
      [17, 16_384]
    ] as const) {
      for (let sent = 0; sent < most; sent += 512) {
        await world.ask({ frames: Array.from({ length: 512 }, (_, i) => flowBegins(protocol, GREEDY, sent + i)) })
      }
    }
    await eventually('two thirds of the openings are its own, and no more', async () => {
      const dropped = (await world.stats())['tcpDropped'] - before['tcpDropped']
      return dropped >= 1000
    })
    assert.ok((await world.stats())['udpActive'] <= (16_384 * 2) / 3 + 16)
    const answer = await world.script(`
      const udp = dgram.createSocket('udp4')
      udp.connect(${Service.udp}, '${SERVER}')
      await once(udp, 'connect')
      const send = () => udp.send('x'.repeat(300))
      const again = setInterval(send, 1000)
      send()
      const [{ length }] = await once(udp, 'message')
      clearInterval(again)
      udp.close()
      const tcp = net.connect(${Service.echo}, '${SERVER}')
      tcp.end('still')
      const [data] = await once(tcp, 'data')
      out([length, String(data)])`)
    assert.deepEqual(answer, [300, 'still'])
  })

  test('frames of any kind do it no harm', async () => {
    assert.deepEqual(await world.ask({ frames: mutatedFrames(3000) }), {})
    assert.deepEqual(await world.ask({ failures: true }), { failures: [] })
    const { status, stderr } = await world.run('ping', '-c', '1', '-W', '60', SERVER)
    assert.equal(status, 0, stderr)
    assert.equal(
      await world.script(`const s = net.connect(${Service.echo}, '${SERVER}'); s.end('x'); s.on('data', (d) => out(String(d)))`),
      'x'
    )
  })

  test('a helper that dies is told, and comes again with its ports; when its owner dies nothing stays', async () => {
    const helpers = (): number[] =>
      spawnSync('pgrep', ['-f', `${world.folder}/build/Release/netloom-uplink`], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter(Boolean)
        .map(Number)
    const logs = async (): Promise<readonly string[]> => (await world.ask({ logs: true })).logs!
    const before = (await logs()).length
    const first = helpers()
    assert.equal(first.length, 2)
    await world.ask({ publish: [port('again', 'tcp', 8099)] })
    await world.ask({ publishWhenChanged: [port('meanwhile', 'tcp', 8098)] })
    process.kill(first[0], 'SIGKILL')
    await eventually('it is there again', async () => (await logs()).includes('the user uplink is there again'))
    const said = (await logs()).slice(before)
    assert.equal(said.length, 2, said.join('\n'))
    assert.match(
      said[0]!,
      /^the helper of the user uplink.*; it is started again in 1 s, connections of containers to the outside are lost$/
    )
    assert.deepEqual(await world.ask({ failures: true }), { failures: [] })
    assert.equal(helpers().length, 2)
    assert.ok(
      first.every((pid) => !helpers().includes(pid)),
      'both processes are new ones'
    )
    const { status, stderr } = await world.run('ping', '-c', '1', '-W', '60', SERVER)
    assert.equal(status, 0, stderr)
    assert.match(world.user.run('ss', '-Htln', 'sport = :8099'), /:8099/)
    world.guest.kill('SIGKILL')
    await eventually('all ends', () => helpers().length === 0 && world.ready.pids.every((pid) => !existsSync(`/proc/${pid}`)))
  })
})

/** Frames to the helper with IPv4 or IPv6, TCP, UDP and ICMP headers, each with some bytes changed; the same ones each time. */
function mutatedFrames(count: number): string[] {
  let state = 0x6e657431
  const random = (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  return Array.from({ length: count }, () => {
    const frame = Buffer.alloc(54 + random(100))
    frame.write('026e6c000001026e6c000002', 'hex')
    const isIpv6 = random(2) === 1
    const protocol = [6, 17, isIpv6 ? 58 : 1][random(3)]
    frame.writeUInt16BE(isIpv6 ? 0x86dd : 0x0800, 12)
    if (isIpv6) {
      frame[14] = 0x60
      frame.writeUInt16BE(frame.length - 54, 18)
      frame[20] = protocol
      frame[21] = 64
      frame.write('fd6e65746c6f6f6d0000000000000002', 22, 'hex')
      frame.write('20010db8000100000000000000000002', 38, 'hex')
    } else {
      frame[14] = 0x45
      frame.writeUInt16BE(frame.length - 14, 16)
      frame[22] = 64
      frame[23] = protocol
      frame.write('c0000002cb007102', 26, 'hex')
      frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24)
    }
    const transport = isIpv6 ? 54 : 34
    for (let at = transport; at < frame.length; at++) frame[at] = random(256)
    if (protocol === 6 && frame.length > transport + 13) frame[transport + 13] = 2 // a SYN, so that it gets as far as the gate
    for (let changes = random(3); changes > 0; changes--) frame[14 + random(frame.length - 14)] = random(256)
    return frame.toString('base64')
  })
}

/** The first frame of a flow to where nobody answers, in base64; `number` below 65,536 tells flows apart. */
function flowBegins(protocol: 6 | 17, source: string, number: number): string {
  const frame = Buffer.alloc(protocol === 6 ? 54 : 43)
  emitEthernet({ destination: '02:6e:6c:00:00:01', source: '02:6e:6c:00:00:02', type: 0x0800 }, frame, 0)
  emitIpv4({ source, destination: SILENT, protocol, payloadLength: frame.length - 34 }, frame, 14)
  frame.writeUInt16BE(number, 34)
  frame.writeUInt16BE(9, 36)
  if (protocol === 6) {
    frame[46] = 0x50
    frame[47] = 2 // SYN
  } else frame.writeUInt16BE(frame.length - 34, 38)
  return frame.toString('base64')
}

/** A frame from the router to the server, in base64. */
function echoRequest(identifier: number): string {
  const frame = Buffer.from(
    '026e6c000001026e6c000002' + '0800' + '4500001c0000400040010000' + 'c0000002cb007102' + '0800000000000001',
    'hex'
  )
  frame.writeUInt16BE(identifier, 38)
  frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24)
  frame.writeUInt16BE(checksum(frame.subarray(34)), 36)
  return frame.toString('base64')
}

function checksum(header: Buffer): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
