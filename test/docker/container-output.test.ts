/** Readers of a container's output that go before its end. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Container } from '../../src/docker/container/container.ts'
import type { ContainerContext } from '../../src/docker/container/container-context.ts'
import { ContainerOutput } from '../../src/docker/container/container-output.ts'
import { formatTime, newState } from '../../src/docker/container/container-status.ts'
import { completeHostConfig } from '../../src/docker/container/create-config.ts'
import { emptyNetworking } from '../../src/docker/network/container-networking.ts'
import { emptyConfig } from '../../src/image/image-config.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'

const ATTACH = { stdin: false, stdout: true, stderr: true, stream: true, logs: false, detachKeys: null }
const LOGS = { follow: true, stdout: true, stderr: true, since: null, until: null, timestamps: false, details: false, tail: null }

describe('readers of output that go', () => {
  let folder = ''
  let container: Container
  /** Who waits for a moment of the container. */
  let waiting = 0
  const output = new ContainerOutput({ publish() {}, options: { log() {} } } as unknown as ContainerContext)

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-output-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  beforeEach(() => {
    container = new Container(
      {
        id: '1'.repeat(64),
        name: 'talker',
        created: formatTime(1n),
        config: emptyConfig(),
        hostConfig: completeHostConfig(null),
        state: { ...newState(), Status: 'running', Running: true },
        networking: emptyNetworking(),
        image: { id: 'sha256:1', name: 'box', layers: 'host' },
        path: 'true',
        args: [],
        mounts: [],
        anonymousVolumes: [],
        restartCount: 0,
        manuallyStopped: false,
        linkedEnvironment: []
      },
      folder,
      new MemoryStore()
    )
    writeFileSync(container.logPath, '')
    waiting = 0
    const { moments } = container
    const on = moments.on.bind(moments)
    moments.on = (moment, listener) => {
      const forget = on(moment, listener)
      waiting++
      return () => {
        waiting--
        return forget()
      }
    }
  })

  test('logs -f', async () => {
    const gone = new AbortController()
    const send = await output.logs(container, LOGS, gone.signal)
    assert.equal(waiting, 1)
    const sending = send(new PassThrough().resume())
    gone.abort()
    await sending
    assert.equal(waiting, 0)
  })

  test('logs -f of one that has gone before', async () => {
    const send = await output.logs(container, LOGS, AbortSignal.abort())
    await send(new PassThrough().resume())
    assert.equal(waiting, 0)
  })

  for (const [name, options] of [
    ['output', ATTACH],
    ['no output', { ...ATTACH, stdout: false, stderr: false }]
  ] as const) {
    test(`attach to ${name}`, async () => {
      const serve = await output.attach(container, options)
      assert.equal(waiting, 1)
      const connection = new PassThrough()
      const serving = serve(connection)
      connection.destroy()
      await serving
      assert.equal(waiting, 0)
    })

    test(`attach to ${name} by a connection that has ended`, async () => {
      const connection = new PassThrough()
      connection.destroy()
      const serve = await output.attach(container, options)
      await serve(connection)
      assert.equal(waiting, 0)
    })
  }
})
