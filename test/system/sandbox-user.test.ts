import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noRoot, ScratchImage } from './sandbox-root-set-up.ts'
import { noSandbox, run, withSandbox } from './sandbox-set-up.ts'

/** An id that no account has: an ordinary user without one being made. */
const UID = 61_000 + (process.pid % 1000)

describe('sandboxes in a user namespace', { skip: noSandbox }, () => {
  let folder: string
  before(() => {
    // The checkout may be in a folder that only root can read.
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    chmodSync(folder, 0o755)
    cpSync('package.json', path.join(folder, 'package.json'))
    cpSync('dist/src', path.join(folder, 'dist/src'), { recursive: true })
    cpSync('build/Release/netloom-shim', path.join(folder, 'build/Release/netloom-shim'))
    cpSync('build/Release/netloom_native.node', path.join(folder, 'build/Release/netloom_native.node'))
    mkdirSync(path.join(folder, 'dev'))
  })
  after(() => rmSync(folder, { recursive: true }))

  /**
   * Runs a module that has `Sandbox`, `run(sandbox, script)` and `print` in scope. `prefix` is the command in front of node.
   * In a mount namespace of its own, /dev/net/tun is a node with the given mode; the machine's own is left alone.
   */
  function runModule(body: string, { tunMode = '666', prefix = `setpriv --reuid ${UID} --regid ${UID} --clear-groups` } = {}): string {
    const script = `
      import { text } from 'node:stream/consumers'
      import { Sandbox } from '${folder}/dist/src/sandbox/sandbox.js'
      const print = (...words) => console.log(...words)
      const run = async (sandbox, command, options = {}) => {
        const process = await sandbox.spawn({ argv: ['sh', '-c', command], stdio: ['null', 'pipe', 'inherit'], ...options })
        return (await text(process.stdout)).trim() + ' ' + (await process.wait()).code
      }
      ${body}`
    const shell = `
      mount -t tmpfs none ${folder}/dev && mknod ${folder}/dev/tun c 10 200 && chmod ${tunMode} ${folder}/dev/tun &&
      mount --bind ${folder}/dev/tun /dev/net/tun && exec ${prefix} "$0" --input-type=module -e "$1"`
    const result = spawnSync('unshare', ['-m', 'sh', '-c', shell, process.execPath, script], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
      timeout: 300_000
    })
    assert.equal(result.stderr, '')
    return result.stdout
  }

  test('an ordinary user has namespaces, private files, a TAP and exit statuses', () => {
    const output = runModule(`
      print(process.getuid())
      const sandbox = await Sandbox.create({ name: 'mine', hosts: [{ address: '192.0.2.2', names: ['web'] }] })
      print(sandbox.userNamespace, sandbox.warnings)
      print(await run(sandbox, 'id -u; hostname; cat /etc/hostname; getent hosts web | cut -c -9; ls /sys/class/net; set -- /proc/[0-9]*; echo $#; exit 9'))
      const tap = await sandbox.openTap({ name: 'eth0' })
      print(tap.name, tap.ifindex > 0, tap.fd > 2, tap.vnetHeaderLength)
      await sandbox.writeSysctl('net/ipv4/conf/eth0/route_localnet', '1')
      print(await sandbox.readSysctl('net/ipv4/conf/eth0/route_localnet'))
      await sandbox.configureInterface({ name: 'eth0', address: '172.25.0.2/16', gateway: '172.25.0.1', mac: '02:42:ac:19:00:02' })
      await sandbox.routeResolver({ device: 'eth0', source: '172.25.0.2', serviceMac: '02:42:7f:00:00:0b' })
      print(await run(sandbox, 'ip -o -4 address show dev eth0 | grep -o "172[^ ]*" | xargs; ip route get 127.0.0.11 | head -1; cat /sys/class/net/eth0/address'))
      print(await run(sandbox, 'cut -d: -f1 /proc/net/dev | grep -c -e lo -e eth0; ulimit -n >/dev/null; touch /etc/hosts'))
      print(await run(sandbox, 'stty size', { tty: { columns: 70, rows: 7 } }))
      await sandbox.spawn({ argv: ['true'], user: '1000' }).catch((error) => print(error.code, error.message))
      await sandbox.close()`)
    assert.equal(
      output,
      [
        `${UID}`,
        'true []',
        ...['0', 'mine', 'mine', '192.0.2.2', 'lo', '2 9'],
        'eth0 true true 12',
        '1',
        '172.25.0.2/16 172.25.255.255',
        '127.0.0.11 dev eth0 src 172.25.0.2 uid 0 ',
        '02:42:ac:19:00:02 0',
        '2 0',
        '7 70 0',
        'EINVAL user 1000 cannot be taken: this user namespace maps only id 0 (run as root for other users)',
        ''
      ].join('\n')
    )
  })

  test('an ordinary user has roots of images and of the host, and joins networks', { skip: noRoot }, () => {
    const image = new ScratchImage()
    try {
      spawnSync('chmod', ['755', image.folder])
      const directories = [image.container(), image.container(), image.container()]
      spawnSync('chown', ['-R', `${UID}:${UID}`, image.folder])
      const output = runModule(`
        const [image, second, host] = ${JSON.stringify(directories)}
        const sandbox = await Sandbox.create({ name: 'mine', root: { image: ['${image.layer}'], directory: image } })
        print(sandbox.warnings)
        const script = 'id -u; echo new > /new; rm /bin/env; ls / | xargs; ls -d /bin/env 2>&1; ls /dev | wc -l; set -- /proc/[0-9]*; echo $#; head -c 3 /dev/zero | wc -c; cat /proc/sys/net/ipv4/ip_unprivileged_port_start'
        print(await run(sandbox, script))
        const joined = await Sandbox.create({ name: 'second', root: { image: ['${image.layer}'], directory: second }, network: { pid: sandbox.shimPid } })
        await sandbox.openTap()
        print(await run(joined, 'ls /sys/class/net | xargs; cat /proc/net/dev | grep -c eth0'))
        await joined.close()
        await sandbox.close()
        const onHost = await Sandbox.create({ name: 'host', root: { image: 'host', directory: host } })
        print(await run(onHost, 'test -x /usr/bin/env && echo sees it; touch /usr/bin/netloom-new 2> /dev/null; echo mine > /tmp/mine; cat /tmp/mine; rm -rf /usr/bin/env 2> /dev/null; ls /run'))
        await onHost.close()`)
      assert.equal(
        output,
        [
          '[]',
          ...['0', 'bin dev etc new proc sys tmp', 'ls: /bin/env: No such file or directory', '15', '2', '3', '0 0'],
          ...['eth0 lo', '1 0'],
          ...['sees it', 'mine 0'],
          ''
        ].join('\n')
      )
    } finally {
      image.remove()
    }
  })

  test('nothing is left when an ordinary owner is killed', () => {
    const output = runModule(`
      import { spawn } from 'node:child_process'
      import { readdirSync, readlinkSync, existsSync } from 'node:fs'
      import { once } from 'node:events'
      const owner = spawn(process.execPath, ['--input-type=module', '-e', \`
        import { Sandbox } from '${folder}/dist/src/sandbox/sandbox.js'
        const sandbox = await Sandbox.create({ name: 'mine' })
        const sleeper = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
        console.log(sandbox.shimPid, sleeper.pid)\`], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [line] = await once(owner.stdout.setEncoding('utf8'), 'data')
      const pids = line.trim().split(' ')
      print(pids.every((pid) => existsSync('/proc/' + pid)))
      owner.kill('SIGKILL')
      let attempts = 0
      while (pids.some((pid) => existsSync('/proc/' + pid)) && attempts++ < 5000) await new Promise((resolve) => setTimeout(resolve, 10))
      print(pids.some((pid) => existsSync('/proc/' + pid)))`)
    assert.equal(output, 'true\nfalse\n')
  })

  test('a surviving sandbox of an ordinary user is found again', () => {
    const output = runModule(`
      import { mkdtempSync, rmSync } from 'node:fs'
      const folder = mkdtempSync('/tmp/netloom-test-')
      const mode = { surviving: folder + '/socket', stateDir: folder }
      const creator = await Sandbox.create({ name: 'mine', mode })
      await creator.spawn({ argv: ['sh', '-c', 'sleep 0.1; exit 12'], stdio: 'kept' })
      await creator.disconnect()
      const sandbox = await Sandbox.reconnect('mine', mode)
      print(sandbox.userNamespace, await (await sandbox.process(1)).wait())
      await sandbox.close()
      rmSync(folder, { recursive: true })`)
    assert.equal(output, 'true { code: 12, signal: null }\n')
  })

  test('a device that the user may not open is an error that says what to do', () => {
    const output = runModule(
      `const sandbox = await Sandbox.create({ name: 'mine' })
      await sandbox.openTap({}).catch((error) => print(error.code, error.message))
      await sandbox.close()`,
      { tunMode: '600' }
    )
    assert.match(
      output,
      /^EACCES open \/dev\/net\/tun: permission denied \(let this user in: chmod 666 \/dev\/net\/tun, or run as root\)$/m
    )
  })

  test('a kernel setting that forbids user namespaces is named', () => {
    // The limit is one of each user namespace, so it can be tried in a nested one.
    const output = runModule(
      `await Sandbox.create({ name: 'mine', userNamespace: 'always' }).catch((error) => print(error.code, error.message))`,
      {
        prefix: `unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'`
      }
    )
    assert.match(output, /^ENOSPC .*user\.max_user_namespaces is 0: set it with `sysctl -w user\.max_user_namespaces=10000`/)
  })

  test('a root without capabilities is told what it lacks', () => {
    const output = runModule(`await Sandbox.create({ name: 'mine' }).catch((error) => print(error.code, error.message))`, {
      prefix: 'setpriv --inh-caps=-all --bounding-set=-all'
    })
    assert.match(output, /^EPERM .*give it CAP_SYS_ADMIN/)
  })

  test('root may ask for one, and may refuse one', async () => {
    await withSandbox({ userNamespace: 'always' }, async (sandbox) => {
      assert.ok(sandbox.userNamespace)
      assert.equal((await run(sandbox, ['cat', '/proc/self/uid_map'])).stdout.trim().replace(/ +/g, ' '), '0 0 1')
    })
    await withSandbox({ userNamespace: 'never' }, async (sandbox) => assert.ok(!sandbox.userNamespace))
    const output = runModule(`await Sandbox.create({ name: 'mine', userNamespace: 'never' }).catch((error) => print(error.code))`)
    assert.equal(output, 'EPERM\n')
  })
})
