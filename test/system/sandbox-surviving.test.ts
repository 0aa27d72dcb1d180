import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { readProcessLog } from '../../src/sandbox/process-log.ts'
import { Sandbox, type SurvivingMode } from '../../src/sandbox/sandbox.ts'
import { ShimConnection } from '../../src/sandbox/shim-connection.ts'
import { eventually, namespacesOf, noSandbox, processesIn, run } from './sandbox-set-up.ts'
import { forward } from './tap-forwarder.ts'

async function logged(file: string): Promise<{ stdout: string; stderr: string }> {
  const parts: Record<1 | 2, Buffer[]> = { 1: [], 2: [] }
  for await (const record of readProcessLog(file)) parts[record.stream].push(record.data)
  return { stdout: Buffer.concat(parts[1]).toString(), stderr: Buffer.concat(parts[2]).toString() }
}

describe('surviving sandboxes', { skip: noSandbox }, () => {
  let folder: string
  let mode: SurvivingMode
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    mode = { surviving: path.join(folder, 'socket'), stateDir: folder }
  })
  afterEach(async () => {
    if (existsSync(mode.surviving)) await (await Sandbox.reconnect('left', mode).catch(() => null))?.close()
    rmSync(folder, { recursive: true })
  })

  /** Another node process that creates the sandbox, runs `body` with `sandbox` in scope, prints 'done' and waits. */
  async function startCreator(body: string): Promise<{ child: ChildProcess; output: string }> {
    const script = `
      const { Sandbox } = await import('${path.resolve('dist/src/sandbox/sandbox.js')}')
      const sandbox = await Sandbox.create({ name: 'kept', mode: ${JSON.stringify(mode)} })
      ${body}
      console.log('done')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    for await (const chunk of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      output += chunk
      if (output.includes('done\n')) break
    }
    return { child, output }
  }

  async function killed(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  test('kill -9 of the creator: the process goes on, its log is complete, its exit status true', async () => {
    const script =
      'i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); [ $i -eq 250 ] && read line && echo read $line; done; exit 33'
    const { child, output } = await startCreator(`
      const shell = await sandbox.spawn({ argv: ['sh', '-c', ${JSON.stringify(script)}], stdio: 'kept' })
      console.log(shell.id, shell.pid)`)
    await killed(child)
    const [id, pid] = output.split(' ').map((word) => Number.parseInt(word, 10))
    process.kill(pid!, 0) // throws when it is gone

    const sandbox = await Sandbox.reconnect('kept', mode)
    assert.equal(sandbox.hostname, 'kept')
    const shell = await sandbox.process(id!)
    assert.equal(shell.exitStatus, null)
    const input = await sandbox.openInput(id!)
    input.end('a line\n')
    assert.deepEqual(await shell.wait(), { code: 33, signal: null })
    const log = await logged(path.join(folder, 'log'))
    const numbers = Array.from({ length: 500 }, (_, i) => i)
    assert.equal(log.stderr, numbers.map((i) => `err ${i}\n`).join(''))
    assert.equal(log.stdout, numbers.map((i) => `out ${i}\n${i === 249 ? 'read a line\n' : ''}`).join(''))
    assert.deepEqual(await sandbox.list(), [{ id, pid, exitStatus: { code: 33, signal: null }, lostLogBytes: 0 }])
    assert.equal(readFileSync(path.join(folder, 'status'), 'utf8'), `${id} code=33\n`)
    await sandbox.forget(id!)
    assert.deepEqual(await sandbox.list(), [])
    await sandbox.close()
    assert.ok(!existsSync(mode.surviving), 'the socket is gone')
  })

  test('kill -9 of the creator: a TCP connection through the TAPs goes on', async () => {
    // Each round of the conversation needs both directions, so none can pass while nobody forwards. It ends when a file says so: however
    // late this process is, it is under way until then.
    const enough = path.join(folder, 'enough')
    const server = `require('node:net').createServer((c) => c.on('data', (d) => c.write(d)).on('end', () => c.end())).listen(80)`
    const client = `
      const { existsSync } = require('node:fs')
      const socket = require('node:net').connect({ host: '192.0.2.1', port: 80, family: 4 })
      let round = 0, got = ''
      const next = () => socket.write(String(round) + ';')
      socket.on('connect', next).on('data', (data) => {
        got += data
        if (got !== String(round) + ';') return
        got = ''
        if (++round % 100 === 0) console.log(round)
        if (round % 100 !== 0 || !existsSync('${enough}')) return next()
        socket.end()
      }).on('end', () => process.exit(round % 100 === 0 ? 0 : 1))`
    const right: SurvivingMode = { surviving: path.join(folder, 'right-socket'), stateDir: mkdtempSync(path.join(folder, 'right-')) }
    const { child } = await startCreator(`
      const { forward } = await import('${path.resolve('dist/test/system/tap-forwarder.js')}')
      const right = await Sandbox.create({ name: 'right', mode: ${JSON.stringify(right)} })
      forward((await sandbox.openTap({ name: 'eth0' })).fd, (await right.openTap({ name: 'eth0' })).fd)
      await sandbox.configureInterface({ name: 'eth0', address: '192.0.2.1/24' })
      await right.configureInterface({ name: 'eth0', address: '192.0.2.2/24' })
      await sandbox.spawn({ argv: [process.execPath, '-e', ${JSON.stringify(server)}], stdio: 'kept' })
      const { readFileSync } = await import('node:fs')
      const listens = () => readFileSync(\`/proc/\${sandbox.shimPid}/net/tcp6\`, 'utf8').includes(':0050 ')
      while (!listens()) await new Promise((resolve) => setTimeout(resolve, 10))
      await right.spawn({ argv: [process.execPath, '-e', ${JSON.stringify(client)}], stdio: 'kept' })`)
    const clientLog = path.join(right.stateDir, 'log')
    await eventually('the conversation has begun', () => readFileSync(clientLog, 'utf8').includes('300'))
    await killed(child)

    const sandbox = await Sandbox.reconnect('kept', mode)
    const other = await Sandbox.reconnect('right', right)
    let stop: (() => void) | undefined
    const taps = [await sandbox.openTap({ name: 'eth0' }), await other.openTap({ name: 'eth0' })]
    try {
      const rounds = async (): Promise<number> => Number((await logged(clientLog)).stdout.trim().split('\n').at(-1))
      const before = await rounds()
      assert.equal(taps[0]!.ifindex, (await sandbox.netlink.links.find('eth0'))?.index)
      assert.ok((await sandbox.netlink.addresses.list('eth0')).some(({ address }) => address === '192.0.2.1/24'))
      stop = forward(taps[0]!.fd, taps[1]!.fd)
      for (let looked = 0; (await rounds()) <= before + 300; looked++) {
        assert.ok(looked < 10_000, 'the conversation never went on')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      writeFileSync(enough, '')
      assert.deepEqual(await (await other.process(1)).wait(), { code: 0, signal: null })
    } finally {
      stop?.()
      await other.close()
      await sandbox.close()
    }
  })

  test('an exit while nobody is connected is kept until it is asked for', async () => {
    const { child } = await startCreator(`await sandbox.spawn({ argv: ['sh', '-c', 'sleep 0.2; kill -TERM $$'], stdio: 'kept' })`)
    await killed(child)
    await eventually('the status is on disk', () => existsSync(path.join(folder, 'status')))
    const sandbox = await Sandbox.reconnect('kept', mode)
    const process = await sandbox.process(1)
    assert.deepEqual(process.exitStatus, { code: null, signal: 'SIGTERM' })
    assert.deepEqual(await process.wait(), { code: null, signal: 'SIGTERM' })
    await assert.rejects(sandbox.process(7), { code: 'ESRCH' })
    await sandbox.close()
  })

  test('a kept stdin stays open from client to client, until it is closed', async () => {
    const creator = await Sandbox.create({ name: 'kept', mode })
    const cat = await creator.spawn({ argv: ['cat'], stdio: 'kept', log: 'cat.log' })
    const first = await creator.openInput(cat.id)
    first.end('one\n')
    await once(first, 'close')
    await creator.disconnect()
    await assert.rejects(cat.wait(), { code: 'ERR_SANDBOX_CLOSED' })

    const sandbox = await Sandbox.reconnect('kept', mode)
    const second = await sandbox.openInput(cat.id)
    second.end('two\n')
    await once(second, 'close')
    await sandbox.closeInput(cat.id)
    assert.deepEqual(await (await sandbox.process(cat.id)).wait(), { code: 0, signal: null })
    assert.equal((await logged(path.join(folder, 'cat.log'))).stdout, 'one\ntwo\n')
    await sandbox.close()
  })

  test('a kept terminal is logged, written to and resized', async () => {
    const creator = await Sandbox.create({ name: 'kept', mode })
    const shell = await creator.spawn({
      argv: ['sh', '-c', 'stty -echo; stty size; read a; stty size; echo $a; exit 4'],
      stdio: 'kept',
      tty: { columns: 90, rows: 30 }
    })
    assert.equal(shell.stdout, null)
    await creator.disconnect()
    const sandbox = await Sandbox.reconnect('kept', mode)
    await eventually('the shell has printed', () => readFileSync(path.join(folder, 'log')).includes('30 90'))
    const again = await sandbox.process(shell.id)
    await again.resize({ columns: 91, rows: 31 })
    const input = await sandbox.openInput(shell.id)
    input.write('typed\n')
    assert.deepEqual(await again.wait(), { code: 4, signal: null })
    assert.equal((await logged(path.join(folder, 'log'))).stdout, '30 90\r\n31 91\r\ntyped\r\n')
    input.destroy()
    await sandbox.close()
  })

  test('a kept TAP comes back as the same device, a deleted one as a new', async () => {
    const creator = await Sandbox.create({ name: 'kept', mode })
    const first = await creator.openTap({ name: 'eth0', mac: '02:cc:00:00:00:01' })
    assert.equal(first.kept, false)
    closeSync(first.fd)
    await creator.disconnect()
    const sandbox = await Sandbox.reconnect('kept', mode)
    const again = await sandbox.openTap({ name: 'eth0' })
    assert.deepEqual({ ...again, fd: 0 }, { ...first, fd: 0, kept: true })
    const link = await sandbox.netlink.links.find('eth0')
    assert.equal(link?.mac, '02:cc:00:00:00:01')
    await sandbox.netlink.links.delete('eth0')
    const renewed = await sandbox.openTap({ name: 'eth0' })
    assert.notEqual(renewed.ifindex, first.ifindex)
    assert.equal(renewed.kept, false)
    await sandbox.configureInterface({ name: 'eth0', address: '192.0.2.1/24' })
    assert.ok((await sandbox.netlink.links.find('eth0'))?.running)
    await sandbox.close()
    closeSync(again.fd)
    closeSync(renewed.fd)
  })

  test('the newest client wins', async () => {
    const older = await Sandbox.create({ name: 'kept', mode })
    const lost = new Promise<void>((resolve) => older.onExit(resolve))
    const newer = await Sandbox.reconnect('kept', mode)
    await lost
    assert.ok(older.closed)
    await assert.rejects(older.list(), { code: 'ERR_SANDBOX_CLOSED' })
    assert.equal((await run(newer, ['echo', 'here'])).stdout, 'here\n')
    await newer.close()
    await assert.rejects(Sandbox.reconnect('kept', mode), { code: 'ENOENT' })
  })

  test('only its user may connect; a path in use, too long or left over is told apart', async () => {
    const sandbox = await Sandbox.create({ name: 'kept', mode })
    assert.equal(statSync(mode.surviving).mode & 0o777, 0o600)
    await assert.rejects(Sandbox.create({ name: 'second', mode }), /another shim listens there/)
    assert.equal((await run(sandbox, ['echo', 'unharmed'])).stdout, 'unharmed\n')
    const deep = path.join(folder, 'x'.repeat(120))
    await assert.rejects(Sandbox.create({ name: 'deep', mode: { surviving: deep, stateDir: folder } }), /at most 107 bytes/)
    await assert.rejects(Sandbox.create({ name: 'stateless', mode: { surviving: `${mode.surviving}2`, stateDir: deep } }), /No such file/)

    const namespaces = namespacesOf(sandbox.shimPid)
    process.kill(sandbox.shimPid, 'SIGKILL')
    await eventually('the shim is gone', () => !processesIn(namespaces).includes(sandbox.shimPid))
    assert.ok(existsSync(mode.surviving))
    await assert.rejects(Sandbox.reconnect('kept', mode), { code: 'ECONNREFUSED' })
    const next = await Sandbox.create({ name: 'next', mode })
    await next.close()
  })

  test('a shim whose creator dies before the set-up does not stay', async () => {
    const connection = await ShimConnection.startSurviving(mode.surviving, folder)
    const { message } = await connection.request(['hello'])
    assert.equal(message.integer('ready'), 0)
    await connection.disconnect()
    await eventually('the shim is gone', () => !existsSync(mode.surviving))
  })

  test('SIGTERM to the shim ends everything', async () => {
    const sandbox = await Sandbox.create({ name: 'kept', mode })
    const sleeper = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'kept' })
    process.kill(sandbox.shimPid, 'SIGTERM')
    assert.deepEqual(await sleeper.wait(), { code: null, signal: 'SIGKILL' })
    await eventually('the socket is gone', () => !existsSync(mode.surviving))
  })
})
