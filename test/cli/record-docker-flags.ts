/**
 * Asks docker's client (version 28) what it makes of each command line of docker-flags.json, and writes it there:
 * `node dist/test/cli/record-docker-flags.js`. Lines to be asked are added as `{ "words": [...] }`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { FlagCase } from './docker-flags.test.ts'
import { RequestRecorder } from './request-recorder.ts'

const FILE = path.resolve(import.meta.dirname, '../../../test/cli/docker-flags.json')
const { stdout } = spawnSync('docker', ['--version'], { encoding: 'utf8' })
if (!/version 28\./.test(stdout)) throw new Error(`docker's client must be of version 28: ${stdout}`)

const recorder = await RequestRecorder.start()
const cases: FlagCase[] = []
for (const { words } of JSON.parse(readFileSync(FILE, 'utf8')) as FlagCase[]) {
  const child = spawn('docker', words, {
    env: { PATH: process.env['PATH'], DOCKER_HOST: recorder.host, HOME: '/nonexistent' },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [status] = (await once(child, 'close')) as [number]
  cases.push({ words, status, stderr: stderr.trim().replace(/\nexit status \d+$/, ''), requests: recorder.take() })
}
await recorder.close()
writeFileSync(FILE, `[\n${cases.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`)
