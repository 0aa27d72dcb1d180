import assert from 'node:assert/strict'
import { closeSync, existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { capabilitySet } from '../../src/sandbox/capabilities.ts'
import { noRoot, ScratchImage } from './sandbox-root-set-up.ts'
import { run, withSandbox } from './sandbox-set-up.ts'

describe('a sandbox with a root of its own', { skip: noRoot }, () => {
  let image: ScratchImage
  before(() => {
    image = new ScratchImage()
  })
  after(() => image.remove())
  const root = () => ({ image: [image.layer], directory: image.container() })
  const sh = (script: string) => ['sh', '-c', script]

  test('is an overlay of its layers, the upper ones first; what is written stays for the next one', async () => {
    const upper = path.join(image.folder, 'upper-layer')
    mkdirSync(path.join(upper, 'etc'), { recursive: true })
    writeFileSync(path.join(upper, 'etc/group'), 'only:x:7:\n')
    const before = ScratchImage.listing(image.folder)
    const own = { image: [image.layer, upper], directory: image.container() }
    await withSandbox({ root: own }, async (sandbox) => {
      assert.deepEqual(sandbox.warnings, [])
      const { stdout } = await run(sandbox, sh('cat /etc/group; wc -l < /etc/passwd; echo new > /etc/new; rm /etc/passwd; ls /'))
      assert.equal(stdout, 'only:x:7:\n3\nbin\ndev\netc\nproc\nsys\ntmp\n')
    })
    await withSandbox({ root: own }, async (sandbox) => {
      assert.equal((await run(sandbox, ['ls', '/etc'])).stdout, 'group\nnew\n')
    })
    assert.equal(ScratchImage.listing(image.folder).replaceAll(/^containers.*\n/gm, ''), before.replaceAll(/^containers.*\n/gm, ''))
  })

  test('a read-only one takes nothing but in its mounts', () =>
    withSandbox(
      { root: { ...root(), readonly: true }, mounts: [{ type: 'tmpfs', target: '/tmp', options: 'size=1m,mode=700' }] },
      async (sandbox) => {
        assert.match((await run(sandbox, sh('echo x > /file'))).stderr, /Read-only file system/)
        assert.equal((await run(sandbox, sh('echo x > /tmp/file; cat /tmp/file; stat -c %a /tmp'))).stdout, 'x\n700\n')
      }
    ))

  test('has /proc, /sys and /dev as Docker makes them', () =>
    withSandbox({ root: root(), init: false }, async (sandbox) => {
      const script = `ls /dev; ls -l /dev/ptmx /dev/core; echo $$; ls /sys/class/net; head -c 4 /dev/urandom | wc -c; echo x > /dev/null
        echo 1 > /proc/sys/net/ipv4/ip_forward; wc -c < /proc/keys; touch /sys/x /dev/shm/x; mount | grep -c ' on /proc'`
      const { stdout, stderr } = await run(sandbox, sh(script))
      assert.match(stdout, /^core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n/)
      assert.match(stdout, /core -> \/proc\/kcore\n.*ptmx -> pts\/ptmx\n1\nlo\n4\n0\n\d+\n$/)
      assert.match(stderr, /ip_forward: Read-only file system\n.*\/sys\/x: Read-only file system\n$/)
    }))

  test('a terminal is one of its /dev/pts, and its console', () =>
    withSandbox({ root: root(), init: false }, async (sandbox) => {
      const argv = sh('tty; stty size; test -c /dev/console && echo console; stat -c %u /dev/pts/0')
      const shell = await sandbox.spawn({ argv, tty: { columns: 70, rows: 9 }, stdio: 'pipe', user: 'web' })
      assert.equal(await text(shell.stdout!), '/dev/pts/0\r\n9 70\r\nconsole\r\n1000\r\n')
    }))

  test('mounts are where they were asked for, and links in the image lead nowhere else', async () => {
    const source = path.join(image.folder, 'source')
    mkdirSync(source)
    writeFileSync(path.join(source, 'hosts'), 'of the host\n')
    const layer = path.join(image.folder, 'links')
    mkdirSync(path.join(layer, 'etc'), { recursive: true })
    symlinkSync(`../../../../..${image.folder}/escaped`, path.join(layer, 'etc/up'))
    symlinkSync('/run/resolve/conf', path.join(layer, 'etc/resolv.conf'))
    const mounts = [
      { type: 'bind' as const, source: path.join(source, 'hosts'), target: '/etc/hosts' },
      { type: 'bind' as const, source: path.join(source, 'hosts'), target: '/etc/resolv.conf', readonly: true },
      { type: 'bind' as const, source, target: '/etc/up/volume' },
      { type: 'bind' as const, source, target: '/fixed', readonly: true }
    ]
    await withSandbox({ root: { image: [image.layer, layer], directory: image.container() }, mounts }, async (sandbox) => {
      const script = `echo more >> /etc/hosts; cat /etc/hosts; echo x > /etc/resolv.conf; cat /run/resolve/conf
        echo written > /etc/up/volume/file; ls /fixed; touch /fixed/x; mount | grep ' /etc/hosts '`
      const { stdout, stderr } = await run(sandbox, sh(script))
      assert.match(stdout, /^of the host\nmore\nof the host\nmore\nfile\nhosts\n\/dev\S* on \/etc\/hosts type/)
      assert.equal(stderr.match(/Read-only file system/g)?.length, 2)
    })
    assert.equal(readFileSync(path.join(source, 'file'), 'utf8'), 'written\n')
    assert.ok(!existsSync(path.join(image.folder, 'escaped')))
    await assert.rejects(
      withSandbox({ root: root(), mounts: [{ ...mounts[0]!, source: '/no/such' }] }, async () => {}),
      { code: 'ENOENT' }
    )
  })

  test('root has Docker’s capabilities, more or fewer when asked, all when privileged', async () => {
    const held = async (options: object): Promise<string[]> => {
      let lines: string[] = []
      await withSandbox({ root: root(), ...options }, async (sandbox) => {
        lines = (await run(sandbox, sh('grep Cap /proc/self/status'))).stdout.match(/[0-9a-f]{16}/g)!
      })
      return lines
    }
    const [none, standard] = ['0000000000000000', '00000000a80425fb'] // inheritable, permitted, effective, bounding, ambient
    assert.deepEqual(await held({}), [none, standard, standard, standard, none])
    const changed = '00000000a00435fb' // NET_ADMIN is bit 12, MKNOD bit 27
    assert.deepEqual(await held({ capabilities: capabilitySet(['net_admin'], ['CAP_MKNOD']) }), [none, changed, changed, changed, none])
    const [, , all] = await held({ privileged: true })
    assert.match(all!, /^000001/)
    await withSandbox({ root: root(), privileged: true }, async (sandbox) => {
      const { stdout } = await run(
        sandbox,
        sh('echo 1 > /proc/sys/net/ipv4/ip_forward && echo writable; ls /dev | wc -l; mount | grep -c " on /proc/"')
      )
      const [writable, devices, masks] = stdout.split('\n')
      assert.equal(writable, 'writable')
      assert.ok(Number(devices) > 15)
      assert.equal(masks, '0')
    })
    assert.throws(() => capabilitySet(['fly']), { message: 'invalid CapAdd: unknown capability: "CAP_FLY"' })
  })

  test('users and groups are those of its own files, with Docker’s words for what is missing', () =>
    withSandbox({ root: root() }, async (sandbox) => {
      await run(sandbox, sh('mkdir -m 700 /root'))
      const who = async (user: string) =>
        (await run(sandbox, sh('id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status'), { user })).stdout
      assert.equal(await who('web'), '1000\n1000\n1000 5000\n/home/web\nCapEff:\t0000000000000000\n')
      assert.equal(await who('1000'), await who('web'))
      assert.match(await who('77'), /^77\n0\n0\n\/\n/)
      assert.match(await who('web:extra'), /^1000\n5000\n5000\n\/home\/web\n/)
      assert.match(await who('web:77'), /^1000\n77\n77\n/)
      const failing = async (options: object, code: string, message: string) =>
        assert.rejects(sandbox.spawn({ argv: ['true'], stdio: 'null', ...options }), { code, message })
      await failing({ user: 'foo' }, 'EINVAL', 'unable to find user foo: no matching entries in passwd file')
      await failing({ user: 'root:foo' }, 'EINVAL', 'unable to find group foo: no matching entries in group file')
      await failing({ user: '2147483648' }, 'EINVAL', 'uids and gids must be in range 0-2147483647')
      await failing({ argv: ['nonesuch'] }, 'ENOENT', 'exec: "nonesuch": executable file not found in $PATH')
      await failing({ argv: ['/no/such'] }, 'ENOENT', 'exec: "/no/such": stat /no/such: no such file or directory')
      await failing({ argv: ['/etc/passwd'] }, 'EACCES', 'exec: "/etc/passwd": permission denied')
      await failing({ argv: ['/etc'] }, 'EACCES', 'exec: "/etc": permission denied')
      await failing({ argv: ['/root/x'], user: 'web' }, 'EACCES', 'exec: "/root/x": stat /root/x: permission denied')
      await failing({ cwd: '/nonesuch' }, 'ENOENT', 'chdir to cwd ("/nonesuch") set in config.json failed: no such file or directory')
    }))

  test('a directory that cannot be made is an error as runc words it', () =>
    withSandbox({ root: root() }, async (sandbox) => {
      const message = 'error during container init: mkdir /etc/passwd: not a directory'
      await assert.rejects(sandbox.spawn({ argv: ['true'], cwd: '/etc/passwd', stdio: 'null' }), { code: 'ENOTDIR', message })
    }))

  test('the main process’s directory is made, and a program without a format says so itself', async () => {
    const own = root()
    await withSandbox({ root: own }, async (sandbox) => {
      assert.equal((await run(sandbox, ['pwd'], { cwd: '/new/place', user: 'web' })).stdout, '/new/place\n')
      const script = 'echo bad > /bad; chmod 755 /bad; echo "#!/no/shell" > /script; chmod 755 /script'
      await run(sandbox, sh(script))
      assert.deepEqual(await run(sandbox, ['/bad']), { code: 1, signal: null, stdout: '', stderr: 'exec /bad: exec format error\n' })
      assert.equal((await run(sandbox, ['/script'])).stderr, 'exec /script: no such file or directory\n')
    })
  })

  test('ordinary users may ping, reopen their output, and serve low ports; sysctls are set', () =>
    withSandbox({ root: root(), sysctls: { 'net.ipv4.ip_forward': '1' }, domainname: 'example.org' }, async (sandbox) => {
      assert.equal((await run(sandbox, sh('echo again > /dev/stdout'), { user: 'web' })).stdout, 'again\n')
      assert.equal((await run(sandbox, ['cat', '/proc/sys/net/ipv4/ping_group_range'])).stdout, '0\t2147483647\n')
      assert.equal(await sandbox.readSysctl('net/ipv4/ip_forward'), '1')
      assert.equal((await run(sandbox, ['cat', '/proc/sys/kernel/domainname'])).stdout, 'example.org\n')
    }))

  test('a wrong sysctl is refused: at once, or, as its interface may still come, when the first process starts', async () => {
    const create = (sysctls: Record<string, string>) =>
      withSandbox({ root: root(), sysctls }, async (sandbox) => void (await run(sandbox, ['true'])))
    await assert.rejects(create({ 'kernel.pid_max': '1' }), { message: 'sysctl "kernel.pid_max" is not in a separate kernel namespace' })
    await assert.rejects(create({ 'net.ipv4.nonesuch': '1' }), {
      message: 'error during container init: open /proc/sys/net/ipv4/nonesuch: no such file or directory'
    })
    await assert.rejects(create({ 'net.ipv4.ip_forward': 'x' }), {
      message: /^error during container init: write \/proc\/sys\/net\/ipv4\/ip_forward: invalid argument$/
    })
    await withSandbox({ root: root(), sysctls: { 'net.ipv4.conf.eth0.forwarding': '1' } }, async (sandbox) => {
      const tap = await sandbox.openTap()
      assert.equal((await run(sandbox, ['cat', '/proc/sys/net/ipv4/conf/eth0/forwarding'])).stdout, '1\n')
      closeSync(tap.fd)
    })
  })

  test('the network may be the host’s, or another sandbox’s', async () => {
    const netOf = (pid: number | string) => readlinkSync(`/proc/${pid}/ns/net`)
    await withSandbox({ root: root(), network: 'host' }, async (sandbox) => {
      assert.equal(netOf(sandbox.pid), netOf('self'))
      await assert.rejects(
        withSandbox({ root: root(), network: 'host', sysctls: { 'net.ipv4.ip_forward': '1' } }, async () => {}),
        {
          message: 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'
        }
      )
    })
    await withSandbox({ root: root() }, (first) =>
      withSandbox({ root: root(), network: { pid: first.pid } }, async (second) => {
        assert.equal(netOf(second.pid), netOf(first.pid))
        assert.notEqual(netOf(second.pid), netOf('self'))
        assert.equal((await run(second, ['ls', '/sys/class/net'])).stdout, 'lo\n')
      })
    )
  })
})
