/** What the section header of a lab's capture says: what the lab is for, its seed, and nothing of a machine under the virtual clock. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Lab, type LabOptions, readCapture } from '../../src/index.ts'
import { withLab } from '../../src/testing.ts'
import { missing, run, temporaryFolder } from '../capture/judge.ts'

const DESCRIPTION = 'two hosts, one “ping”'

async function sectionOf(file: string, options: LabOptions, comment?: string) {
  const lab = await Lab.create({ ...options, upstreams: [] })
  const capture = await lab.capture(file, comment === undefined ? {} : { comment })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  await lab.run(() => a.ping(b.address))
  await capture.close()
  await lab.close()
  const reader = readCapture(file)
  assert.ok([...reader].length > 0)
  return reader.sections[0]!
}

test('description, seed and comment', async (t) => {
  const file = path.join(temporaryFolder(t), 'described.pcapng')
  const virtual = { clock: 'virtual', seed: 7 } as const
  assert.deepEqual(await sectionOf(file, virtual), { application: 'netloom', comment: 'seed 7' })
  const comment = `${DESCRIPTION}, seed 7`
  assert.deepEqual(await sectionOf(file, { ...virtual, description: DESCRIPTION }), { application: 'netloom', comment })
  assert.equal((await sectionOf(file, { ...virtual, description: DESCRIPTION }, 'third run')).comment, `${comment}; third run`)
  const real = await sectionOf(file, { clock: 'real', seed: 'x', description: DESCRIPTION })
  assert.deepEqual([real.comment, typeof real.os, typeof real.hardware], [`${DESCRIPTION}, seed x`, 'string', 'string'])
})

test('of a test too; capinfos and tshark show it', { skip: missing('tshark') }, async (t) => {
  const capture = path.join(temporaryFolder(t), 'described.pcapng')
  await withLab({ seed: 11, description: DESCRIPTION, capture }, async (lab) => void (await lab.network('lan')))
  assert.match(run('capinfos', ['-M', capture]), new RegExp(`Capture comment: +${DESCRIPTION}, seed 11\\n`))
  const asked = ['-X', 'read_format:MIME Files Format', '-r', capture, '-T', 'fields', '-e', 'pcapng.options.option.data.comment']
  assert.equal(run('tshark', asked), `${DESCRIPTION}, seed 11\n`)
})
