import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noSandbox, run, withSandbox } from './sandbox-set-up.ts'

const NAMES = ['hosts', 'hostname', 'resolv.conf']

/** Content and identity of the host's own files. */
function hostFiles(): unknown[] {
  return NAMES.map((name) => {
    try {
      const { ino, mtimeNs, size } = statSync(`/etc/${name}`, { bigint: true })
      return [name, readFileSync(`/etc/${name}`, 'utf8'), ino, mtimeNs, size]
    } catch {
      return [name, 'missing']
    }
  })
}

/** This process's mounts, without those of namespaces that others name (`ip netns add`) meanwhile. */
function hostMounts(): string {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return lines.filter((line) => !line.includes('/netns')).join('\n')
}

describe('private files of a sandbox', { skip: noSandbox }, () => {
  let before_: unknown[]
  let mounts: string
  before(() => {
    before_ = hostFiles()
    mounts = hostMounts()
  })
  after(() => {
    assert.deepEqual(hostFiles(), before_, 'the host’s files are as they were')
    assert.equal(hostMounts(), mounts, 'and so are its mounts')
    assert.equal(hostname(), readFileSync('/proc/sys/kernel/hostname', 'utf8').trim())
  })

  test('hosts, hostname and resolv.conf are its own', () =>
    withSandbox(
      { hostname: 'web', hosts: [{ address: '192.0.2.2', names: ['web', 'www'] }], resolvConf: 'nameserver 192.0.2.53\n' },
      async (sandbox) => {
        assert.equal((await run(sandbox, ['cat', '/etc/hostname'])).stdout, 'web\n')
        assert.equal((await run(sandbox, ['hostname'])).stdout, 'web\n')
        assert.equal((await run(sandbox, ['cat', '/etc/resolv.conf'])).stdout, 'nameserver 192.0.2.53\n')
        const hosts = (await run(sandbox, ['cat', '/etc/hosts'])).stdout
        assert.match(hosts, /^127\.0\.0\.1\tlocalhost$/m)
        assert.match(hosts, /^192\.0\.2\.2\tweb www$/m)
        assert.equal((await run(sandbox, ['getent', 'hosts', 'www'])).stdout.split(/\s+/)[0], '192.0.2.2')
        // Every user of the sandbox resolves names.
        assert.equal((await run(sandbox, ['cat', '/etc/hostname'], { user: '1234' })).stdout, 'web\n')
        assert.notEqual(hostname(), 'web')
        assert.deepEqual(sandbox.warnings, [])
      }
    ))

  test('they are rewritten in place while a process holds them', () =>
    withSandbox({ resolvConf: 'nameserver 192.0.2.53\noptions ndots:0\n' }, async (sandbox) => {
      const reader = await sandbox.spawn({
        argv: ['sh', '-c', 'exec 3</etc/resolv.conf; echo open; read go; cat <&3; stat -Lc %i /proc/self/fd/3 /etc/resolv.conf']
      })
      const lines = reader.stdout!.setEncoding('utf8')[Symbol.asyncIterator]()
      assert.equal((await lines.next()).value, 'open\n')
      await sandbox.setResolvConf('# short\n')
      reader.stdin!.end('\n')
      let rest = ''
      for (let next = await lines.next(); !next.done; next = await lines.next()) rest += next.value
      const [line, held, current] = rest.split('\n')
      assert.equal(line, '# short')
      assert.equal(held, current)

      const many = Array.from({ length: 20_000 }, (_, i) => ({ address: `192.0.2.${i % 256}`, names: [`host${i}`] }))
      await sandbox.setHosts(many) // more than one message holds
      const hosts = (await run(sandbox, ['cat', '/etc/hosts'])).stdout
      assert.equal(hosts.split('\n').filter((entry) => entry.startsWith('192.0.2.')).length, 20_000)
      assert.match(hosts, /^192\.0\.2\.31\thost19999$/m)
      await sandbox.setHosts([])
      assert.equal((await run(sandbox, ['grep', '-c', 'host', '/etc/hosts'])).stdout, '2\n')
    }))

  test('entries that would break the file are refused', async () => {
    await assert.rejects(
      withSandbox({ hosts: [{ address: '192.0.2.2', names: ['a\nb'] }] }, async () => {}),
      /'a\nb' is not a word/
    )
    await assert.rejects(
      withSandbox({ hosts: [{ address: '192.0.2.2', names: [] }] }, async () => {}),
      /192\.0\.2\.2 has no name/
    )
    await assert.rejects(
      withSandbox({ hostname: 'a\nb' }, async () => {}),
      /hostname 'a\nb' must be one line/
    )
    await assert.rejects(
      withSandbox({ hostname: 'x'.repeat(65) }, async () => {}),
      { code: 'EINVAL' }
    )
  })

  test('a container may write to its files, the host does not see it', () =>
    withSandbox({}, async (sandbox) => {
      await run(sandbox, ['sh', '-c', 'echo 192.0.2.9 mine >> /etc/hosts'])
      assert.match((await run(sandbox, ['cat', '/etc/hosts'])).stdout, /mine/)
      assert.deepEqual(hostFiles(), before_)
    }))

  // A mount namespace in which /etc is another one, made by unshare(1): the sandbox's host, as a stripped machine has it.
  test('a host that lacks them, or has dangling links, gets none', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    const script = `
      mount -t tmpfs none ${folder} && cp -a /etc/passwd /etc/group ${folder} && mount --move ${folder} /etc || exit 99
      ln -s ../run/nonesuch/resolv.conf /etc/resolv.conf
      ${process.execPath} --input-type=module -e '
        const { Sandbox } = await import("${path.resolve('dist/src/sandbox/sandbox.js')}")
        const sandbox = await Sandbox.create({ name: "bare", resolvConf: "nameserver 192.0.2.53\\n" })
        const shell = await sandbox.spawn({ argv: ["sh", "-c", "cd /etc; cat hostname resolv.conf; wc -l < hosts; ls"], stdio: ["null", "inherit", "inherit"] })
        await shell.wait()
        await sandbox.setResolvConf("nameserver 192.0.2.54\\n")
        await (await sandbox.spawn({ argv: ["cat", "/etc/resolv.conf"], stdio: "inherit" })).wait()
        console.log(sandbox.warnings.length, "warnings")
        await sandbox.close()
      ' || exit 98
      ls /etc; readlink /etc/resolv.conf`
    try {
      const { stdout, stderr, status } = spawnSync('unshare', ['-m', 'sh', '-c', script], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] }
      })
      assert.equal(stderr, '')
      assert.equal(status, 0)
      const inside = 'bare\nnameserver 192.0.2.53\n6\ngroup\nhostname\nhosts\npasswd\nresolv.conf\nnameserver 192.0.2.54\n0 warnings\n'
      assert.equal(stdout, `${inside}group\npasswd\nresolv.conf\n../run/nonesuch/resolv.conf\n`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('links are followed: the private file is what they lead to', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    const script = `
      mount -t tmpfs none ${folder} && mkdir ${folder}/real && echo host > ${folder}/real/stub && echo hosts > ${folder}/hosts && cp -a /etc/passwd ${folder}
      mount --move ${folder} /etc && echo old > /etc/hostname && ln -s real/stub /etc/resolv.conf || exit 99
      ${process.execPath} --input-type=module -e '
        const { Sandbox } = await import("${path.resolve('dist/src/sandbox/sandbox.js')}")
        const sandbox = await Sandbox.create({ name: "linked", resolvConf: "nameserver 192.0.2.53\\n" })
        await (await sandbox.spawn({ argv: ["cat", "/etc/resolv.conf"], stdio: "inherit" })).wait()
        await sandbox.close()
      ' && cat /etc/resolv.conf /etc/hostname`
    try {
      const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', env: { PATH: process.env['PATH'] } })
      assert.equal(stderr, '')
      assert.equal(stdout, 'nameserver 192.0.2.53\nhost\nold\n')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
