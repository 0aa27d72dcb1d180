import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { CaptureFilterError } from '../../src/capture/filter/capture-filter-error.ts'
import { compileFilter } from '../../src/capture/filter/compile-filter.ts'
import { filterFunction } from '../../src/capture/filter/filter-function.ts'
import { captureFilter } from '../../src/lab/capture-filter.ts'
import { missing } from '../capture/judge.ts'
import { realFrames } from '../wire/real-frames.ts'

/** On a busy machine a process may take seconds to begin; what is done then is shown by a tcpdump that is always late. */
const patience = 120_000
const ask = (text: string, tcpdump: string | null = 'tcpdump') => captureFilter(text, { tcpdump, patience })

const isTaken = async (text: string, frame: Uint8Array, tcpdump?: string | null): Promise<boolean> => {
  const program = await ask(text, tcpdump)
  return filterFunction(program)(frame, 0, frame.length) > 0
}

for (const tcpdump of ['tcpdump', '/nowhere/tcpdump', null]) {
  const skip = tcpdump === 'tcpdump' ? missing('tcpdump') : false
  test(`a filter by ${tcpdump ?? 'the built-in grammar'}`, { skip }, async () => {
    assert.equal(await isTaken('icmp and host 10.44.0.2', realFrames.echoRequest, tcpdump), true)
    assert.equal(await isTaken('icmp and host 10.44.0.2', realFrames.tcpSyn, tcpdump), false)
    assert.equal(await isTaken(' ', realFrames.tcpSyn, tcpdump), true)
    await assert.rejects(ask('tcp and port', tcpdump), CaptureFilterError)
    await assert.rejects(ask('tcp\0', tcpdump), CaptureFilterError)
    await assert.rejects(ask('tcp or '.repeat(10_000), tcpdump), CaptureFilterError)
  })
}

test('what only libpcap knows works with tcpdump, and is refused in words without it', { skip: missing('tcpdump') }, async () => {
  assert.equal(await isTaken('not mpls', realFrames.tcpSyn), true)
  await assert.rejects(ask('not mpls', null), /'mpls' is understood only where tcpdump is installed/)
})

test('a filter is never an option of tcpdump', { skip: missing('tcpdump') }, async () => {
  for (const text of ['-w /tmp/netloom-never', '--version', '-z id']) await assert.rejects(ask(text), CaptureFilterError)
  assert.deepEqual(filterFunction(await ask('-1 = 0xffffffff'))(realFrames.udp, 0, 60) > 0, true)
})

test("the error has libpcap's words and our place", { skip: missing('tcpdump') }, async () => {
  await assert.rejects(ask('udp and port nosuch'), (error: CaptureFilterError) => {
    assert.match(error.message, /unknown port 'nosuch'/)
    assert.equal(error.offset, 13)
    return true
  })
})

test('a tcpdump that prints something else is no program', async (context) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'netloom-tcpdump-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const stub = (name: string, script: string): string => {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(path.join(folder, name), 0o755)
    return path.join(folder, name)
  }
  await assert.rejects(ask('tcp', stub('chatty', 'echo hello')), CaptureFilterError)
  await assert.rejects(ask('tcp', stub('unsafe', 'printf "1\\n40 0 0 12\\n"')), /ends with a return/)
  assert.deepEqual(await ask('tcp', stub('broken', 'echo no >&2; exit 127')), compileFilter('tcp'))
  const late = { tcpdump: stub('late', 'exec sleep 1000'), patience: 10 }
  assert.deepEqual(await captureFilter('tcp', late), compileFilter('tcp'))
  await assert.rejects(captureFilter('not mpls', late), /took longer than 0.01 s; give addresses/)
})
