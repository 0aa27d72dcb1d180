// The life of `netloom daemon`: ready, refused, stopped, killed, started again.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { groupId } from '../../src/daemon/listeners.ts'
import { ask, DaemonProcess, docker } from './daemon-process.ts'
import { eventually } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** An authority, a daemon and a client of it, and a client that signed for itself. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    const result = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
    assert.equal(result.status, 0, result.stderr)
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority', '-days', '2')
  openssl('req', '-x509', ...newKey, '-keyout', 'stranger.key', '-out', 'stranger.pem', '-subj', '/CN=client', '-days', '2')
  writeFileSync(path.join(folder, 'names'), 'subjectAltName=IP:127.0.0.1\n')
  for (const name of ['daemon', 'client']) {
    openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signed)
  }
}

describe('netloom daemon', { skip: namespacesMissing('docker') }, () => {
  let namespace: TestNamespace
  let folder: string
  let places = 0
  const running = new Set<DaemonProcess>()

  before(() => {
    namespace = new TestNamespace()
    namespace.run('ip', 'link', 'set', 'lo', 'up')
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-daemon-'))
  })
  after(async () => {
    for (const daemon of running) {
      daemon.signal('SIGKILL')
      await daemon.ended
    }
    namespace.close()
    rmSync(folder, { recursive: true })
  })

  /** A state directory and a socket that nobody else has. */
  const newPlace = (): { state: string; socket: string; args: string[] } => {
    const place = path.join(folder, String(places++))
    mkdirSync(place)
    const [state, socket] = [path.join(place, 'state'), path.join(place, 's.sock')]
    return { state, socket, args: ['--host', `unix://${socket}`, '--state-dir', state] }
  }
  const start = (args: readonly string[], env: Record<string, string> = {}): DaemonProcess => {
    const daemon = new DaemonProcess(namespace, args, env)
    running.add(daemon)
    void daemon.ended.then(() => running.delete(daemon))
    return daemon
  }
  /** Of a daemon that does not start: its exit code and what it said. */
  const refused = async (args: readonly string[]): Promise<string> => {
    const daemon = start(args)
    assert.deepEqual(await daemon.ended, { code: 1, signal: null }, daemon.stderr)
    assert.equal(daemon.stdout, '')
    return daemon.stderr
  }

  test('says that it is ready, on each of its hosts, and SIGTERM ends it without a trace', async () => {
    const { state, socket, args } = newPlace()
    const other = `${socket}2`
    const daemon = start([...args, '--host', `unix://${other}`])
    await daemon.ready()
    assert.equal(daemon.stdout, `netloom daemon listening on unix://${socket}\nnetloom daemon listening on unix://${other}\n`)
    for (const file of [socket, other]) {
      assert.deepEqual(await ask(file, 'GET', '/_ping'), { status: 200, body: 'OK' })
      const { mode, gid } = statSync(file)
      assert.equal(mode & 0o777, 0o660)
      assert.equal(gid, groupId('netloom') ?? process.getgid!())
    }
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null }, daemon.stderr)
    assert.equal(existsSync(socket) || existsSync(other), false)
    assert.ok(existsSync(state))
  })

  test('a second one on the same state is refused with the pid of the first', async () => {
    const { state, args } = newPlace()
    const first = start(args)
    await first.ready()
    const second = newPlace()
    const said = await refused(['--host', `unix://${second.socket}`, '--state-dir', state])
    assert.match(said, new RegExp(`a daemon runs on ${state} already: pid ${first.pid}\n`))
    assert.equal(existsSync(second.socket), false)
    await first.stop()
  })

  test('the state and the socket of one that was killed are taken over', async () => {
    const { socket, args } = newPlace()
    const first = start(args)
    await first.ready()
    const made = JSON.parse(
      (await ask(socket, 'POST', '/networks/create', { Name: 'kept', IPAM: { Config: [{ Subnet: '192.0.2.0/24' }] } })).body
    )
    first.signal('SIGKILL')
    await first.ended
    assert.ok(existsSync(socket), 'it had no time to remove its socket')
    const second = start(args)
    await second.ready()
    const kept = JSON.parse((await ask(socket, 'GET', '/networks/kept')).body)
    assert.equal(kept.Id, made.Id)
    assert.deepEqual(kept.IPAM.Config[0].Subnet, '192.0.2.0/24')
    await second.stop()
  })

  test('containers run on when it is killed, and are ended when it is stopped', async () => {
    const { socket, args } = newPlace()
    const first = start(args)
    await first.ready()
    docker(socket, 'run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'alpine', 'sleep', '1000')
    const pid = docker(socket, 'inspect', '-f', '{{.State.Pid}}', 'c1')
    first.signal('SIGKILL')
    await first.ended
    assert.ok(existsSync(`/proc/${pid}`))
    const second = start(args)
    await second.ready()
    assert.equal(docker(socket, 'inspect', '-f', '{{.State.Pid}} {{.State.Running}}', 'c1'), `${pid} true`)
    assert.deepEqual(await second.stop(), { code: 0, signal: null })
    await eventually('its process has ended', () => !existsSync(`/proc/${pid}`))
    const third = start(args)
    await third.ready()
    assert.equal(docker(socket, 'inspect', '-f', '{{.State.Running}}', 'c1'), 'false')
    docker(socket, 'rm', 'c1')
    await third.stop()
  })

  test('with --live-restore=false the next one ends what a killed one left', async () => {
    const { socket, args } = newPlace()
    const first = start([...args, '--live-restore=false'])
    await first.ready()
    docker(socket, 'run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'alpine', 'sleep', '1000')
    const pid = docker(socket, 'inspect', '-f', '{{.State.Pid}}', 'c1')
    first.signal('SIGKILL')
    await first.ended
    assert.ok(existsSync(`/proc/${pid}`))
    const second = start([...args, '--live-restore=false'])
    await second.ready()
    assert.equal(docker(socket, 'info', '-f', '{{.LiveRestoreEnabled}}'), 'false')
    assert.equal(docker(socket, 'inspect', '-f', '{{.State.Running}}', 'c1'), 'false')
    await eventually('its process has ended', () => !existsSync(`/proc/${pid}`))
    docker(socket, 'rm', 'c1')
    await second.stop()
  })

  test('a TCP host takes certificates', async () => {
    const { args } = newPlace()
    assert.match(
      await refused([...args, '--host', 'tcp://127.0.0.1:0']),
      /tcp:\/\/127\.0\.0\.1:0: .*TLS with client certificates\n {2}fix: /
    )
    assert.match(await refused([...args, '--host', 'tcp://127.0.0.1:0', '--tlscert', 'x', '--tlskey', 'x']), /TLS with client certificates/)
    const missing = ['--tlscacert', '/nosuch/ca.pem', '--tlscert', '/nosuch/cert.pem', '--tlskey', '/nosuch/key.pem']
    assert.match(await refused([...args, '--host', 'tcp://127.0.0.1:0', ...missing]), /tlscacert: ENOENT.*\/nosuch\/ca\.pem/)
  })

  test('TLS: a client with a certificate of the authority is served, others are not', {
    skip: namespacesMissing('openssl', 'curl')
  }, async () => {
    const { args } = newPlace()
    const file = (name: string): string => path.join(folder, name)
    makeCertificates(folder)
    const tls = ['--tlscacert', file('ca.pem'), '--tlscert', file('daemon.pem'), '--tlskey', file('daemon.key')]
    const daemon = start([...args, '--host', 'tcp://127.0.0.1:2376', ...tls])
    await daemon.ready()
    assert.match(daemon.stdout, /listening on tcp:\/\/127\.0\.0\.1:2376\n/)
    const curl = (...more: string[]): ReturnType<TestNamespace['exec']> =>
      namespace.exec('curl', '-sS', '--max-time', '120', '--cacert', file('ca.pem'), ...more)
    const good = await curl('--cert', file('client.pem'), '--key', file('client.key'), 'https://127.0.0.1:2376/_ping')
    assert.deepEqual([good.status, good.stdout], [0, 'OK'], good.stderr)
    for (const certificate of [[], ['--cert', file('stranger.pem'), '--key', file('stranger.key')]]) {
      const bad = await curl(...certificate, 'https://127.0.0.1:2376/_ping')
      assert.notEqual(bad.status, 0)
      assert.equal(bad.stdout, '')
    }
    const plain = await curl('http://127.0.0.1:2376/_ping')
    assert.equal(plain.stdout, '')
    await daemon.stop()
  })

  test('a host that somebody else has, or that cannot be, is told', async () => {
    const { socket, state } = newPlace()
    const stranger = createServer().listen(socket)
    try {
      assert.match(await refused(['--host', `unix://${socket}`, '--state-dir', state]), new RegExp(`another process listens on ${socket}`))
    } finally {
      stranger.close()
    }
    const plain = path.join(folder, 'plain')
    writeFileSync(plain, 'not a socket')
    assert.match(await refused(['--host', `unix://${plain}`, '--state-dir', state]), /plain is there and is no socket/)
    assert.equal(readFileSync(plain, 'utf8'), 'not a socket')
    const bad: [host: string, said: RegExp][] = [
      ['/run/x.sock', /--host: \/run\/x\.sock: neither unix:\/\/\/path nor tcp:\/\/address:port/],
      ['unix://x.sock', /begins with a slash/],
      [`unix:///${'x'.repeat(107)}`, /at most 107 bytes, this one 108/],
      ['tcp://127.0.0.1:99999', /there is no port 99999/],
      ['fd://', /neither unix/]
    ]
    for (const [host, said] of bad) assert.match(await refused(['--host', host, '--state-dir', state]), said)
  })

  test('a configuration file says the same as flags, and conflicts and mistakes are told', async () => {
    const { state, socket, args } = newPlace()
    const file = path.join(folder, 'daemon.json')
    const write = (value: unknown): void => writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value))
    write({
      hosts: [`unix://${socket}`],
      'state-dir': state,
      'log-level': 'debug',
      'default-address-pools': [{ base: '198.51.100.0/24', size: 26 }]
    })
    const daemon = start(['--config', file])
    await daemon.ready()
    assert.equal(docker(socket, 'network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'bridge'), '198.51.100.0/26')
    assert.equal(docker(socket, 'info', '-f', '{{.Debug}} {{.DockerRootDir}}'), `true ${state}`)
    await daemon.logged(/level=debug msg=request method=GET/)
    // The level alone is read again.
    write({ 'log-level': 'warn', hosts: ['unix:///elsewhere'] })
    daemon.signal('SIGHUP')
    for (let tries = 0; tries < 1000 && docker(socket, 'info', '-f', '{{.Debug}}') === 'true'; tries++) await new Promise(setImmediate)
    assert.equal(docker(socket, 'info', '-f', '{{.Debug}}'), 'false')
    write('{')
    daemon.signal('SIGHUP')
    await daemon.logged(/level=error msg="the configuration stays as it was"/)
    await daemon.stop()

    const mistakes: [value: unknown, said: RegExp][] = [
      ['{', /daemon\.json: .*JSON/],
      [[], /it is not a JSON object/],
      [{ 'storage-driver': 'x', hosts: [] }, /following directives don't match any configuration option: storage-driver\n/],
      [{ hosts: 'unix:///x' }, /hosts: "unix:\/\/\/x" is not a list/],
      [{ 'log-level': 'loud' }, /log-level: "loud" is none of debug, info, warn, error/],
      [{ 'live-restore': 'maybe' }, /live-restore: "maybe" is neither true nor false/],
      [{ dns: ['name'] }, /dns: name is not an IP address/],
      [{ 'default-address-pools': [{ base: '10.0.0.0/8', size: 4 }] }, /size 4 is not a prefix length from that of the base, 8, to 30/],
      [{ images: [] }, /images: it is not an object/]
    ]
    for (const [value, said] of mistakes) {
      write(value)
      assert.match(await refused([...args, '--config', file]), said)
    }
    write({ 'log-level': 'info', dns: ['192.0.2.1'] })
    assert.match(
      await refused([...args, '--config', file, '--log-level', 'debug', '--dns', '192.0.2.2']),
      /specified both as a flag and in the configuration file: log-level: \(from flag: debug, from file: info\), dns: \(from flag: \["192\.0\.2\.2"\], from file: \["192\.0\.2\.1"\]\)/
    )
    assert.match(await refused([...args, '--config', '/nosuch.json']), /\/nosuch\.json.*ENOENT/)
  })

  test('flags: pools, name servers, no host images', async () => {
    const { socket, args } = newPlace()
    const more = [
      '--default-address-pool',
      'base=203.0.113.0/24,size=28',
      '--dns',
      '192.0.2.53',
      '--dns-search',
      'example.org',
      '--dns-opt',
      'ndots:3'
    ]
    const daemon = start([...args, ...more, '--host-images=false'])
    await daemon.ready()
    assert.equal(docker(socket, 'network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'bridge'), '203.0.113.0/28')
    const create = await ask(socket, 'POST', '/containers/create', { Image: 'alpine', Cmd: ['true'] })
    assert.equal(create.status, 404)
    assert.equal(docker(socket, 'images', '-q'), '')
    await daemon.stop()
    const withImages = start([...args, ...more])
    await withImages.ready()
    const text = docker(socket, 'run', '--rm', 'alpine', 'cat', '/etc/resolv.conf')
    assert.match(text, /^search example\.org$/m)
    assert.match(text, /^nameserver 192\.0\.2\.53$/m)
    assert.match(text, /^options .*ndots:3/m)
    await withImages.stop()
  })

  test('a state of another version, or that is no state, is refused and left alone', async () => {
    const { state, args } = newPlace()
    mkdirSync(state)
    const file = path.join(state, 'state.mdb')
    writeFileSync(file, 'something else')
    assert.match(await refused(args), new RegExp(`${file}: it is no LMDB file`))
    assert.equal(readFileSync(file, 'utf8'), 'something else')
  })

  test('an empty state beside containers is refused, and they are left alone', async () => {
    const { state, args } = newPlace()
    const container = path.join(state, 'containers', 'f'.repeat(64))
    mkdirSync(container, { recursive: true })
    assert.match(await refused(args), /the state is empty, but .*containers holds 1 of its containers/)
    assert.ok(existsSync(container))
  })

  test('a crash point ends it by SIGKILL around a write, and the next one starts', async () => {
    const { socket, args } = newPlace()
    const crashing = start(args, { NETLOOM_CRASH: 'before:1' })
    assert.deepEqual(await crashing.ended, { code: null, signal: 'SIGKILL' })
    const next = start(args)
    await next.ready()
    assert.equal(docker(socket, 'network', 'ls', '--format', '{{.Name}}').split('\n').sort().join(), 'bridge,host,none')
    await next.stop()
  })
})
