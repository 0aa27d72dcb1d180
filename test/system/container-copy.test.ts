// `docker cp` by the real client: what it may replace, and containers that are paused or have no room for another process.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, daemonMissing, until } from '../docker/daemon-process.ts'

describe('docker cp', { skip: daemonMissing() }, () => {
  const daemon = new DaemonProcess()
  const here = (name: string): string => path.join(daemon.folder, name)
  before(async () => {
    await daemon.start()
    mkdirSync(here('tree/both'), { recursive: true })
    writeFileSync(here('tree/both/x'), 'new\n')
    writeFileSync(here('plain'), 'plain\n')
  })
  after(() => daemon.down())

  test('a directory and a file do not replace each other', async () => {
    await daemon.ok('run', '-d', '--name', 'kinds', '--net', 'none', 'box', 'sleep', '1000')
    const make = 'mkdir -p /srv/d/plain /srv/d/tree /srv/to; echo old > /srv/d/tree/both; ln -s /srv/d /srv/link; echo 1 > /srv/to/both'
    await daemon.ok('exec', 'kinds', 'sh', '-c', make)
    const failed = 'Error processing tar file(exit status 1): cannot overwrite'
    assert.equal(
      await daemon.refused('cp', here('plain'), 'kinds:/srv/d'),
      `${failed} directory "/srv/d/plain" with non-directory "/srv/d"`
    )
    assert.equal(
      await daemon.refused('cp', here('tree'), 'kinds:/srv/link'),
      `${failed} non-directory "/srv/d/tree/both" with directory "/srv/d"`
    )
    assert.equal(
      await daemon.refused('cp', `${here('tree')}/.`, 'kinds:/srv/to'),
      `${failed} non-directory "/srv/to/both" with directory "/srv/to"`
    )
    assert.equal(await daemon.ok('exec', 'kinds', 'cat', '/srv/d/tree/both', '/srv/to/both'), 'old\n1')
    await daemon.ok('exec', 'kinds', 'rm', '/srv/to/both')
    // Twice: the second time every name is there, of its kind.
    for (let i = 0; i < 2; i++) await daemon.ok('cp', `${here('tree')}/.`, 'kinds:/srv/to')
    assert.equal(await daemon.ok('exec', 'kinds', 'cat', '/srv/to/both/x'), 'new')
    // Through the API: only who asks for it is refused.
    const archive = spawnSync('tar', ['-C', daemon.folder, '-cf', '-', 'plain']).stdout
    const put = (query: string) => daemon.send(`/v1.41/containers/kinds/archive?path=/srv/d${query}`, archive, 'PUT')
    const body = `{"message":"${failed} directory \\"/srv/d/plain\\" with non-directory \\"/srv/d\\""}\n`
    assert.deepEqual(await put('&noOverwriteDirNonDir=1'), { status: 500, body })
    await daemon.ok('exec', 'kinds', 'rmdir', '/srv/d/plain')
    assert.deepEqual(await put('&noOverwriteDirNonDir=true'), { status: 200, body: '' })
    await daemon.ok('rm', '-f', 'kinds')
  })

  test('a paused container, and one whose limit of processes is reached', async () => {
    const count = 'i=0; echo 0 > /srv/count; echo counting; while :; do i=$((i+1)); echo $i > /srv/count; done'
    await daemon.ok('run', '-d', '--name', 'held', '--net', 'none', '--pids-limit', '1', 'box', 'sh', '-c', count)
    await until('it counts', async () => (await daemon.ok('logs', 'held')) === 'counting')
    await daemon.ok('cp', here('plain'), 'held:/srv/early')
    await daemon.ok('pause', 'held')
    await daemon.ok('cp', here('tree'), 'held:/srv')
    await daemon.ok('cp', 'held:/srv', here('out'))
    const first = readFileSync(here('out/count'), 'utf8')
    assert.equal(readFileSync(here('out/early'), 'utf8'), 'plain\n')
    assert.equal(readFileSync(here('out/tree/both/x'), 'utf8'), 'new\n')
    await daemon.ok('cp', 'held:/srv/count', here('later'))
    assert.equal(readFileSync(here('later'), 'utf8'), first, 'it stood still')
    assert.equal(await daemon.ok('inspect', '-f', '{{.State.Status}}', 'held'), 'paused')
    assert.equal(await daemon.refused('exec', 'held', 'true'), 'Container held is paused, unpause the container before exec')
    await daemon.ok('unpause', 'held')
    await daemon.ok('rm', '-f', 'held')
    await until('its shim has ended', () => daemon.shims().length === 0)
  })
})
