// Containers from create to remove, by the real docker client.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DaemonProcess, daemonMissing, until } from '../docker/daemon-process.ts'

describe('containers', { skip: daemonMissing() }, () => {
  const daemon = new DaemonProcess()
  before(() => daemon.start())
  after(() => daemon.down())
  const state = (name: string): Promise<string> => daemon.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name)
  /** The kernel takes a moment to end one. */
  const noShim = (): Promise<unknown> => until('no shim is left', () => daemon.shims().length === 0)

  test('run: output on two streams, exit status, nothing left', async () => {
    const { status, stdout, stderr } = await daemon.docker(
      'run',
      '--rm',
      '--net',
      'none',
      'box',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 3'
    )
    assert.deepEqual({ status, stdout, stderr }, { status: 3, stdout: 'out\n', stderr: 'err\n' })
    assert.deepEqual(readdirSync(path.join(daemon.state, 'containers')), [])
    await noShim()
  })

  test('run -i: what is typed arrives whole, and its end', async () => {
    const text = 'line of input\n'.repeat(50_000)
    const { stdout } = await daemon.dockerWith(text, 'run', '-i', '--rm', '--net', 'none', 'box', 'cat')
    assert.equal(stdout, text)
  })

  test('many lines of output are all there, by attach and by logs', async () => {
    const expected = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('')
    const { stdout } = await daemon.docker('run', '--name', 'lines', '--net', 'none', 'box', 'seq', '20000')
    assert.equal(stdout, expected)
    assert.equal(`${await daemon.ok('logs', 'lines')}\n`, expected)
    assert.equal(await daemon.ok('logs', '--tail', '2', 'lines'), '19999\n20000')
    assert.match(await daemon.ok('logs', '--tail', '1', '-t', 'lines'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z 20000$/)
    assert.equal(await daemon.ok('logs', '--since', '2100-01-01T00:00:00', 'lines'), '')
    await daemon.ok('rm', 'lines')
  })

  test('a program that cannot run: Docker’s exit status, and the reason in the container', async () => {
    const missing = await daemon.docker('run', '--name', 'missing', '--net', 'none', 'box', 'no-such-program')
    assert.equal(missing.status, 127)
    assert.match(missing.stderr, /unable to start container process: exec: "no-such-program": executable file not found in \$PATH: unknown/)
    assert.equal(await state('missing'), 'created 127')
    assert.equal((await daemon.docker('run', '--rm', '--net', 'none', 'box', '/etc')).status, 126)
    await daemon.ok('rm', 'missing')
    const long = await daemon.refused('run', '--rm', '--net', 'none', '-h', 'x'.repeat(65), 'box', 'true')
    assert.match(long, /unable to start container process: error during container init: sethostname: invalid argument: unknown/)
    await noShim()
  })

  test('stop, start, restart, kill, pause and their refusals', async () => {
    const id = await daemon.ok('run', '-d', '--name', 'one', '--net', 'none', 'box', 'sleep', '1000')
    assert.equal((await daemon.api('POST', '/v1.41/containers/one/start')).status, 304)
    await daemon.ok('stop', '-t', '0', 'one')
    assert.equal(await state('one'), 'exited 137')
    assert.equal((await daemon.api('POST', '/v1.41/containers/one/stop')).status, 304)
    assert.equal(await daemon.refused('kill', 'one'), `Cannot kill container: one: Container ${id} is not running`)
    assert.equal(await daemon.refused('pause', 'one'), `Container ${id} is not running`)
    assert.equal(await daemon.refused('exec', 'one', 'true'), `Container ${id} is not running`)
    await daemon.ok('restart', '-t', '0', 'one')
    await daemon.ok('pause', 'one')
    assert.match(await daemon.ok('ps', '--format', '{{.Status}}'), /^Up .* \(Paused\)$/)
    assert.equal(await daemon.ok('ps', '--filter', 'isolation=process', '--format', '{{.Names}}'), 'one', 'a filter of Windows alone')
    assert.equal(await daemon.refused('pause', 'one'), `Container ${id} is already paused`)
    assert.equal(await daemon.refused('exec', 'one', 'true'), 'Container one is paused, unpause the container before exec')
    const unpause = 'Unpause and then stop the container before attempting removal or force remove'
    assert.match(await daemon.refused('rm', 'one'), new RegExp(`You cannot remove a paused container ${id}. ${unpause}`))
    await daemon.ok('unpause', 'one')
    assert.equal(await daemon.refused('kill', '-s', 'NONSENSE', 'one'), 'Invalid signal: NONSENSE')
    assert.equal(await daemon.refused('rename', 'one', 'one'), 'Renaming a container with the same name as its current name')
    await daemon.ok('kill', 'one')
    await daemon.ok('rm', 'one')
    assert.equal(await daemon.refused('start', 'one'), 'No such container: one')
  })

  test('a stop waits for a process that takes its time, and kills one that does not listen', async () => {
    const patient = 'trap "echo leaving; exit 9" TERM; echo ready; while :; do sleep 0.05; done'
    await daemon.ok('run', '-d', '--name', 'polite', '--net', 'none', 'box', 'sh', '-c', patient)
    await daemon.ok(
      'run',
      '-d',
      '--name',
      'deaf',
      '--net',
      'none',
      '--stop-signal',
      'USR1',
      'box',
      'sh',
      '-c',
      patient.replace('TERM', 'USR1')
    )
    for (const name of ['polite', 'deaf']) await until(`${name} runs`, async () => (await daemon.ok('logs', name)) === 'ready')
    await daemon.ok('stop', '-t', '120', 'polite', 'deaf')
    assert.equal(await state('polite'), 'exited 9')
    assert.equal(await state('deaf'), 'exited 9')
    assert.equal(await daemon.ok('logs', 'polite'), 'ready\nleaving')
    await daemon.ok('rm', 'polite', 'deaf')
  })

  const installed = DaemonProcess.has('nginx') || DaemonProcess.has('redis-server') || !DaemonProcess.has('busybox')
  test('what stands in for nginx and redis ends when it is told to', { skip: installed && 'the host has its own' }, async () => {
    for (const [name, server] of [
      ['nginx', 'busybox httpd'],
      ['redis', 'busybox nc']
    ] as const) {
      await daemon.ok('run', '-d', '--name', name, '--net', 'none', name)
      await until(`${name} serves`, async () =>
        (await daemon.ok('top', name)).split('\n').some((line) => line.includes(` ${server} `) && !line.includes('trap'))
      )
    }
    await daemon.ok('stop', '-t', '120', 'nginx', 'redis')
    assert.deepEqual([await state('nginx'), await state('redis')], ['exited 0', 'exited 0'])
    await daemon.ok('rm', 'nginx', 'redis')
  })

  test('stop and restart with a signal of their own', async () => {
    const script = 'trap "echo user; exit 9" USR2; trap "exit 8" TERM; echo ready; while :; do sleep 0.05; done'
    await daemon.ok('run', '-d', '--name', 'asked', '--net', 'none', 'box', 'sh', '-c', script)
    const logged = (text: string): Promise<true> => until(`it says ${text}`, async () => (await daemon.ok('logs', 'asked')) === text)
    await logged('ready')
    for (const verb of ['stop', 'restart']) {
      const refused = await daemon.api('POST', `/v1.42/containers/asked/${verb}?signal=NONSENSE`)
      assert.deepEqual({ ...refused, body: JSON.parse(refused.body) }, { status: 400, body: { message: 'Invalid signal: NONSENSE' } })
    }
    assert.equal((await daemon.api('POST', '/v1.42/containers/asked/restart?signal=SIGUSR2')).status, 204)
    await logged('ready\nuser\nready')
    // Also out of a pause, in which no signal is heard.
    await daemon.ok('pause', 'asked')
    assert.equal((await daemon.api('POST', '/v1.42/containers/asked/stop?signal=USR2')).status, 204)
    assert.equal(await state('asked'), 'exited 9')
    assert.equal(await daemon.ok('logs', 'asked'), 'ready\nuser\nready\nuser')
    await daemon.ok('rm', 'asked')
  })

  test('names: taken, wrong, changed', async () => {
    const id = await daemon.ok('create', '--name', 'taken', '--net', 'none', 'box', 'true')
    const conflict = `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`
    assert.equal(await daemon.refused('create', '--name', 'taken', 'box', 'true'), conflict)
    await daemon.ok('create', '--name', 'other', '--net', 'none', 'box', 'true')
    assert.equal(await daemon.refused('rename', 'other', 'taken'), `Error when allocating new name: ${conflict}`)
    await daemon.ok('rename', 'other', 'third')
    assert.equal(await daemon.ok('inspect', '-f', '{{.Name}}', 'third'), '/third')
    assert.equal(await daemon.refused('inspect', 'other'), 'No such object: other'.replace(/^/, 'Error: '))
    assert.match(
      await daemon.refused('create', '--name', '-x', 'box', 'true'),
      /Invalid container name \(-x\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed/
    )
    await daemon.ok('rm', 'taken', 'third')
  })

  test('exec: streams, status, environment, directory, user; a program that is not there', async () => {
    await daemon.ok('run', '-d', '--name', 'host', '--net', 'none', '-e', 'COLOR=blue', '-w', '/usr', 'box', 'sleep', '1000')
    const { status, stdout, stderr } = await daemon.docker('exec', 'host', 'sh', '-c', 'echo $COLOR $PWD; echo err >&2; exit 7')
    assert.deepEqual({ status, stdout, stderr }, { status: 7, stdout: 'blue /usr\n', stderr: 'err\n' })
    assert.equal(
      await daemon.ok('exec', '-e', 'COLOR=red', '-w', '/etc', '-u', '1234:5678', 'host', 'sh', '-c', 'echo $COLOR $PWD; id -u; id -g'),
      'red /etc\n1234\n5678'
    )
    assert.equal((await daemon.dockerWith('typed\n', 'exec', '-i', 'host', 'cat')).stdout, 'typed\n')
    const missing = await daemon.docker('exec', 'host', 'no-such-program')
    assert.equal(missing.status, 126)
    assert.match(missing.stdout, /OCI runtime exec failed: exec failed: .*"no-such-program": executable file not found in \$PATH: unknown/)
    assert.match(await daemon.ok('exec', '-t', 'host', 'tty'), /^\/dev\/pts\/\d/)
    await daemon.ok('exec', '-d', 'host', 'sh', '-c', 'echo done > /tmp/detached')
    await until('the detached exec has run', async () => (await daemon.docker('exec', 'host', 'cat', '/tmp/detached')).stdout === 'done\n')
    assert.match(await daemon.ok('top', 'host'), /sleep 1000/)
    await daemon.ok('rm', '-f', 'host')
  })

  test('what a container writes stays in it, over a restart, and never reaches the host', async () => {
    await daemon.ok(
      'run',
      '--name',
      'writer',
      '--net',
      'none',
      'box',
      'sh',
      '-c',
      'echo mine >> /etc/netloom-test-mark; cat /etc/netloom-test-mark'
    )
    await daemon.ok('start', '-a', 'writer')
    assert.equal(await daemon.ok('logs', 'writer'), 'mine\nmine\nmine')
    assert.ok(!existsSync('/etc/netloom-test-mark'))
    await daemon.ok('rm', 'writer')
  })

  test('volumes: binds that are made when missing, read-only ones, named and anonymous ones', async () => {
    const shared = path.join(daemon.folder, 'made/by/bind')
    await daemon.ok('run', '--rm', '--net', 'none', '-v', `${shared}:/data`, 'box', 'sh', '-c', 'echo kept > /data/file')
    assert.equal(
      await daemon.ok(
        'run',
        '--rm',
        '--net',
        'none',
        '-v',
        `${shared}:/data:ro`,
        'box',
        'sh',
        '-c',
        'cat /data/file; touch /data/x 2>&1 || echo refused'
      ),
      "kept\ntouch: cannot touch '/data/x': Read-only file system\nrefused"
    )
    await daemon.ok('run', '--rm', '--net', 'none', '-v', 'named:/data', 'box', 'sh', '-c', 'echo volume > /data/file')
    assert.equal(
      await daemon.ok('run', '--name', 'vol', '--net', 'none', '-v', 'named:/data', '-v', '/scratch', 'box', 'cat', '/data/file'),
      'volume'
    )
    assert.equal(readdirSync(path.join(daemon.state, 'volumes')).length, 2)
    await daemon.ok('rm', '-v', 'vol')
    assert.deepEqual(readdirSync(path.join(daemon.state, 'volumes')), ['named'])
    // Through the API: older clients know no volume-subpath.
    const ofVolume = async (subpath: string): Promise<string> => {
      const Mounts = [{ Type: 'volume', Source: 'named', Target: '/part', VolumeOptions: { Subpath: subpath } }]
      const body = { Image: 'box', Cmd: ['sh', '-c', 'cat /part/file /part'], HostConfig: { Mounts, NetworkMode: 'none' } }
      const { status } = await daemon.api('POST', '/v1.41/containers/create?name=part', body)
      assert.equal(status, 201)
      const { stdout, stderr } = await daemon.docker('start', '-a', 'part')
      await daemon.ok('rm', 'part')
      return stdout === '' ? stderr.split('\n')[0]! : stdout.trimEnd()
    }
    const data = path.join(daemon.state, 'volumes/named/_data')
    await daemon.ok(
      'run',
      '--rm',
      '--net',
      'none',
      '-v',
      'named:/data',
      'box',
      'sh',
      '-c',
      'cd /data; mkdir d; cp file d; ln -s d in; ln -s /etc out'
    )
    assert.deepEqual([await ofVolume('d'), await ofVolume('in'), await ofVolume('file')], ['volume', 'volume', 'volume'])
    assert.match(await ofVolume('no'), new RegExp(`cannot access path ${data}/no: lstat ${data}/no: no such file or directory`))
    assert.match(await ofVolume('out'), new RegExp(`path concatenation escapes the base directory, base: "${data}", subpath: "out"`))
    assert.match(
      await daemon.refused('create', '--mount', 'type=bind,source=/no/such/path,target=/x', 'box', 'true'),
      /invalid mount config for type "bind": bind source path does not exist: \/no\/such\/path/
    )
  })

  test('restart policies: on-failure counts, always comes back until it is stopped by hand', async () => {
    await daemon.ok('run', '-d', '--name', 'failing', '--net', 'none', '--restart', 'on-failure:2', 'box', 'sh', '-c', 'echo run; exit 5')
    await until('it has given up', async () => (await state('failing')) === 'exited 5')
    assert.equal(await daemon.ok('logs', 'failing'), 'run\nrun\nrun')
    assert.equal(await daemon.ok('inspect', '-f', '{{.RestartCount}}', 'failing'), '2')
    await daemon.ok('run', '-d', '--name', 'stubborn', '--net', 'none', '--restart', 'always', 'box', 'sh', '-c', 'echo run; sleep 0.05')
    await until('it came back', async () => (await daemon.ok('logs', 'stubborn')).split('\n').length >= 2)
    await daemon.ok('stop', '-t', '0', 'stubborn')
    assert.match(await state('stubborn'), /^exited/)
    assert.match(await daemon.refused('create', '--rm', '--restart', 'always', 'box', 'true'), /^conflicting options:/i)
    await daemon.ok('rm', 'failing', 'stubborn')
  })

  test('wait: for the end, the next end, and the removal', async () => {
    const script = 'trap "exit 4" USR1; echo ready; while :; do sleep 0.05; done'
    await daemon.ok('run', '-d', '--rm', '--name', 'waited', '--net', 'none', 'box', 'sh', '-c', script)
    await until('it can be signalled', async () => (await daemon.ok('logs', 'waited')) === 'ready')
    const waits = ['not-running', 'next-exit', 'removed'].map((condition) =>
      daemon.api('POST', `/v1.41/containers/waited/wait?condition=${condition}`)
    )
    await daemon.api('GET', '/_ping') // answered behind the waits, which came first
    await daemon.ok('kill', '-s', 'USR1', 'waited')
    for (const wait of waits) assert.deepEqual(await wait.then(({ body }) => JSON.parse(body)), { Error: null, StatusCode: 4 })
    assert.equal((await daemon.api('POST', '/v1.41/containers/waited/wait')).status, 404)
  })

  test('list: filters, order, limit, sizes', async () => {
    await daemon.ok('create', '--name', 'list-a', '--label', 'color=red', '--net', 'none', 'box', 'true')
    await daemon
      .ok('run', '--name', 'list-b', '--net', 'none', 'other', 'sh', '-c', 'head -c 5000 /dev/zero > /tmp/bytes; exit 2')
      .catch(() => {})
    await daemon.ok('run', '-d', '--name', 'list-c', '--label', 'color=blue', '--net', 'none', 'box', 'sleep', '1000')
    const names = async (...args: string[]): Promise<string> =>
      (await daemon.ok('ps', '--format', '{{.Names}}', ...args)).replaceAll('\n', ' ')
    assert.equal(await names(), 'list-c')
    assert.equal(await names('-a'), 'list-c list-b list-a')
    assert.equal(await names('-n', '2'), 'list-c list-b')
    assert.equal(await names('-a', '-f', 'label=color'), 'list-c list-a')
    assert.equal(await names('-a', '-f', 'label=color=red'), 'list-a')
    assert.equal(await names('-f', 'exited=2'), 'list-b')
    assert.equal(await names('-f', 'status=created'), 'list-a')
    assert.equal(await names('-a', '-f', 'name=^/list-[ab]$'), 'list-b list-a')
    assert.equal(await names('-f', 'before=list-c'), 'list-b list-a')
    assert.equal(await names('-f', 'since=list-a'), 'list-c list-b')
    assert.equal(await names('-a', '-f', 'ancestor=other'), 'list-b')
    assert.equal(await names('-a', '-f', 'network=none'), 'list-c list-b list-a')
    assert.equal(await daemon.refused('ps', '-f', 'nosuch=1'), "Invalid filter 'nosuch'")
    assert.equal(await daemon.refused('ps', '-f', 'status=nosuch'), "Invalid filter 'status=nosuch'")
    assert.equal(await daemon.ok('inspect', '-s', '-f', '{{.SizeRw}}', 'list-b'), '5000')
    assert.equal((await daemon.ok('container', 'prune', '-f')).includes(await daemon.ok('inspect', '-f', '{{.Id}}', 'list-c')), false)
    assert.equal(await names('-a'), 'list-c')
    await daemon.ok('rm', '-f', 'list-c')
  })

  test('logs rotate, and what is left is read in order', async () => {
    const opts = ['--log-opt', 'max-size=20k', '--log-opt', 'max-file=3']
    await daemon.ok(
      'run',
      '-d',
      '--name',
      'chatty',
      '--net',
      'none',
      ...opts,
      'box',
      'sh',
      '-c',
      'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done'
    )
    await daemon.ok('wait', 'chatty')
    const numbers = (await daemon.ok('logs', 'chatty')).split('\n').map((line) => Number(line.slice('line '.length)))
    assert.equal(numbers.at(-1), 19999)
    assert.ok(numbers.length < 20000, 'older files are gone')
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, i) => 20000 - numbers.length + i)
    )
    await daemon.ok('rm', 'chatty')
  })

  test('copying in and out, running and stopped; what changed; export', async () => {
    const file = path.join(daemon.folder, 'copied')
    writeFileSync(file, 'content\n', { mode: 0o640 })
    await daemon.ok('run', '-d', '--name', 'copy', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.ok('cp', file, 'copy:/var/in')
    assert.equal(await daemon.ok('exec', 'copy', 'stat', '-c', '%a %s', '/var/in'), '640 8')
    await daemon.ok('exec', 'copy', 'sh', '-c', 'ln -s /var/made/x /var/link; rm /etc/passwd; mkdir /var/made; echo x > /var/made/x')
    const changes = (await daemon.ok('diff', 'copy')).split('\n')
    for (const change of ['D /etc/passwd', 'A /var/in', 'A /var/made/x', 'C /var']) assert.ok(changes.includes(change), change)
    await daemon.ok('stop', '-t', '0', 'copy')
    await daemon.ok('cp', 'copy:/var/made', daemon.folder)
    assert.equal(readFileSync(path.join(daemon.folder, 'made/x'), 'utf8'), 'x\n')
    // A link means what it means in the container.
    await daemon.ok('cp', '-L', 'copy:/var/link', `${file}2`)
    assert.equal(readFileSync(`${file}2`, 'utf8'), 'x\n')
    // The client's own words: those of 28, or of 20.10.
    assert.match(
      await daemon.refused('cp', 'copy:/no/such', daemon.folder),
      /^(Could not find the file \/no\/such in container copy|Error: No such container:path: copy:\/no\/such)$/
    )
    const refused = await daemon.api('PUT', '/v1.41/containers/copy/archive?path=/var/in', {})
    assert.deepEqual(refused, { status: 400, body: '{"message":"extraction point is not a directory"}\n' })
    await daemon.ok('rm', 'copy')
  })

  test('what a slash or a dot at the end of a copied path means', async () => {
    await daemon.ok('run', '-d', '--name', 'dots', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.ok('exec', 'dots', 'sh', '-c', 'mkdir -p /d/.hid; echo 1 > /d/one; ln -s /d /link')
    /** Names in the folder that the copy made of, or put into, a new one. */
    const copied = async (source: string, exists: boolean): Promise<string[]> => {
      const target = path.join(mkdtempSync(path.join(daemon.folder, 'cp-')), 'new')
      if (exists) mkdirSync(target)
      await daemon.ok('cp', `dots:${source}`, target)
      return lstatSync(target).isDirectory() ? readdirSync(target).sort() : ['a link']
    }
    assert.deepEqual(await copied('/d/.', false), ['.hid', 'one'])
    assert.deepEqual(await copied('/d/.', true), ['.hid', 'one'])
    assert.deepEqual(await copied('/d', true), ['d'])
    assert.deepEqual(await copied('/link', false), ['a link'])
    assert.deepEqual(await copied('/link/.', false), ['.hid', 'one'])
    await daemon.ok('rm', '-f', 'dots')
  })

  test('of an imported image: only what the container changed; who uses it, and what two images share', {
    skip: DaemonProcess.has('busybox') ? false : 'no busybox'
  }, async () => {
    const root = path.join(daemon.folder, 'root')
    for (const folder of ['bin', 'etc']) mkdirSync(path.join(root, folder), { recursive: true })
    copyFileSync(spawnSync('which', ['busybox'], { encoding: 'utf8' }).stdout.trim(), path.join(root, 'bin/sh'))
    const archive = `${root}.tar`
    assert.equal(spawnSync('tar', ['-C', root, '-cf', archive, '.']).status, 0)
    const used = await daemon.ok('import', archive, 'used')
    const unused = await daemon.ok('import', '-c', 'CMD ["sh"]', archive, 'unused')
    const changesOf = async (script: string): Promise<string> => {
      await daemon.ok('run', '--name', 'changing', '--net', 'none', 'used', 'sh', '-c', script)
      const changes = await daemon.ok('diff', 'changing')
      await daemon.ok('rm', 'changing')
      return changes
    }
    assert.equal(await changesOf('echo x > /new'), 'A /new')
    assert.equal(await changesOf('echo x > /etc/new'), 'C /etc\nA /etc/new')
    await daemon.ok('run', '--name', 'user', '--net', 'none', 'used', 'sh', '-c', 'printf "one\ntwo\nthree"')
    assert.equal(await daemon.ok('logs', '--tail', '2', 'user'), 'two\nthree', 'an end without a newline is a line')
    type Usage = { Id: string; Size: number; SharedSize: number; Containers: number }
    const { Images } = JSON.parse((await daemon.api('GET', '/v1.41/system/df')).body) as { Images: Usage[] }
    const usage = (id: string): Usage => Images.find((image) => image.Id === id)!
    const { Size } = usage(used)
    assert.deepEqual(
      [usage(used), usage(unused)].map(({ SharedSize, Containers }) => [SharedSize, Containers]),
      [
        [Size, 1],
        [Size, 0]
      ]
    )
    await daemon.ok('rm', 'user')
    await daemon.ok('rmi', 'used', 'unused')
  })

  test('copying in: packed, empty, before the first start, and not where nothing may be written', async () => {
    const file = path.join(daemon.folder, 'put')
    writeFileSync(file, 'put\n')
    await daemon.ok('create', '--name', 'new', '--net', 'none', 'box', 'cat', '/var/put')
    await daemon.ok('cp', file, 'new:/var/put')
    assert.equal(await daemon.ok('start', '-a', 'new'), 'put')
    const put = async (container: string, folder: string, archive: Uint8Array): Promise<string> => {
      const { status, body } = await daemon.send(`/v1.41/containers/${container}/archive?path=${folder}`, archive, 'PUT')
      return `${status} ${body}`
    }
    const archive = spawnSync('tar', ['-C', daemon.folder, '-cf', '-', 'put']).stdout
    assert.equal(await put('new', '/tmp', gzipSync(archive)), '200 ')
    assert.equal(await put('new', '/tmp/', new Uint8Array()), '200 ')
    await daemon.ok('cp', 'new:/tmp/put', `${file}-back`)
    assert.equal(readFileSync(`${file}-back`, 'utf8'), 'put\n')
    const readonly = ['--read-only', '-v', `${daemon.folder}:/mnt:ro`, '-v', `${daemon.folder}:/media`]
    await daemon.ok('run', '-d', '--name', 'fixed', '--net', 'none', ...readonly, 'box', 'sleep', '1000')
    assert.equal(await put('fixed', '/var', archive), '500 {"message":"container rootfs is marked read-only"}\n')
    assert.equal(await put('fixed', '/mnt', archive), '500 {"message":"mounted volume is marked read-only"}\n')
    assert.equal(await put('fixed', '/media', archive), '200 ')
    assert.equal(await put('fixed', '', archive), '400 {"message":"bad parameter: pathcannot be empty"}\n')
    await daemon.ok('rm', '-f', 'new', 'fixed')
  })

  test('nothing is left of all of it', async () => {
    assert.equal(await daemon.ok('ps', '-aq'), '')
    await noShim()
    assert.deepEqual(readdirSync(path.join(daemon.state, 'containers')), [])
    assert.deepEqual(readdirSync(path.join(daemon.state, 'run')), [])
  })
})
