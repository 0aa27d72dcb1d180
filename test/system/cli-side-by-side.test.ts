/** Docker's commands of our own program beside the real client's, against one daemon: the same output, errors and exit codes. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DaemonProcess, daemonMissing, type Finished } from '../docker/daemon-process.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')

/** Run by both, one after the other; nothing in them changes what the other sees. A list is a command with its stdin. */
const COMMANDS: readonly (string | readonly [command: string, stdin: string])[] = [
  'network ls',
  'network ls --no-trunc',
  'network ls -q',
  'network ls --format json',
  "network ls --format '{{.Name}}:{{.Driver}} {{json .Labels}}'",
  "network ls --format 'table {{.ID}}\\t{{.Name}}\\t{{.Internal}}'",
  'network ls --filter driver=bridge --filter name=fr',
  'network ls --filter bogus=1',
  'network inspect front',
  'network inspect front nope bridge',
  "network inspect -f '{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}' front bridge",
  "network inspect -f '{{json .Labels}} {{len .Containers}}' front",
  "network inspect -f '{{range $id, $c := .Containers}}{{$c.Name}} {{$c.IPv4Address}}{{end}}' front",
  "network inspect -f '{{.Nope}}' front",
  "network inspect -f '{{.Name' front",
  'network create front',
  'network create --subnet 192.0.2.0/33 x',
  'network create --gateway 192.0.2.1 x',
  'network create --subnet 192.0.2.0/24 --gateway 198.51.100.1 x',
  'network connect nope web',
  'network connect front nope',
  'network connect --ip 192.0.2.300 front plain',
  'network disconnect front nope',
  'ps',
  'ps -a',
  'ps -aq',
  'ps -a --no-trunc',
  'ps -a --format \'{{.Names}} {{.Ports}} {{.Networks}} {{.State}} {{.Label "tier"}}\'',
  'ps -a --format \'{{.Names}} {{if eq .State "running"}}up{{else}}down{{end}} {{upper .Image}} {{printf "%-6s|%q" .Names .Command}}\'',
  'ps -a --format json',
  "ps --format 'table {{.Names}}\\t{{.Image}}'",
  'ps --filter name=web --filter status=running',
  'ps -l -q',
  'ps -n 2 -q',
  'ps --filter status=bad',
  'inspect web',
  'inspect web front host',
  'inspect --format json web',
  "inspect -f '{{.State.Status}} {{.NetworkSettings.Networks.front.IPAddress}} {{.HostConfig.AutoRemove}}' web",
  "inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}' web plain",
  'inspect -f \'{{index .Config.Labels "tier"}}{{- "x" -}}  {{json .Config.Cmd}}\' web',
  'inspect -f \'{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}\' web',
  'inspect -f \'{{if .State.Running}}yes{{else}}no{{end}} {{join .Config.Cmd " "}} {{not .State.Paused}}\' web later',
  "inspect -f '{{with .NetworkSettings}}{{.IPAddress}}{{end}}' plain",
  "inspect -f '{{.Nope}}' web",
  'inspect nope',
  'inspect --type network front',
  'inspect --type image nope',
  'inspect --type container front',
  'images',
  'images -q --no-trunc',
  "images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
  'logs web',
  'logs -n 1 web',
  'logs nope',
  'exec web echo hi',
  'exec web sh -c "echo out; echo err >&2; exit 3"',
  'exec web nosuchcommand',
  'exec nope ls',
  'exec later ls',
  "exec -w /tmp -e A=1 web sh -c 'pwd; echo $A'",
  ['exec -i web cat', 'typed\n'.repeat(1000)],
  'exec -u nosuchuser web id',
  'exec -it web sh',
  'stop nope web2',
  'rm web',
  'rm nope',
  'start nope nope2',
  'kill nope',
  'kill -s BOGUS web',
  'wait nope',
  'rename nope x',
  'rmi nope',
  'tag nope x',
  'run --rm box echo hello',
  "run --rm box sh -c 'echo out; echo err >&2; exit 7'",
  ['run --rm -i box cat', 'line of input\n'.repeat(20_000)],
  'run --rm box nosuch',
  'run --rm box /etc',
  'run --rm --network nope box true',
  'run --name Bad/name box true',
  'run --rm --ip 192.0.2.9 box true',
  'run --rm --network-alias x box true',
  'run --rm -p 99999:80 box true',
  'run --rm -p 80: box true',
  'run --rm -p 1-2:5-7 box true',
  'run --rm --restart=always box true',
  'run --rm --mac-address zz box true',
  'run --rm BadName true',
  'run -d -a stdout box true',
  'run --rm -it box sh',
  "run --rm -e A=1 -w /tmp --hostname hh --add-host x:192.0.2.4 box sh -c 'echo $A; pwd; hostname; grep 192.0.2.4 /etc/hosts'",
  'run --rm --network front --ip 192.0.2.77 box ip -4 -o addr show eth0',
  'run --rm --network name=front,alias=al,ip=192.0.2.78 box ip -4 -o addr show eth0',
  'run --rm --network container:web box hostname',
  'run --rm --network none box cat /proc/net/dev',
  'run --rm -u 1000:1000 box id -u',
  'run --rm --entrypoint echo box hi --there',
  'run --rm --read-only box touch /x',
  'run --rm --dns 192.0.2.53 --dns-search example.com --dns-option ndots:2 box cat /etc/resolv.conf',
  'run --rm --sysctl net.ipv4.ip_forward=0 box cat /proc/sys/net/ipv4/ip_forward',
  'run --rm -v /etc:/mnt:ro box ls -d /mnt'
]

/** What two runs of one command may differ in: times, new ids, process ids; and the program's own name in errors. */
function masked({ status, stdout, stderr }: Finished): unknown {
  const mask = (text: string): string =>
    text
      .replace(/\d+ seconds?( ago)?|Less than a second( ago)?|About a minute( ago)?|\d+ minutes( ago)?/g, 'TIME')
      .replace(/ +/g, ' ')
      .replace(/^netloom: /, 'docker: ')
      .replace(/'netloom /g, "'docker ")
      .replace(/\b\d+: eth0@?\w*/g, 'N: eth0')
  return { status, stdout: mask(stdout), stderr: mask(stderr) }
}

/** Our commands print what this client prints; earlier ones have other words and columns. */
const CLIENT = 28

function clientMissing(): string | false {
  const { stdout } = spawnSync('docker', ['--version'], { encoding: 'utf8' })
  const major = Number(/version (\d+)/.exec(stdout)?.[1])
  return major === CLIENT ? false : `docker's client is of version ${major}, and ours is modelled on ${CLIENT}`
}

describe("docker's commands by netloom and by docker", { skip: daemonMissing('busybox') || clientMissing() }, () => {
  const daemon = new DaemonProcess()

  async function run(program: readonly string[], command: string, stdin = ''): Promise<Finished> {
    const host = `unix://${daemon.socket}`
    const env = { ...process.env, DOCKER_HOST: host, NETLOOM_HOST: host, TZ: 'UTC' }
    const child = spawn('sh', ['-c', `exec ${program.join(' ')} ${command}`], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.stdin.on('error', () => {})
    child.stdin.end(stdin)
    const [status] = (await once(child, 'close')) as [number]
    return { status, stdout, stderr }
  }
  const docker = (command: string, stdin?: string): Promise<Finished> => run(['docker'], command, stdin)
  const netloom = (command: string, stdin?: string): Promise<Finished> => run([process.execPath, NETLOOM], command, stdin)

  before(async () => {
    await daemon.start()
    for (const command of [
      'network create --subnet 192.0.2.0/24 --label team=a front',
      "run -d --name web --network front --hostname webhost -l tier=a -p 8080:80 -p 81:81 box sh -c 'echo started; echo twice; exec sleep 1000'",
      'run -d --name plain --expose 5000-5002 box sleep 1000',
      'create --name later box sleep 3'
    ]) {
      const { status, stderr } = await netloom(command)
      assert.equal(status, 0, `${command}: ${stderr}`)
    }
  })
  after(() => daemon.down())

  for (const entry of COMMANDS) {
    const [command, stdin] = typeof entry === 'string' ? [entry] : entry
    it(command, async () => {
      const expected = await docker(command, stdin)
      assert.deepEqual(masked(await netloom(command, stdin)), masked(expected))
    })
  }

  it('a life by netloom alone: create, start, join, pause, stop, rename, remove, prune', async () => {
    const ok = async (command: string): Promise<string> => {
      const { status, stdout, stderr } = await netloom(command)
      assert.equal(status, 0, `${command}: ${stderr}`)
      return stdout.trimEnd()
    }
    assert.match(
      await ok('network create --subnet 198.51.100.0/24 --gateway 198.51.100.9 --aux-address a=198.51.100.2 back'),
      /^[a-f0-9]{64}$/
    )
    assert.match(await ok('create --name one box sh -c "echo said; exit 4"'), /^[a-f0-9]{64}$/)
    await ok('network connect --alias alias --ip 198.51.100.20 back one')
    const started = await netloom('start -a one')
    assert.deepEqual([started.stdout, started.status], ['said\n', 4])
    assert.equal(await ok('wait one'), '4')
    assert.equal(await ok("inspect -f '{{.NetworkSettings.Networks.back.IPAMConfig.IPv4Address}}' one"), '198.51.100.20')
    await ok('network disconnect back one')
    assert.equal(await ok('rename one two'), '')
    assert.equal(await ok('restart -t 0 plain'), 'plain')
    assert.equal(await ok('pause plain'), 'plain')
    assert.match(await ok('ps --filter name=plain'), /\(Paused\)/)
    assert.equal(await ok('unpause plain'), 'plain')
    assert.equal(await ok('stop -t 0 plain'), 'plain')
    assert.equal(await ok('rm two'), 'two')
    const exec = await netloom('exec -d web sleep 30')
    assert.deepEqual(exec, { status: 0, stdout: '', stderr: '' })
    assert.equal(await ok('network prune -f'), 'Deleted Networks:\nback')
    assert.equal(await ok('kill web'), 'web')
  })

  it('without a daemon it says so, and how to get one', async () => {
    const { status, stderr } = await netloom('ps --host unix:///nowhere/d.sock')
    assert.equal(status, 1)
    assert.match(
      stderr,
      /Cannot connect to the netloom daemon at unix:\/\/\/nowhere\/d.sock. Is the netloom daemon running\?\n {2}fix: start one/
    )
  })
})
