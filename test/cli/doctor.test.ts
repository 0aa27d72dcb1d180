import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { printDiagnosis } from '../../src/cli/commands/doctor.ts'
import type { Check } from '../../src/cli/doctor/check.ts'
import { examine } from '../../src/cli/doctor/examine.ts'
import type { NativeParts } from '../../src/cli/doctor/native-checks.ts'
import { Output } from '../../src/cli/output.ts'
import { NativeUnavailableError } from '../../src/io/load-native.ts'
import { findShim, findUplink } from '../../src/sandbox/shim-binary.ts'
import { fakeMachine, HEALTHY_PROBE, type MachineFacts, runHere, TextSink } from './fake-world.ts'

const SHIM = '/opt/netloom/build/Release/netloom-shim'
const UPLINK = '/opt/netloom/build/Release/netloom-uplink'
const STATE = '/var/lib/netloom'
const BUILT: NativeParts = { loadNative: () => ({}), findShim: () => SHIM, findUplink: () => UPLINK }
const NOT_BUILT: NativeParts = {
  loadNative: () => {
    throw new NativeUnavailableError([{ path: '/opt/a.node', reason: 'no such file' }])
  },
  findShim: () => findShim('/nonexistent'),
  findUplink: () => findUplink('/nonexistent')
}

function check(id: string, facts: MachineFacts, parts: NativeParts = BUILT): Check {
  const found = examine(fakeMachine(facts), parts, STATE).checks.find((candidate) => candidate.id === id)
  assert.ok(found, `there is no check '${id}'`)
  return found
}

/** unshare fails with this; everything else works. */
function refuses(stderr: string): MachineFacts['run'] {
  return (program) => (program === 'unshare' ? { status: 1, stdout: '', stderr: `unshare: unshare failed: ${stderr}\n` } : HEALTHY_PROBE)
}

function shimProcess(pid: number, mode: string, parent: number): Record<string, string> {
  return {
    [`/proc/${pid}/comm`]: 'netloom-shim',
    [`/proc/${pid}/cmdline`]: `${SHIM}\0${mode}`,
    [`/proc/${pid}/status`]: `PPid:\t${parent}`
  }
}

describe('doctor', () => {
  it('finds nothing wrong with a healthy machine, for root and for a user', () => {
    for (const uid of [0, 1000]) {
      const diagnosis = examine(fakeMachine({ uid }), BUILT, STATE)
      assert.deepEqual(
        diagnosis.checks.filter(({ status }) => status !== 'ok'),
        []
      )
      assert.equal(diagnosis.healthy, true)
    }
  })

  it('gives a fix with every warning and failure', () => {
    const bad: MachineFacts = {
      uid: 1000,
      kernelRelease: '4.19.0',
      nodeVersion: '18.0.0',
      programs: [],
      files: { '/proc/meminfo': 'MemAvailable: 1000 kB', '/proc/self/limits': 'Max open files            256      4096    files' },
      forbidden: ['/dev/net/tun', '/opt/netloom/build/Release/netloom-shim'],
      folders: { '/tmp': ['netloom-99-demo'] }
    }
    const diagnosis = examine(fakeMachine(bad), NOT_BUILT, STATE)
    assert.equal(diagnosis.healthy, false)
    for (const { id, status, fix } of diagnosis.checks) assert.ok(status === 'ok' || fix, `'${id}' has no fix`)
    const failed = diagnosis.checks.filter(({ status }) => status === 'fail').map(({ id }) => id)
    assert.deepEqual(failed.sort(), ['addon', 'namespaces', 'node', 'shim', 'tun'])
  })

  it('looks at what the user uplink needs: its helper, sandboxes, ping sockets', () => {
    for (const uid of [0, 1000]) assert.match(check('user-uplink', { uid }).detail, /netloom-uplink, and ping sockets;/)
    assert.match(check('user-uplink', {}, NOT_BUILT).detail, /cannot be had: the netloom-uplink executable was not found/)
    assert.match(check('user-uplink', { forbidden: [UPLINK] }).detail, /netloom-uplink cannot be executed/)
    assert.match(check('user-uplink', { uid: 1000, forbidden: ['/dev/net/tun'] }).detail, /cannot be had: see tun above/)
    const hardLimit = (limit: number): MachineFacts => ({
      files: { '/proc/self/limits': `Max open files            1024      ${limit}    files` }
    })
    assert.match(
      check('user-uplink', hardLimit(4096)).detail,
      /one container may have 1,280 TCP connections at once \(at most 4096 open files/
    )
    assert.match(check('user-uplink', hardLimit(3256)).detail, /may have 1,000 TCP connections/)
    const range = { '/proc/sys/net/ipv4/ping_group_range': '1\t0' }
    const noPing = check('user-uplink', { uid: 1000, files: range })
    assert.deepEqual([noPing.status, noPing.fix], ['warn', 'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'])
    const some = { '/proc/sys/net/ipv4/ping_group_range': '27\t27' }
    assert.equal(check('user-uplink', { uid: 1000, groups: [1000, 27], files: some }).status, 'ok')
  })

  it('names what an older kernel lacks, and warns below 5.11', () => {
    assert.equal(check('kernel', { kernelRelease: '6.18.1' }).detail, 'Linux 6.18.1')
    const debian12 = check('kernel', { kernelRelease: '6.1.0-18-amd64' })
    assert.equal(debian12.status, 'ok')
    assert.match(debian12.detail, /USO.*6\.2.*tunnel.*6\.17/)
    assert.doesNotMatch(debian12.detail, /epoll_pwait2/)
    assert.equal(check('kernel', { kernelRelease: '5.10.0' }).status, 'warn')
    assert.equal(check('kernel', { kernelRelease: '5.11.0' }).status, 'ok')
  })

  it('looks no further where it is not Linux', () => {
    const diagnosis = examine(fakeMachine({ platform: 'darwin' }), BUILT, STATE)
    assert.equal(diagnosis.healthy, false)
    assert.equal(
      diagnosis.checks.some(({ id }) => id === 'tun'),
      false
    )
  })

  it('lists the paths where the addon and the shim were looked for', () => {
    const addon = check('addon', {}, NOT_BUILT)
    assert.equal(addon.status, 'fail')
    assert.match(addon.detail, /\/opt\/a\.node: no such file/)
    const shim = check('shim', {}, NOT_BUILT)
    assert.equal(shim.status, 'fail')
    assert.match(shim.detail, /\/nonexistent\/build\/Release\/netloom-shim/)
    assert.match(check('shim', { forbidden: [SHIM] }).fix ?? '', /chmod \+x/)
  })

  it('tells root and a user different things about /dev/net/tun', () => {
    const forbidden = ['/dev/net/tun']
    assert.match(check('tun', { uid: 0, forbidden }).fix ?? '', /container/)
    assert.match(check('tun', { uid: 1000, forbidden }).fix ?? '', /sudo chmod/)
    assert.equal(check('tun', { uid: 1000 }).status, 'ok')
  })

  const settings: [file: string, value: string, fix: RegExp][] = [
    ['/proc/sys/kernel/unprivileged_userns_clone', '0', /kernel\.unprivileged_userns_clone=1/],
    ['/proc/sys/user/max_user_namespaces', '0', /user\.max_user_namespaces=/],
    ['/proc/sys/kernel/apparmor_restrict_unprivileged_userns', '1', /apparmor_restrict_unprivileged_userns=0/]
  ]
  for (const [file, value, fix] of settings) {
    it(`blames ${file} = ${value} when a user namespace is refused`, () => {
      const found = check('user-namespaces', { uid: 1000, files: { [file]: value }, run: refuses('Operation not permitted') })
      assert.equal(found.status, 'fail')
      assert.match(found.detail, /Operation not permitted/)
      assert.match(found.fix ?? '', fix)
    })
  }

  it('blames no setting when a user namespace is granted all the same', () => {
    assert.equal(
      check('user-namespaces', { uid: 1000, files: { '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' } }).status,
      'ok'
    )
  })

  it('takes a root without capabilities for a container', () => {
    assert.match(check('namespaces', { run: refuses('Operation not permitted') }).fix ?? '', /--cap-add SYS_ADMIN/)
  })

  it('wants subordinate ids of a user by name or by number, and none of root', () => {
    const without = check('subordinate-ids', { uid: 1000, files: { '/etc/subuid': 'bob:100000:65536' } })
    assert.equal(without.status, 'warn')
    assert.match(without.fix ?? '', /usermod .* ada$/)
    assert.equal(check('subordinate-ids', { uid: 1000, files: { '/etc/subuid': '1000:100000:65536' } }).status, 'ok')
    assert.equal(
      examine(fakeMachine(), BUILT, STATE).checks.some(({ id }) => id === 'subordinate-ids'),
      false
    )
  })

  it('reads the offloads that a TAP was granted', () => {
    const granted = (offloads: number) =>
      check('tap', { run: () => ({ status: 0, stdout: JSON.stringify({ offloads, vnetHeaderLength: 24 }), stderr: '' }) })
    assert.match(granted(0x07).detail, /offloads checksum, TSO4, TSO6; not USO4 \(Linux 6\.2\)/)
    assert.equal(granted(0x07).status, 'ok')
    assert.equal(granted(0x01).status, 'warn')
  })

  it('fails when the TAP is refused, or the probe breaks', () => {
    const probe = (stdout: string) => (_program: string, args: readonly string[]) =>
      args.includes('true') ? HEALTHY_PROBE : { status: 1, stdout, stderr: 'Segmentation fault\n' }
    const refused = check('tap', {
      uid: 1000,
      run: probe('{"error":{"code":"EPERM","message":"ioctl TUNSETIFF: Operation not permitted"}}')
    })
    assert.equal(refused.status, 'fail')
    assert.match(refused.fix ?? '', /user namespaces/)
    assert.match(check('tap', { run: probe('') }).detail, /Segmentation fault/)
  })

  it('heeds the limit of the control group', () => {
    const files = {
      '/proc/self/cgroup': '0::/small',
      '/sys/fs/cgroup/small/memory.max': '104857600',
      '/sys/fs/cgroup/small/memory.current': '0'
    }
    const found = check('memory', { files })
    assert.equal(found.status, 'warn')
    assert.match(found.detail, /^100 MiB available in this control group/)
  })

  it('finds what killed runs left, and spares what lives', () => {
    const facts: MachineFacts = {
      folders: { '/tmp': ['netloom-41', 'netloom-42-demo', 'netloom-notes', 'other'], '/proc': ['7', '8', '9', 'self'] },
      files: { ...shimProcess(7, '--owner-bound', 1), ...shimProcess(8, '--owner-bound', 42), ...shimProcess(9, '--listen', 1) },
      alive: [42]
    }
    const found = check('leftovers', facts)
    assert.equal(found.status, 'warn')
    assert.equal(found.fix, 'kill 7\nrm -r /tmp/netloom-41')
  })

  const journal = (changes: object[]): Record<string, string> => ({
    '/proc/sys/kernel/random/boot_id': 'this-boot',
    [`${STATE}/host-uplink.json`]: JSON.stringify({ version: 1, namespace: 'this-boot/4026531840', changes })
  })
  const changes = [
    { kind: 'nftables', family: 'inet', name: 'netloom' },
    { kind: 'rule', family: 6, priority: 1100, table: 28268 },
    { kind: 'sysctl', name: 'net/ipv4/ip_forward', was: '0', set: '1' }
  ]

  it('lists what a daemon has changed on the host, and after its death how to put it back', () => {
    const running = check('host-changes', { files: { ...journal(changes), '/sys/class/net/netloom0': '' } })
    assert.equal(running.status, 'ok')
    assert.match(
      running.detail,
      /nftables table inet netloom\nip -6 rule 1100: not iif lo lookup 28268\nnet\.ipv4\.ip_forward = 1 \(was 0\)$/
    )
    const left = check('host-changes', { files: journal(changes) })
    assert.equal(left.status, 'warn')
    assert.match(
      left.fix ?? '',
      /sysctl -w net\.ipv4\.ip_forward=0\nip -6 rule delete priority 1100\nnft delete table inet netloom$/,
      'the latest change first'
    )
    assert.equal(check('host-changes', { files: journal([]) }).status, 'ok')
    assert.equal(check('host-changes', {}).detail, 'nothing is changed on this host')
    assert.equal(check('host-changes', { files: { ...journal(changes), '/proc/sys/kernel/random/boot_id': 'next' } }).status, 'ok')
    const torn = check('host-changes', { files: { [`${STATE}/host-uplink.json`]: '{' } })
    assert.match(`${torn.status} ${torn.detail}`, /warn .*host-uplink\.json is no journal/)
  })

  it('lists what the TAP underlay and the parents have changed, and sees whether their daemon lives', () => {
    const journalOf = (file: string, family: string, name: string): Record<string, string> => ({
      '/proc/sys/kernel/random/boot_id': 'this-boot',
      [`${STATE}/${file}`]: JSON.stringify({ version: 1, namespace: 'this-boot/1', changes: [{ kind: 'nftables', family, name }] })
    })
    const underlay = journalOf('tap-underlay.json', 'netdev', 'netloom-vxlan')
    const left = check('underlay-changes', { files: underlay })
    assert.match(`${left.status} ${left.fix}`, /^warn .*\nnft delete table netdev netloom-vxlan$/s)
    const held = check('underlay-changes', { files: { ...underlay, '/sys/class/net/netloomvx': '' } })
    assert.match(`${held.status} ${held.detail}`, /^ok changed by the daemon.*\nnftables table netdev netloom-vxlan$/s)

    const parents = { ...journalOf('host-parents.json', 'inet', 'netloom-parents-0123456789ab'), [`${STATE}/lock`]: '41        ' }
    const commands = { daemon: 'node\0netloom.js\0daemon', other: 'dbus-daemon\0--system' }
    for (const [command, status] of [
      [commands.daemon, 'ok'],
      [commands.other, 'warn']
    ]) {
      assert.equal(check('parent-changes', { files: { ...parents, '/proc/41/cmdline': command } }).status, status, command)
    }
    const orphan = check('parent-changes', { files: parents })
    assert.match(`${orphan.status} ${orphan.fix}`, /^warn .*\nnft delete table inet netloom-parents-0123456789ab$/s)
    assert.match(
      check('parent-changes', { files: { [`${STATE}/host-parents.json`]: '{' } }).fix ?? '',
      /a table inet netloom-parents-\.\.\., then: rm/
    )
    assert.equal(check('host-changes', { files: { ...underlay, ...parents } }).status, 'ok')
  })

  it('explains whose filter drops what containers send out', () => {
    const probed =
      (result: object): MachineFacts['run'] =>
      () => ({ status: 0, stdout: JSON.stringify({ offloads: 0x1e7, ...result }), stderr: '' })
    assert.equal(check('forwarding', {}).status, 'ok')
    const drops = [{ text: 'the chain FORWARD drops', fix: 'iptables -I FORWARD -i netloom0 -j ACCEPT' }]
    const dropped = check('forwarding', { run: probed({ forwardDrops: drops }) })
    assert.deepEqual([dropped.status, dropped.detail, dropped.fix], ['warn', 'the chain FORWARD drops', drops[0].fix])
    const none = check('forwarding', { run: probed({ error: { code: 'EOPNOTSUPP', message: 'nft list chains: EOPNOTSUPP' } }) })
    assert.match(`${none.status} ${none.fix}`, /warn .*--uplink user/s)
    const legacy: MachineFacts = {
      files: { '/proc/net/ip_tables_names': 'nat\nfilter' },
      programs: ['unshare', 'iptables-legacy'],
      run: (program) =>
        program.endsWith('iptables-legacy') ? { status: 0, stdout: '-P FORWARD DROP\n-A FORWARD -j X\n', stderr: '' } : HEALTHY_PROBE
    }
    assert.match(check('forwarding', legacy).fix ?? '', /iptables-legacy -I FORWARD -i netloom0 -j ACCEPT/)
    assert.equal(
      examine(fakeMachine({ uid: 1000 }), BUILT, STATE).checks.some(({ id }) => id === 'forwarding'),
      false
    )
  })

  it('names the Debian package of a missing tool', () => {
    const found = check('tool-dig', { uid: 1000, programs: ['unshare'] })
    assert.equal(found.fix, 'sudo apt-get install bind9-dnsutils')
    assert.equal(check('tool-wireshark', { programs: ['unshare', 'tshark'] }).status, 'ok')
  })

  it('prints a line for each check, its fix below, and a verdict', () => {
    const sink = new TextSink()
    printDiagnosis(examine(fakeMachine({ forbidden: ['/dev/net/tun'] }), BUILT, STATE), new Output(sink, { env: {} }))
    assert.match(sink.text, /^OK {4}kernel {12}Linux 6\.18\.1$/m)
    assert.match(sink.text, /^FAIL {2}tun .*\n {24}fix: start this container/m)
    assert.match(sink.text, /do not work here for root: 1 failed/)
  })

  it('runs on this very machine, and its exit code agrees with its JSON', async () => {
    const { code, stdout, stderr } = await runHere(['doctor', '--json'], process.env)
    const diagnosis = JSON.parse(stdout) as { healthy: boolean; checks: Check[] }
    assert.equal(stderr, '')
    assert.equal(code, diagnosis.healthy ? 0 : 1)
    assert.ok(diagnosis.checks.length >= 10)
  })
})
