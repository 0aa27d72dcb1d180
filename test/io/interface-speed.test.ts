import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { interfaceSpeed } from '../../src/io/interface-speed.ts'
import { temporaryFolder } from '../capture/judge.ts'

const LINK = { name: 'eth0', index: 2, mac: '02:cc:00:00:00:01' }

test('Mbit/s of the interface itself, as its driver tells; else nobody knows', async (t) => {
  const folder = temporaryFolder(t)
  const write = (values: Record<string, string>): void => {
    mkdirSync(path.join(folder, 'eth0'), { recursive: true })
    for (const [file, text] of Object.entries(values)) writeFileSync(path.join(folder, 'eth0', file), `${text}\n`)
  }
  assert.equal(await interfaceSpeed(LINK, folder), undefined, 'no such interface')
  write({ ifindex: '2', address: LINK.mac, speed: '2500' })
  assert.equal(await interfaceSpeed(LINK, folder), 2_500_000_000)
  write({ speed: '-1' })
  assert.equal(await interfaceSpeed(LINK, folder), undefined, 'SPEED_UNKNOWN')
  write({ speed: '1000', ifindex: '3' })
  assert.equal(await interfaceSpeed(LINK, folder), undefined, 'another namespace has an eth0 too')
  write({ ifindex: '2', address: '02:cc:00:00:00:02' })
  assert.equal(await interfaceSpeed(LINK, folder), undefined)
})
