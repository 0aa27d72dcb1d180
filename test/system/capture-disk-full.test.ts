import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'

/** A mount namespace of our own, in a user namespace so that it needs no root; a tmpfs of 512 KiB as the disk. */
const MOUNT = 'mount -t tmpfs -o size=512k netloom-test "$1" && shift && exec "$@"'

const probe = spawnSync('unshare', ['-rm', 'sh', '-c', MOUNT, 'sh', os.tmpdir(), 'true'], { encoding: 'utf8' })
const skip = probe.status === 0 ? false : `no tmpfs in a mount namespace: ${probe.error?.message ?? probe.stderr.trim()}`

const RUN = `
  import { setTimeout as sleep } from 'node:timers/promises'
  const base = process.argv[1]
  const { CaptureFile } = await import(base + 'capture-file.js')
  const { CaptureRingProducer } = await import(base + 'capture-ring.js')
  const { FrameRecord } = await import(base + 'frame-record.js')
  const { readCapture } = await import(base + 'read-capture.js')
  const errors = []
  const capture = await CaptureFile.open({ path: process.argv[2] + '/full.pcapng', onError: ({ code, message }) => errors.push({ code, message }) })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  const record = Object.assign(new FrameRecord(), { bytes: new Uint8Array(1514), captured: 1514, original: 1514 })
  for (let round = 0; errors.length === 0 || round < 20; round++) {
    for (let i = 0; i < 50; i++) producer.record(record)
    producer.publish()
    await sleep(10)
  }
  const counts = await capture.close()
  const reader = readCapture(capture.path)
  const readable = [...reader].length
  console.log(JSON.stringify({ counts, errors, readable, truncatedAt: reader.truncatedAt, offered: producer.recorded + producer.dropped }))`

test('a disk that fills up while capturing: a readable file of whole frames, one error, exact counts', { skip }, () => {
  const disk = mkdtempSync(path.join(os.tmpdir(), 'netloom-disk-'))
  try {
    const modules = new URL('../../src/capture/', import.meta.url).href
    const command = [process.execPath, '--input-type=module', '-e', RUN, modules, disk]
    const result = spawnSync('unshare', ['-rm', 'sh', '-c', MOUNT, 'sh', disk, ...command], { encoding: 'utf8' })
    assert.equal(result.status, 0, result.stderr)
    const { counts, errors, readable, truncatedAt, offered } = JSON.parse(result.stdout)
    assert.equal(errors.length, 1)
    assert.equal(errors[0].code, 'ENOSPC')
    assert.match(errors[0].message, /no space left on the device/)
    assert.ok(counts.frames > 0 && counts.bytes <= 512 * 1024, JSON.stringify(counts))
    assert.equal(readable, counts.frames)
    assert.equal(truncatedAt, undefined)
    assert.equal(counts.frames + counts.dropped, offered)
  } finally {
    rmSync(disk, { recursive: true, force: true })
  }
})
