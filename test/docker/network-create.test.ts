import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkResource } from '../../src/api/network-json.ts'
import { networkWorld } from './network-world.ts'
import { createRequest, shellWords, transcript } from './recorded.ts'

const FROM_DAEMON = 'Error response from daemon: '
/** Two names for one auxiliary address: Docker walks a map and names either. */
const withoutChoice = (text: string): string => text.replace(/\([ab]:/, '(N:')

/** Ids of networks made later than the recorded ones differ. */
const withoutIds = (text: string): string => text.replace(/[0-9a-f]{64}/g, 'ID')

/** Members that are the network's own. */
function comparable({ Id: _id, Created: _created, Containers: _containers, ...rest }: NetworkResource): unknown {
  return rest
}

for (const name of ['net-create-errors', 'overlay-nostore', 'seed004-create', 'net-inspect']) {
  test(`${name}: what a real daemon said to each create, and what inspect shows then`, async () => {
    const world = await networkWorld()
    let creates = 0
    for (const { cmd, stdout, stderr, rc } of transcript(name)) {
      const words = shellWords(cmd.replace(/ 2>&1 \|.*/, ''))
      const verb = words.slice(0, 3).join(' ')
      if (/[|$]/.test(cmd) && !cmd.includes('2>&1 | sed')) continue
      const said = `${stdout}${stderr}`.split('\n').find((line) => line.startsWith(FROM_DAEMON))
      if (verb === 'docker network create') {
        // What the client refuses by itself never arrives.
        if (rc !== 0 && said === undefined) continue
        creates++
        const answer = await world.networks.create(createRequest(words.slice(3))).catch((error: Error) => error.message.trimEnd())
        if (said === undefined) assert.equal(typeof answer, 'object', `${cmd}: ${JSON.stringify(answer)}`)
        else
          assert.equal(withoutIds(withoutChoice(String(answer))), withoutIds(withoutChoice(said.slice(FROM_DAEMON.length).trimEnd())), cmd)
      } else if (verb === 'docker network rm') {
        for (const network of words.slice(3)) await world.networks.remove(network)
      } else if (verb === 'docker network inspect' && stdout.startsWith('[\n')) {
        for (const wanted of JSON.parse(stdout) as NetworkResource[]) {
          assert.deepEqual(comparable(world.networks.inspect(wanted.Name)), comparable(wanted), cmd)
        }
      }
    }
    assert.ok(creates > 1)
    await world.close()
  })
}

test('n01 to n30 of net-pool-sequence: the subnets in their order', async () => {
  const world = await networkWorld()
  const subnets: string[] = []
  for (let number = 0; number < 30; number++) {
    await world.networks.create({ Name: `n${number}` })
    subnets.push(world.networks.inspect(`n${number}`).IPAM.Config[0]!.Subnet!)
  }
  assert.deepEqual(subnets.slice(0, 3), ['172.18.0.0/16', '172.19.0.0/16', '172.20.0.0/16'])
  assert.equal(subnets[14], '192.168.0.0/20')
  assert.equal(subnets[29], '192.168.240.0/20')
  await assert.rejects(world.networks.create({ Name: 'more' }), {
    status: 404,
    message: 'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network'
  })
  await world.networks.remove('n4')
  await world.networks.create({ Name: 'again' })
  assert.equal(world.networks.inspect('again').IPAM.Config[0]!.Subnet, subnets[4])
  await world.close()
})

test('automatic subnets avoid what the host has', async () => {
  const world = await networkWorld(undefined, ['172.18.5.0/24', '172.20.0.0/16'])
  await world.networks.create({ Name: 'a' })
  await world.networks.create({ Name: 'b' })
  assert.deepEqual(
    ['a', 'b'].map((name) => world.networks.inspect(name).IPAM.Config[0]!.Subnet),
    ['172.19.0.0/16', '172.21.0.0/16']
  )
  await world.close()
})
