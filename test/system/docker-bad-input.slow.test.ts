// Requests that are wrong: every one is answered as a real daemon answered it (bad-input.json), the daemon lives and holds no more
// than before.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ApiConnection } from '../docker-lab/api-connection.ts'
import { askBadInput } from '../docker-lab/ask-bad-input.ts'
import { BAD_INPUT, type RecordedAnswer } from '../docker-lab/bad-input-cases.ts'
import { DockerLab, labMissing, ROOT } from '../docker-lab/docker-lab.ts'
import { backTo, type Holdings, holdings } from '../docker-lab/leak-count.ts'

const RECORDED = JSON.parse(readFileSync(path.join(ROOT, 'test/docker-lab/bad-input.json'), 'utf8')) as RecordedAnswer[]

describe('bad input', { skip: labMissing() }, () => {
  const lab = new DockerLab('bad')
  let start: Holdings
  before(async () => {
    await lab.up()
    // What a daemon opens once, at its first container, is no leak.
    await lab.ok('run', '--rm', 'busybox', 'true')
    await lab.ok('images')
    start = holdings(lab)
  })
  after(() => lab.down())

  const clean = async (): Promise<void> => {
    const containers = (await lab.ok('ps', '-aq')).split('\n').filter(Boolean)
    if (containers.length > 0) await lab.ok('rm', '-fv', ...containers)
    const networks = (await lab.ok('network', 'ls', '-q', '-f', 'type=custom')).split('\n').filter(Boolean)
    if (networks.length > 0) await lab.ok('network', 'rm', ...networks)
  }
  const nothingLeft = async (): Promise<void> => {
    await clean()
    const now = await backTo(lab, start)
    for (const [what, count] of Object.entries(start)) {
      assert.ok(now[what as keyof Holdings] <= count, `${what}: ${now[what as keyof Holdings]}, ${count} before`)
    }
  }

  test('the recording is that of the table', () => {
    assert.deepEqual(
      RECORDED.map(({ request, body, headers }) => JSON.stringify({ request, body, headers })),
      BAD_INPUT.map(({ request, body, headers }) => JSON.stringify({ request, body, headers }))
    )
  })

  test('answers are those of a real daemon', async (context) => {
    const answers = await askBadInput(lab.socket)
    const wrong: string[] = []
    RECORDED.forEach((recorded, index) => {
      const answer = answers[index]!
      const right = answer.status === recorded.status && answer.message === recorded.message && answer.contentType === recorded.contentType
      if (!right) wrong.push(`${JSON.stringify(recorded)}\n  answered ${answer.status} ${answer.contentType} ${answer.message ?? ''}`)
    })
    context.diagnostic(`${answers.length - wrong.length} of ${answers.length} answers as recorded`)
    assert.equal(wrong.length, 0, `${wrong.length} answers differ:\n${wrong.join('\n')}`)
    await nothingLeft()
  })

  test('bodies above 1 MiB are refused with 413, whether their length is told or not', async () => {
    const api = new ApiConnection(lab.socket)
    const huge = JSON.stringify({ Name: 'huge', Labels: { a: 'x'.repeat(1024 * 1024) } })
    for (const path of ['/networks/create', '/networks/net/connect', '/containers/create', '/v1.41/containers/create?name=x']) {
      assert.equal((await api.request('POST', path, huge)).status, 413, path)
      const chunked = await api.request('POST', path, huge, { 'Transfer-Encoding': 'chunked' }).catch((error: Error) => error)
      // The connection may end before all of the body is written.
      if (!(chunked instanceof Error)) assert.equal(chunked.status, 413, path)
    }
    const fits = JSON.stringify({ Name: 'fits', Labels: { a: 'x'.repeat(1000 * 1024) } })
    assert.equal((await api.request('POST', '/networks/create', fits)).status, 201)
    api.close()
    await nothingLeft()
  })

  test('what is no HTTP, and requests that stop half-way, harm nobody', async () => {
    const net = await import('node:net')
    const texts = [
      'nonsense\r\n\r\n',
      '\0\0\0\0',
      'GET / HTTP/9.9\r\n\r\n',
      'POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n{}',
      'POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n{}',
      'POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"Name":"half',
      `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nHost: d\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: d\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`
    ]
    await Promise.all(
      texts.map(
        (text) =>
          new Promise<void>((resolve) => {
            const socket = net.connect(lab.socket, () => socket.write(text))
            socket.on('data', () => {})
            socket.on('error', () => {})
            socket.on('close', () => resolve())
            setTimeout(() => socket.destroy(), 500)
          })
      )
    )
    assert.equal(await lab.ok('network', 'ls', '-q', '-f', 'type=custom'), '')
    await nothingLeft()
  })

  test('tarballs with paths that lead out are refused, or stay inside', async (context) => {
    const folder = path.join(lab.folder, 'tarballs')
    mkdirSync(folder, { recursive: true })
    const outside = path.join(lab.folder, 'escaped')
    const script = `
import io, sys, tarfile
out, outside = sys.argv[1], sys.argv[2]
def tar(name, *members):
    with tarfile.open(out + '/' + name, 'w') as t:
        for kind, path, more in members:
            i = tarfile.TarInfo(path)
            if kind == 'file':
                data = b'escaped'; i.size = len(data); t.addfile(i, io.BytesIO(data))
            else:
                i.type = {'sym': tarfile.SYMTYPE, 'link': tarfile.LNKTYPE, 'dir': tarfile.DIRTYPE}[kind]; i.linkname = more or ''; i.mode = 0o755; t.addfile(i)
up = '../' * 30
tar('dots.tar', ('file', up + outside[1:], None))
tar('absolute.tar', ('file', outside, None))
tar('symlink.tar', ('sym', 'way', outside.rsplit('/', 1)[0]), ('file', 'way/escaped', None))
tar('symlink-up.tar', ('sym', 'way', up + outside.rsplit('/', 1)[0][1:]), ('file', 'way/escaped', None))
tar('hardlink.tar', ('link', 'stolen', up + 'etc/shadow'), ('file', 'ok', None))
tar('hardlink-absolute.tar', ('link', 'stolen', '/etc/shadow'))
tar('through-dir-link.tar', ('dir', 'd', None), ('sym', 'd/e', '/'), ('file', 'd/e' + outside, None))
open(out + '/garbage.tar', 'wb').write(b'x' * 4096)
open(out + '/empty.tar', 'wb').write(b'')
open(out + '/cut.tar', 'wb').write(open(out + '/dots.tar', 'rb').read()[:700])
`
    assert.equal(spawnSync('python3', ['-c', script, folder, outside]).status, 0)
    const shadow = readFileSync('/etc/shadow', 'utf8')
    const names = 'dots absolute symlink symlink-up hardlink hardlink-absolute through-dir-link garbage empty cut'.split(' ')
    for (const name of names) {
      for (const command of ['import', 'load -i']) {
        const result = await lab.docker(
          ...command.split(' '),
          path.join(folder, `${name}.tar`),
          ...(command === 'import' ? [`evil-${name}`] : [])
        )
        context.diagnostic(`docker ${command} ${name}.tar: exit ${result.status} ${result.stderr.trim().split('\n')[0]}`)
        assert.ok(!existsSync(outside), `${command} ${name}.tar wrote outside`)
        assert.equal(readFileSync('/etc/shadow', 'utf8'), shadow)
        if (result.status !== 0 || command !== 'import') continue
        // It stayed inside: then nothing of the host is to be seen in it either.
        const seen = await lab.docker('run', '--rm', '--net', 'none', '-v', '/bin/busybox:/bb:ro', `evil-${name}`, '/bb', 'cat', '/stolen')
        assert.ok(!seen.stdout.includes('root:'), `${name}.tar shows the host's file`)
        await lab.docker('rmi', '-f', `evil-${name}`)
      }
    }
    rmSync(folder, { recursive: true })
    await nothingLeft()
  })

  test('1,000 concurrent creates and deletes of the same names', async (context) => {
    const connections = Array.from({ length: 1000 }, () => new ApiConnection(lab.socket))
    const statuses = new Map<string, number>()
    const tell = (what: string, status: number): void => {
      statuses.set(`${what} ${status}`, (statuses.get(`${what} ${status}`) ?? 0) + 1)
    }
    await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const api = connections[index % connections.length]!
        const name = `same${index % 5}`
        const network = await api.request('POST', '/networks/create', { Name: name, CheckDuplicate: true })
        tell('network create', network.status)
        const container = await api.request('POST', `/containers/create?name=${name}`, {
          Image: 'busybox',
          HostConfig: { NetworkMode: name }
        })
        tell('container create', container.status)
        tell('container delete', (await api.request('DELETE', `/containers/${name}?force=1`)).status)
        tell('network delete', (await api.request('DELETE', `/networks/${name}`)).status)
      })
    )
    context.diagnostic([...statuses].map(([what, count]) => `${what}: ${count}`).join(', '))
    const allowed = [
      /^network create (201|409|404)$/,
      /^container create (201|409)$/,
      /^container delete (204|404|409)$/,
      /^network delete (204|403|404|409)$/
    ]
    for (const what of statuses.keys())
      assert.ok(
        allowed.some((pattern) => pattern.test(what)),
        `${what}: ${statuses.get(what)} times`
      )
    const sum = (what: string): number => statuses.get(what) ?? 0
    const [api] = connections
    const left = await api!.ok<unknown[]>('GET', '/containers/json?all=1')
    const networks = (await lab.ok('network', 'ls', '-q', '-f', 'type=custom')).split('\n').filter(Boolean)
    assert.equal(sum('container create 201') - sum('container delete 204'), left.length, 'containers made, removed, left')
    assert.equal(sum('network create 201') - sum('network delete 204'), networks.length, 'networks made, removed, left')
    for (const connection of connections) connection.close()
    await nothingLeft()
  })
})
