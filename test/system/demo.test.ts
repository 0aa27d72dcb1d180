import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { DemoResult } from '../../src/cli/demo/run-demo.ts'
import { eventually, namespacesOf, noSandbox, processesIn } from './sandbox-set-up.ts'

const PROGRAM = path.resolve('bin/netloom.js')
const NO_TSHARK = spawnSync('tshark', ['--version']).error === undefined ? false : 'tshark is not installed'

/** What a run could leave that names no process: interfaces here, files where it keeps temporary ones. */
function surroundings(temporary: string): { interfaces: string[]; temporary: string[] } {
  return { interfaces: readdirSync('/sys/class/net').sort(), temporary: readdirSync(temporary).sort() }
}

/** All processes that `pid` started, and theirs. */
function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      parents.set(Number(entry), Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, 'utf8'))![1]))
    } catch {}
  }
  const found = new Set([pid])
  for (let grew = true; grew; ) {
    grew = false
    for (const [child, parent] of parents) if (found.has(parent) && !found.has(child) && found.add(child)) grew = true
  }
  found.delete(pid)
  return [...found]
}

/** None of one that has ended meanwhile. */
function networkNamespaceOf(pid: number): string[] {
  try {
    return [namespacesOf(pid)[0]]
  } catch {
    return []
  }
}

describe('netloom demo', { skip: noSandbox }, () => {
  let folder = ''
  let temporary = ''
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-demo-'))
    temporary = path.join(folder, 'temporary')
    mkdirSync(temporary)
  })
  after(() => rmSync(folder, { recursive: true }))

  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [PROGRAM, 'demo', ...args], {
      cwd: folder,
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe']
    })
  const demo = (...args: string[]) =>
    spawnSync(process.execPath, [PROGRAM, 'demo', ...args], { cwd: folder, encoding: 'utf8', timeout: 240_000 })

  test('two processes, names, a transfer and a capture without a dropped copy; nothing is left', () => {
    const { status, stdout, stderr } = demo('--json')
    assert.equal(status, 0, stderr)
    const result = JSON.parse(stdout) as DemoResult
    assert.equal(result.mode, 'processes', result.reason)
    assert.equal(result.fetches, 100)
    assert.equal(result.transfer.bytes, 256 * 1024 * 1024)
    assert.deepEqual([result.ping.sent, result.ping.received], [5, 5])
    assert.deepEqual([result.udpEcho.sent, result.udpEcho.received], [10, 10])
    assert.equal(result.capture.dropped, 0)
    assert.deepEqual(result.endpoints.map(({ name }) => name).sort(), ['client', 'echo', 'web'])
    const web = result.endpoints.find(({ name }) => name === 'web')!
    assert.ok(web.rxBytes > 256 * 1024 * 1024, `web sent ${web.rxBytes} bytes into the network`)
    assert.match(web.ip, /^172\.25\.0\./)
    assert.equal(
      web.mac,
      `02:42:${web.ip
        .split('.')
        .map((octet) => Number(octet).toString(16).padStart(2, '0'))
        .join(':')}`
    )
  })

  test('the capture shows ARP, DNS at 127.0.0.11 with answers, ICMP and HTTP, and nothing malformed', { skip: NO_TSHARK }, () => {
    const file = path.join(folder, 'netloom-demo.pcapng')
    const count = (filter: string): number => {
      const { status, stdout, stderr } = spawnSync('tshark', ['-r', file, '-Y', filter, '-T', 'fields', '-e', 'frame.number'], {
        encoding: 'utf8',
        maxBuffer: 1 << 28
      })
      assert.equal(status, 0, stderr)
      return stdout.trim() === '' ? 0 : stdout.trim().split('\n').length
    }
    assert.ok(count('arp.opcode == 1') > 0 && count('arp.opcode == 2') > 0)
    assert.ok(count('dns.flags.response == 0 && ip.dst == 127.0.0.11 && dns.qry.name == "web" && dns.qry.type == 1') >= 100)
    assert.ok(count('dns.flags.response == 1 && ip.src == 127.0.0.11 && dns.a') >= 100)
    assert.ok(count('icmp.type == 8') >= 5 && count('icmp.type == 0') >= 5)
    assert.ok(count('http.request') >= 100 && count('http.response.code == 200') >= 100)
    assert.equal(count('_ws.malformed'), 0)
  })

  test('for people: steps, a table of endpoints, how to open the capture', () => {
    const { status, stdout, stderr } = demo()
    assert.equal(status, 0, stderr)
    for (const part of [/network demo-net/, /fetch http:\/\/web\/: 100 of 100/, /256 MiB of 256 MiB, [\d.]+ Gbit\/s/, /NAME +IP +MAC/]) {
      assert.match(stdout, part)
    }
    assert.match(stdout, /0 copies dropped/)
    assert.match(stdout, /tshark -r \S+netloom-demo\.pcapng/)
  })

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    test(`${signal} in the middle leaves no process, namespace, interface or temporary file`, async () => {
      const before = surroundings(temporary)
      const child = start('--capture', path.join(folder, `${signal}.pcapng`))
      const ended = once(child, 'close')
      let out = ''
      let errors = ''
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        errors += text
      })
      // Its pipe stays open: a run that finds it closed ends by itself.
      for await (const text of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
        out += text
        if (out.includes('fetch http://web/')) break
      }
      let started: number[] = []
      let namespaces: string[] = []
      // Held there until it has been looked at, however long that takes.
      child.kill('SIGSTOP')
      try {
        started = descendants(child.pid!)
        assert.ok(started.length >= 4, `two shims and what they run, not ${started.length} processes`)
        const own = namespacesOf(process.pid)[0]
        namespaces = [...new Set(started.flatMap(networkNamespaceOf))].filter((namespace) => namespace !== own)
        assert.equal(namespaces.length, 2)
        child.kill(signal)
        child.kill('SIGCONT')
        child.stdout!.resume()
      } catch (error) {
        child.kill('SIGKILL') // one that stands still would stay, and all of its processes
        throw error
      }
      const [code] = await ended
      if (signal !== 'SIGKILL') {
        assert.equal(code, 130)
        assert.equal(errors, `netloom: stopped by ${signal}\n`)
      }
      await eventually('all processes of the run have ended', () => started.every((pid) => !existsSync(`/proc/${pid}`)))
      assert.deepEqual(processesIn(namespaces), [])
      assert.deepEqual(surroundings(temporary), before)
    })
  }

  test('a capture that cannot be written is a clear error and leaves nothing', () => {
    const { status, stdout, stderr } = demo('--capture', '/nowhere/demo.pcapng')
    assert.equal(status, 1)
    assert.doesNotMatch(stderr, /\n\s+at /)
    assert.match(stderr, /netloom: .*\/nowhere\/demo\.pcapng/)
    assert.equal(stdout.includes('fetch'), false)
  })

  test('on a full disk the traffic goes on, and the end says what happened to the capture', () => {
    const { status, stdout, stderr } = demo('--json', '--capture', '/dev/full')
    assert.equal(status, 1)
    assert.match(stderr, /^netloom: cannot write the capture file \/dev\/full: no space left/)
    const { fetches, transfer, capture } = JSON.parse(stdout) as DemoResult
    assert.deepEqual([fetches, transfer.bytes, capture.frames], [100, 256 * 1024 * 1024, 0])
    assert.ok(capture.dropped > 0)
  })

  test('without the addon it says why and runs with virtual hosts', () => {
    const result = spawnSync(process.execPath, [PROGRAM, 'demo', '--json'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 240_000,
      env: { ...process.env, NETLOOM_NO_NATIVE: '1' }
    })
    assert.equal(result.status, 0, result.stderr)
    const { mode, reason, transfer, ping } = JSON.parse(result.stdout) as DemoResult
    assert.equal(mode, 'virtual-hosts')
    assert.match(reason!, /native addon/)
    assert.equal(transfer.bytes, 16 * 1024 * 1024)
    assert.equal(ping.received, 5)
  })

  describe('as an ordinary user', () => {
    const UID = 62_000 + (process.pid % 1000)
    let copy = ''
    before(() => {
      // The checkout may be in a folder that only root can read.
      copy = mkdtempSync(path.join(tmpdir(), 'netloom-test-user-'))
      chmodSync(copy, 0o777)
      for (const part of ['package.json', 'bin', 'dist/src', 'build/Release/netloom-shim', 'build/Release/netloom_native.node']) {
        cpSync(part, path.join(copy, part), { recursive: true })
      }
      cpSync('node_modules', path.join(copy, 'node_modules'), {
        recursive: true,
        dereference: true,
        filter: (from) => !/biome|echarts|typescript/.test(from)
      })
    })
    after(() => rmSync(copy, { recursive: true }))

    /** In a mount namespace of its own, /dev/net/tun is a node with the given mode; the machine's own is left alone. */
    const asUser = (mode: string) => {
      const shell = `mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 200 && chmod ${mode} /dev/net/tun &&
        cd ${copy} && exec setpriv --reuid ${UID} --regid ${UID} --clear-groups "$0" bin/netloom.js demo --json --capture ${copy}/user-${mode}.pcapng`
      return spawnSync('unshare', ['-m', 'sh', '-c', shell, process.execPath], {
        encoding: 'utf8',
        timeout: 240_000,
        env: { PATH: process.env['PATH'] }
      })
    }

    test('with access to /dev/net/tun the same job runs in user namespaces', () => {
      const { status, stdout, stderr } = asUser('666')
      assert.equal(status, 0, stderr)
      const result = JSON.parse(stdout) as DemoResult
      assert.equal(result.mode, 'processes', result.reason)
      assert.equal(result.fetches, 100)
      assert.ok(statSync(result.capture.path).uid === UID)
    })

    test('without it, it says what is missing and what to do, and goes on with virtual hosts', () => {
      const { status, stdout, stderr } = asUser('600')
      assert.equal(status, 0, stderr)
      const { mode, reason } = JSON.parse(stdout) as DemoResult
      assert.equal(mode, 'virtual-hosts')
      assert.match(reason!, /\/dev\/net\/tun/)
    })
  })
})
