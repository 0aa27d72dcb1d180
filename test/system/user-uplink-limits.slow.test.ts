// The user uplink where a process may have as few open files as the kernel itself allows (INR_OPEN_MAX), and when what it needs is refused.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { Service } from './user-uplink-server.ts'
import { noUserUplink, SERVER, UserWorld } from './user-uplink-set-up.ts'

const OPEN_FILES = 4096
/** What one container alone may have of the helper's: two thirds of those that are not its own. */
const SHARE = ((OPEN_FILES - 256) * 2) / 3

describe('the user uplink with 4,096 open files', { skip: noUserUplink }, () => {
  let world: UserWorld
  before(async () => {
    world = new UserWorld()
    await world.start({ udpUnreplied: 600, udpAssured: 600 }, OPEN_FILES)
    await world.startServer()
  })
  after(() => world.close())

  async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
    for (let attempt = 0; attempt < 5000; attempt++) {
      if (await check()) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail(`not reached: ${what}`)
  }

  test('1,000 connections of one container at once', async () => {
    const connected = await world.script(`
      let connected = 0
      const late = setTimeout(end, 120_000) // SYNs for which there is no room come again and again
      const sockets = Array.from({ length: 1000 }, () => net.connect(${Service.echo}, '${SERVER}', () => ++connected === 1000 && end()))
      function end() {
        clearTimeout(late)
        out(connected)
        for (const socket of sockets) socket.on('error', () => {}).resetAndDestroy()
      }`)
    assert.equal(connected, 1000)
    await eventually('all of them end', async () => (await world.stats())['tcpActive'] === 0)
  })

  test('a UDP flow that is in use outlives all those that are not', async () => {
    const before = (await world.stats())['udpFlows']
    const ports = await world.script(`
      const open = async () => {
        const socket = dgram.createSocket('udp4')
        socket.connect(${Service.udp}, '${SERVER}')
        await once(socket, 'connect')
        return socket
      }
      /** The port outside; asks again as long as no answer comes. */
      const ask = async (socket) => {
        const send = () => socket.send('x'.repeat(150))
        const again = setInterval(send, 500)
        send()
        const [answer] = await once(socket, 'message')
        clearInterval(again)
        return JSON.parse(answer).port
      }
      const inUse = await open()
      const ports = new Set([await ask(inUse)])
      // Where there is no more room, one after the other: of two that wait for their answers the second would end the first.
      for (let flows = 0, next; flows < ${SHARE + 500}; flows += next) {
        next = flows < ${SHARE - 100} ? 50 : 1
        const sockets = await Promise.all(Array.from({ length: next }, open))
        await Promise.all(sockets.map(ask))
        for (const socket of sockets) socket.close()
        ports.add(await ask(inUse))
      }
      inUse.close()
      out([...ports])`)
    const { udpFlows, udpActive } = await world.stats()
    assert.ok(udpFlows - before > SHARE && udpActive <= SHARE, `flows had to make room: ${udpActive} are left of ${udpFlows - before}`)
    assert.equal((ports as number[]).length, 1, `its port changed: ${ports}`)
  })

  test('a new helper whose TAP is refused is no last one', async () => {
    const logs = async (): Promise<readonly string[]> => (await world.ask({ logs: true })).logs!
    const taps = async (): Promise<number> => (await world.ask({ taps: true })).taps!
    const before = await taps()
    assert.equal(before, 2)
    await world.ask({ refuseChange: 'the engine is busy' })
    const { stdout } = spawnSync('pgrep', ['-f', `${world.folder}/build/Release/netloom-uplink`], { encoding: 'utf8' })
    process.kill(Number(stdout.split('\n')[0]), 'SIGKILL')
    await eventually('it is there again', async () => (await logs()).includes('the user uplink is there again'))
    const said = (await logs()).slice(-2)
    assert.match(said[0]!, /^the new helper of the user uplink cannot be used: the engine is busy; it is started again in 2 s/)
    assert.deepEqual(await world.ask({ failures: true }), { failures: [] })
    assert.equal(await taps(), before, 'the refused one is closed')
    const { status, stderr } = await world.run('ping', '-c', '1', '-W', '60', SERVER)
    assert.equal(status, 0, stderr)
  })
})
