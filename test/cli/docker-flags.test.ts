/** Command lines with docker's flags: the same requests, errors and exit codes as docker's client (docker-flags.json, recorded). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runHere } from './fake-world.ts'
import { RequestRecorder, type SeenRequest } from './request-recorder.ts'

export interface FlagCase {
  readonly words: readonly string[]
  readonly status: number
  readonly stderr: string
  readonly requests: readonly SeenRequest[]
}

const FILE = path.resolve(import.meta.dirname, '../../../test/cli/docker-flags.json')

describe("docker's flags", () => {
  let recorder: RequestRecorder
  before(async () => {
    recorder = await RequestRecorder.start()
  })
  after(() => recorder.close())

  for (const { words, status, stderr, requests } of JSON.parse(readFileSync(FILE, 'utf8')) as FlagCase[]) {
    it(words.join(' '), async () => {
      const ran = await runHere(words, { NETLOOM_HOST: recorder.host, HOME: '/nonexistent' })
      assert.deepEqual(recorder.take(), requests)
      // The program's own name is the only difference.
      assert.deepEqual([ran.code, ran.stderr.trim()], [status, stderr.replaceAll('docker', 'netloom')])
    })
  }
})
