// kill -9 of the daemon at random moments under random requests, and at every write to its store; after each restart the state is
// consistent and holds all that was acknowledged. 15 rounds; NETLOOM_CRASH_ROUNDS=200 for the long run (npm run test:crash).
// NETLOOM_CRASH_SEED repeats a run's choices.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { ApiConnection } from '../docker-lab/api-connection.ts'
import { CrashWorld } from '../docker-lab/crash-world.ts'
import { DockerLab, labMissing } from '../docker-lab/docker-lab.ts'
import { backTo, type Holdings, holdings } from '../docker-lab/leak-count.ts'

const ROUNDS = Number(process.env['NETLOOM_CRASH_ROUNDS'] ?? 15)
const SEED = Number(process.env['NETLOOM_CRASH_SEED'] ?? Date.now() % 1_000_000)
const WORKERS = 4

describe('crashes of the daemon', { skip: labMissing() }, () => {
  let lab: DockerLab
  let start: Holdings
  before(async () => {
    lab = new DockerLab('crash')
    await lab.up()
    await lab.ok('run', '--rm', 'busybox', 'true')
  })
  after(() => lab.down())

  test(`${ROUNDS} rounds of random requests, each ended by kill -9`, { timeout: 60_000 + ROUNDS * 15_000 }, async (context) => {
    context.diagnostic(`seed ${SEED}`)
    const random = new Random(SEED)
    await lab.kill()
    await lab.start()
    // What a daemon opens once, at its first container, is no leak.
    await lab.ok('run', '--rm', 'busybox', 'true')
    start = holdings(lab)
    const world = new CrashWorld(lab, random, WORKERS)
    await world.begin()
    for (let round = 1; round <= ROUNDS; round++) {
      const work = Array.from({ length: WORKERS }, (_, worker) => world.work(worker))
      await new Promise((resolve) => setTimeout(resolve, 20 + random.below(600)))
      await lab.kill()
      await Promise.all(work)
      await lab.start()
      await world.check().catch((error: Error) => {
        throw new Error(`seed ${SEED}, round ${round}: ${error.message}${lab.logEnd()}`, { cause: error })
      })
    }
    context.diagnostic(`${ROUNDS} kills, ${world.acknowledged} requests were answered`)
    assert.deepEqual(world.faults, [])
    await world.end()
    await lab.ok('run', '--rm', 'busybox', 'true')
    const now = await backTo(lab, start)
    for (const [what, count] of Object.entries(start)) {
      assert.ok(now[what as keyof Holdings] <= count, `${what}: ${now[what as keyof Holdings]}, ${count} after the first start`)
    }
  })
})

describe('crash points', { skip: labMissing() }, () => {
  let lab: DockerLab
  before(async () => {
    lab = new DockerLab('point')
    await lab.up()
    await lab.ok('run', '--rm', 'busybox', 'true')
  })
  after(() => lab.down())

  /** Everything that writes, in order; the daemon dies somewhere in it. */
  const script: readonly (readonly [method: string, path: string, body?: unknown])[] = [
    ['POST', '/networks/create', { Name: 'p1', IPAM: { Config: [{ Subnet: '10.67.1.0/24' }] } }],
    ['POST', '/networks/create', { Name: 'p2', IPAM: { Config: [{ Subnet: '10.67.2.0/24' }] } }],
    ['POST', '/containers/create?name=pc', { Image: 'busybox', Cmd: ['sleep', '100000'], HostConfig: { NetworkMode: 'p1' } }],
    ['POST', '/containers/pc/start'],
    ['POST', '/networks/p2/connect', { Container: 'pc' }],
    ['POST', '/containers/pc/rename?name=pd'],
    ['POST', '/networks/p2/disconnect', { Container: 'pd' }],
    ['POST', '/containers/pd/restart?t=0'],
    ['POST', '/containers/pd/stop?t=0'],
    ['DELETE', '/containers/pd'],
    ['DELETE', '/networks/p2'],
    ['DELETE', '/networks/p1']
  ]

  /** What is to be seen after the first `done` requests of the script. */
  const seen = async (): Promise<string> => {
    const containers = await lab.ok('ps', '-a', '--format', '{{.Names}} {{.State}}')
    const networks = await lab.ok('network', 'ls', '-f', 'type=custom', '--format', '{{.Name}}')
    const members = await Promise.all(
      networks
        .split('\n')
        .filter(Boolean)
        .map((name) => lab.ok('network', 'inspect', '-f', '{{.Name}}:{{range .Containers}}{{.Name}}{{end}}', name))
    )
    return [containers, networks, ...members].join('|')
  }

  test('one crash before and one after every write to the store', { timeout: 500_000 }, async (context) => {
    const start = holdings(lab)
    const expected: string[] = [await seen()]
    const api = new ApiConnection(lab.socket)
    for (const [method, path, body] of script) {
      await api.ok(method, path, body)
      expected.push(await seen())
    }
    api.close()
    let points = 0
    let died = true
    for (let write = 1; died && write < 60; write++) {
      died = false
      for (const when of ['before', 'after']) {
        await lab.stop()
        lab.daemonEnvironment['NETLOOM_CRASH'] = `${when}:${write}`
        let done = 0
        try {
          await lab.start()
          const connection = new ApiConnection(lab.socket)
          for (const [method, path, body] of script) {
            await connection.ok(method, path, body)
            done++
          }
          connection.close()
        } catch (error) {
          died = true
          points++
          assert.ok(!/: 5\d\d /.test((error as Error).message), `${when}:${write}: ${(error as Error).message}`)
        }
        delete lab.daemonEnvironment['NETLOOM_CRASH']
        if (done === script.length) continue
        await lab.start()
        // The request under way is done, or it is not; those before it are.
        const now = await seen()
        const allowed = [expected[done]!, expected[done + 1]!]
        // A restart is a stop and a start: the end in between may have been told.
        if (script[done]![1].includes('/restart')) allowed.push(expected[done]!.replace('pd running', 'pd exited').replace('p1:pd', 'p1:'))
        assert.ok(
          allowed.includes(now),
          `${when}:${write}, after ${script[done]!.slice(0, 2).join(' ')}:\n  ${now}\nis neither of\n  ${allowed.join('\n  ')}`
        )
        const left = (await lab.ok('ps', '-aq')).split('\n').filter(Boolean)
        if (left.length > 0) await lab.ok('rm', '-f', ...left)
        const networks = (await lab.ok('network', 'ls', '-q', '-f', 'type=custom')).split('\n').filter(Boolean)
        if (networks.length > 0) await lab.ok('network', 'rm', ...networks)
      }
    }
    context.diagnostic(`${points} crash points`)
    assert.ok(points >= 2 * script.length, `only ${points} crash points were met`)
    const now = await backTo(lab, start)
    assert.ok(now.processes <= start.processes, `${now.processes} processes, ${start.processes} before`)
  })
})
