import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noRoot, ScratchImage } from './sandbox-root-set-up.ts'
import { run, withSandbox } from './sandbox-set-up.ts'

const MODULES = path.resolve('dist/src/sandbox/sandbox.js')

/**
 * Creates a sandbox on the root '/' of a process that sees `tree` there, runs a script in it and prints what came of it. The
 * process is entered with chroot in a mount namespace of its own, after the read-only binds of `binds`.
 */
function onHost(tree: string, body: string, prepare = ''): { stdout: string; stderr: string } {
  const script = `
    import { text } from 'node:stream/consumers'
    import { mkdirSync } from 'node:fs'
    import { Sandbox } from '${MODULES}'
    const run = async (sandbox, command, options = {}) => {
      const process = await sandbox.spawn({ argv: ['sh', '-c', command], stdio: ['null', 'pipe', 'pipe'], ...options })
      const [out, err] = await Promise.all([text(process.stdout), text(process.stderr)])
      await process.wait()
      return { out, err }
    }
    const print = (...words) => console.log(...words)
    ${body}`
  const enter = tree === '/' ? 'exec "$0"' : `exec chroot ${tree} "$0"`
  return spawnSync(
    'unshare',
    ['-m', '--propagation', 'private', 'sh', '-ec', `${prepare}\n${enter} --input-type=module -e "$1"`, process.execPath, script],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
      timeout: 300_000
    }
  )
}

/** What is in a directory, but for these. */
function below(directory: string, but: readonly string[]): string[] {
  return readdirSync(directory).flatMap((name) => (but.includes(name) ? [] : [path.join(directory, name)]))
}

describe('a sandbox on the host’s own root', { skip: noRoot }, () => {
  let image: ScratchImage
  let host: string
  before(() => {
    image = new ScratchImage()
    host = path.join(image.folder, 'host')
  })
  after(() => image.remove())

  /** A host in a folder: a tree with a busybox, and what this node needs bound in. */
  function makeHost(): string {
    for (const directory of [
      'usr',
      'lib',
      'lib64',
      'proc',
      'sys',
      'dev',
      'tmp',
      'run/secret',
      'var/lib/netloom/containers/one',
      'var/lib/other',
      'disk',
      'home'
    ])
      mkdirSync(path.join(host, directory), { recursive: true })
    spawnSync('cp', ['-a', `${image.layer}/.`, host])
    for (const file of ['tmp/left', 'run/secret/key', 'var/lib/netloom/store', 'var/lib/other/file', 'etc/hosts', 'home/mine'])
      writeFileSync(path.join(host, file), 'host\n')
    mkdirSync(path.join(image.folder, 'disk'))
    writeFileSync(path.join(image.folder, 'disk/file'), 'of a disk\n')
    symlinkSync('../run/secret/key', path.join(host, 'etc/resolv.conf'))
    mkdirSync(path.join(host, process.cwd()), { recursive: true })
    return `mount --bind ${host} ${host}
      for d in usr lib lib64 ${process.cwd()}; do [ -d /$d ] && { mkdir -p ${host}/$d; mount --bind -o ro /$d ${host}/$d; mount -o remount,bind,ro ${host}/$d; }; done
      mount --rbind /proc ${host}/proc; mount --rbind /sys ${host}/sys; mount --rbind /dev ${host}/dev; mount --bind ${image.folder}/disk ${host}/disk`
  }

  test('sees its files but not what is mounted, temporary or ours; changes and rm -rf / leave the host as it was', () => {
    const prepare = makeHost()
    const before = ScratchImage.listing(host)
    const { stdout, stderr } = onHost(
      host,
      `const directory = '/var/lib/netloom/containers/one'
      const options = { name: 'one', root: { image: 'host', directory, hide: ['/var/lib/netloom', '/no/such', '/usr', '/lib', '/lib64', '${process.cwd()}'] }, userNamespace: 'never',
        mounts: [{ type: 'bind', source: '/etc/hosts', target: '/etc/resolv.conf' }] }
      let sandbox = await Sandbox.create(options)
      print(sandbox.warnings)
      print((await run(sandbox, 'ls -d /etc/hosts /tmp/* /run/* /var/lib/* /home/*; ls -l /etc/resolv.conf | cut -c 1; stat -c %a /tmp; cat /etc/resolv.conf; mount | wc -l')).out)
      await run(sandbox, 'echo changed > /home/mine; rm /var/lib/other/file; echo new > /tmp/new')
      await sandbox.close()
      sandbox = await Sandbox.create(options)
      print((await run(sandbox, 'cat /home/mine /tmp/new; ls /var/lib/other')).out)
      print((await run(sandbox, 'cat /disk/file; rm -rf / 2> /dev/null; echo /* /disk/*')).out)
      await sandbox.close()`,
      prepare
    )
    assert.equal(stderr, '')
    const expected = ['[]', '/etc/hosts', '/home/mine', '/var/lib/other', '-', '1777', 'host']
    assert.deepEqual(stdout.split('\n').slice(0, expected.length), expected)
    assert.match(stdout, /\nchanged\nnew\n\n/)
    assert.match(stdout, /\nof a disk\n\/dev \/disk \/etc \/proc \/sys \/disk\/\*\n/)
    assert.equal(readFileSync(path.join(image.folder, 'disk/file'), 'utf8'), 'of a disk\n')
    const stripped = (listing: string) => listing.replaceAll(/^var\/lib\/netloom\/containers.*\n/gm, '')
    assert.equal(stripped(ScratchImage.listing(host)), stripped(before))
  })

  test('rm -rf / on this machine’s root, with everything read-only behind it as a net', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-root-'))
    try {
      // Whatever went wrong, the host's files could not be written: in this mount namespace only the container's directory can.
      const prepare = `mkdir ${folder}/c; mount --bind ${folder}/c ${folder}/c; mount -o remount,bind,ro /
        if touch /etc/netloom-net 2> /dev/null; then echo the net does not hold; exit 1; fi`
      // What is big is left out, for time's sake.
      const big = [...below('/', ['etc', 'usr', 'bin']), ...below('/usr', ['bin'])]
      const seen = () => ['/', '/usr', '/usr/bin', '/etc'].map((directory) => readdirSync(directory))
      const before = seen()
      const { stdout, stderr } = onHost(
        '/',
        `const root = { image: 'host', directory: '${folder}/c', hide: ${JSON.stringify(big)} }
        const sandbox = await Sandbox.create({ name: 'one', root, userNamespace: 'never' })
        print(sandbox.warnings)
        const script = 'test -e /usr/bin/env && test -e /etc/passwd && ls /tmp /run && echo host; /bin/busybox rm -rf / 2> /dev/null; echo /*'
        print((await run(sandbox, script, { argv: ['/bin/busybox', 'sh', '-c', script] })).out)
        await sandbox.close()`,
        prepare
      )
      assert.equal(stderr, '')
      assert.equal(stdout, '[]\n/run:\n\n/tmp:\nhost\n/dev /proc /sys\n\n')
      assert.deepEqual(seen(), before)
      assert.ok(readFileSync('/etc/passwd').length > 0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('where overlayfs takes no upper layer on the disk, changes are kept in memory, and images are copied', async () => {
    // An overlay is no upper layer for another one: so it is on a machine that is itself a container.
    const scratch = path.join(image.folder, 'nested')
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(path.join(scratch, name), { recursive: true })
    const merged = path.join(scratch, 'merged')
    const prepare = `mount -t overlay overlay -o lowerdir=${scratch}/lower,upperdir=${scratch}/upper,workdir=${scratch}/work ${merged}; mkdir ${merged}/c1 ${merged}/c2`
    const { stdout, stderr } = onHost(
      '/',
      `const script = 'echo new > /etc/new; cat /etc/new; rm -f /etc/group; ls -d /etc/group /bin/busybox 2> /dev/null; stat -c %h /bin/busybox'
      const options = { name: 'one', userNamespace: 'never', root: { image: ['${image.layer}', '${image.layer}'], directory: '${merged}/c1' } }
      let sandbox = await Sandbox.create(options)
      print(sandbox.warnings.length, (await run(sandbox, script)).out)
      await sandbox.close()
      sandbox = await Sandbox.create(options)
      print((await run(sandbox, 'cat /etc/new; ls /etc')).out)
      await sandbox.close()
      sandbox = await Sandbox.create({ name: 'two', userNamespace: 'never', root: { image: 'host', directory: '${merged}/c2' } })
      print(sandbox.warnings.length, (await run(sandbox, 'echo new > /etc/netloom-new; cat /etc/netloom-new; ls /tmp')).out)
      await sandbox.close()`,
      prepare
    )
    assert.equal(stderr, '')
    assert.equal(stdout, '1 new\n/bin/busybox\n1\n\nnew\ngroup\nnew\npasswd\n\n1 new\n\n'.replace('group\n', ''))
    assert.ok(!existsSync('/etc/netloom-new'))
  })

  test('a bind hears of mounts on the host when it is a slave, and not when it is private', () => {
    const shared = path.join(image.folder, 'shared')
    mkdirSync(path.join(shared, 'below'), { recursive: true })
    const prepare = `mount -t tmpfs shared ${shared}; mkdir ${shared}/below; mount --make-shared ${shared}`
    const { stdout, stderr } = onHost(
      '/',
      `import { spawnSync } from 'node:child_process'
      const seen = []
      const mounts = ['rprivate', 'rslave', 'rshared'].map((propagation) => ({ type: 'bind', source: '${shared}', target: '/' + propagation, propagation }))
      const root = { image: ['${image.layer}'], directory: '${image.container()}' }
      const sandbox = await Sandbox.create({ name: 'one', userNamespace: 'never', root, mounts, privileged: true })
      spawnSync('mount', ['-t', 'tmpfs', 'later', '${shared}/below'])
      print((await run(sandbox, 'mount | grep later | cut -d " " -f 3 | sort; mkdir /rshared/inside; mount -t tmpfs inner /rshared/inside')).out)
      print(spawnSync('sh', ['-c', 'mount | grep -c "^inner"'], { encoding: 'utf8' }).stdout)
      await sandbox.close()`,
      prepare
    )
    assert.equal(stderr, '')
    assert.equal(stdout, '/rshared/below\n/rslave/below\n\n1\n\n')
  })

  test('two sandboxes at once do not see each other’s changes', async () => {
    const options = () => ({ root: { image: 'host' as const, directory: image.container() } })
    await withSandbox(options(), (first) =>
      withSandbox(options(), async (second) => {
        await run(first, ['sh', '-c', 'echo first > /etc/netloom-own'])
        assert.equal((await run(second, ['sh', '-c', 'ls /etc/netloom-own'])).stdout, '')
        assert.equal((await run(first, ['cat', '/etc/netloom-own'])).stdout, 'first\n')
      })
    )
    assert.ok(!existsSync('/etc/netloom-own'))
  })
})
