// Poller, eventfd, descriptor passing and error shapes of the addon; nothing here needs a privilege.
import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { PollEvent, type SystemCallError } from '../../src/io/native-binding.ts'

const native = tryLoadNative()!

describe('native system calls', { skip: native === null && 'the addon is not built' }, () => {
  test('the poller names ready descriptors by token, and only those of interest', () => {
    const poller = native.pollerCreate()
    const wake = native.eventfdCreate()
    const [near, far] = native.socketpairSeqpacket()
    const events = new Int32Array(16)
    native.pollerAdd(poller, wake, 7, PollEvent.readable)
    native.pollerAdd(poller, near, 9, PollEvent.readable)
    assert.equal(native.pollerWait(poller, events, 0), 0)
    assert.equal(native.pollerWait(poller, events, 300_000), 0, 'a time-out below a millisecond ends too')

    native.eventfdWrite(wake)
    native.eventfdWrite(wake)
    assert.equal(native.pollerWait(poller, events, -1), 1)
    assert.deepEqual([...events.subarray(0, 2)], [7, PollEvent.readable])
    assert.equal(native.eventfdDrain(wake), 2)
    assert.equal(native.eventfdDrain(wake), 0)
    assert.equal(native.pollerWait(poller, events, 0), 0)

    native.pollerModify(poller, near, 9, PollEvent.readable | PollEvent.writable)
    assert.equal(native.pollerWait(poller, events, 1e9), 1)
    assert.deepEqual([...events.subarray(0, 2)], [9, PollEvent.writable])
    native.pollerModify(poller, near, 9, PollEvent.readable)

    native.closeFd(far)
    assert.equal(native.pollerWait(poller, events, 1e9), 1)
    assert.deepEqual([...events.subarray(0, 2)], [9, PollEvent.readable | PollEvent.broken])
    native.pollerRemove(poller, near)
    assert.equal(native.pollerWait(poller, events, 0), 0)
    native.closeFd(near)
    native.closeFd(wake)
    native.pollerClose(poller)
  })

  test('errors carry code, errno, syscall and the object', () => {
    const poller = native.pollerCreate()
    assert.throws(
      () => native.pollerAdd(poller, 1_000_000, 0, PollEvent.readable),
      (error: SystemCallError) => {
        assert.deepEqual([error.code, error.errno, error.syscall], ['EBADF', -9, 'epoll_ctl'])
        assert.match(error.message, /fd 1000000/)
        return true
      }
    )
    assert.throws(() => native.openNetns('/nowhere/ns'), { code: 'ENOENT', syscall: 'open', message: /\/nowhere\/ns/ })
    assert.throws(() => native.closeFd(1_000_000), { code: 'EBADF' })
    assert.throws(() => native.connectSeqpacket(`/${'x'.repeat(200)}`), { code: 'ENAMETOOLONG' })
    native.setTimerSlack(1)
  })

  test("a thread's CPU time goes on while it runs", () => {
    const before = native.threadCpuTime()
    assert.ok(before > 0)
    while (native.threadCpuTime() === before);
    assert.ok(native.threadCpuTime() > before)
  })

  test('descriptors travel with a message and refer to the same file', () => {
    const [near, far] = native.socketpairSeqpacket()
    const file = openSync('/proc/self/status', 'r')
    native.sendWithFds(near, Buffer.from('status'), [file, file])
    const { data, fds } = native.receiveWithFds(far, 100, 1000)
    assert.equal(Buffer.from(data).toString(), 'status')
    assert.equal(fds.length, 2)
    assert.equal(fstatSync(fds[0]).ino, fstatSync(file).ino)
    assert.notEqual(fds[0], file)
    for (const fd of [file, ...fds]) closeSync(fd)

    assert.throws(() => native.receiveWithFds(far, 100, 20), { code: 'ETIMEDOUT' })
    native.sendWithFds(near, Buffer.alloc(101), [])
    assert.throws(() => native.receiveWithFds(far, 100, 1000), { code: 'EMSGSIZE' })
    native.closeFd(near)
    assert.equal(native.receiveWithFds(far, 100, 1000).data.length, 0, 'the peer has closed')
    native.closeFd(far)
  })

  test('the asynchronous receive resolves with a late message and rejects at its time-out', async () => {
    const [near, far] = native.socketpairSeqpacket()
    const pending = native.receiveWithFdsAsync(far, 100, 10_000)
    native.sendWithFds(near, Buffer.from('late'), [near])
    const { data, fds } = await pending
    assert.equal(Buffer.from(data).toString(), 'late')
    writeSync(fds[0], 'through the copy')
    const bytes = Buffer.alloc(50)
    assert.equal(bytes.subarray(0, readSync(far, bytes)).toString(), 'through the copy')
    await assert.rejects(native.receiveWithFdsAsync(far, 100, 10), { code: 'ETIMEDOUT' })
    for (const fd of [near, far, ...fds]) native.closeFd(fd)
  })

  test('a worker thread loads the addon too, polls with it, and is woken through an eventfd', async () => {
    const wake = native.eventfdCreate()
    const program = `
      import { parentPort, workerData } from 'node:worker_threads'
      const { loadNative } = await import(workerData.loader)
      const native = loadNative()
      const poller = native.pollerCreate()
      native.pollerAdd(poller, workerData.wake, 3, 1)
      const events = new Int32Array(2)
      parentPort.postMessage({ ready: native.pollerWait(poller, events, -1), token: events[0] })`
    const loader = new URL('../../src/io/load-native.js', import.meta.url).href
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), { workerData: { wake, loader } })
      const answer = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      native.eventfdWrite(wake)
      assert.deepEqual(await answer, { ready: 1, token: 3 })
      await worker.terminate()
      native.eventfdDrain(wake)
    }
    native.closeFd(wake)
  })
})
