/** Lab files that are wrong: the first line of each says what is told, with line and column. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { readLabFile } from '../../src/compose/lab-file.ts'
import { LabFileError } from '../../src/compose/lab-file-error.ts'
import { checkUplink } from '../../src/daemon/uplink-setting.ts'

const FOLDER = 'test/compose/bad'
const files = readdirSync(FOLDER).sort()

describe('bad lab files', () => {
  test('there are at least 50', () => assert.ok(files.length >= 50))
  for (const file of files) {
    test(file, () => {
      const text = readFileSync(path.join(FOLDER, file), 'utf8')
      const expected = /^# (.*)\n/.exec(text)![1]
      assert.throws(
        () => readLabFile(text, { file, env: {}, readUplink: checkUplink }),
        (error) => {
          assert.ok(error instanceof LabFileError, String(error))
          assert.equal(error.message, `${file}:${expected}`)
          return true
        }
      )
    })
  }

  test("Docker's options of the other family are not taken for misspelt ones", () => {
    const options = '{ com.docker.network.host_ipv6: "2001:db8::5", com.docker.network.enable_ipv4: "true" }'
    readLabFile(`services: { web: { image: busybox } }\nnetworks: { front: { driver_opts: ${options} } }\n`, {
      file: 'compose.yaml',
      env: {}
    })
  })

  test('a file of random bytes, cut and changed at random places, is read or refused, and nothing else', () => {
    const whole = readFileSync('examples/vlan/compose.yaml', 'utf8')
    for (let length = 0; length < whole.length; length += 13) attempt(whole.slice(0, length))
    for (let at = 0; at < whole.length; at += 11) attempt(`${whole.slice(0, at)}${':-[]{}"\'#&*!|>%@`\t\n'[at % 19]}${whole.slice(at + 1)}`)
  })
})

function attempt(text: string): void {
  try {
    readLabFile(text, { file: 'compose.yaml', env: {} })
  } catch (error) {
    if (!(error instanceof LabFileError)) throw new Error(`not refused but broken by:\n${text}`, { cause: error })
    assert.ok(error.line >= 1 && error.column >= 1)
  }
}
