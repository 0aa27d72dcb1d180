/** The real docker client against the image routes: what a user types, and sees. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { imageRoutes } from '../../src/api/image-routes.ts'
import { Logger } from '../../src/api/logger.ts'
import { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'
import { systemRoutes } from '../../src/api/system-routes.ts'
import { RealClock } from '../../src/engine/clock.ts'
import { ImageStore } from '../../src/image/image-store.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'

const run = promisify(execFile)
const noDocker = spawnSync('docker', ['--version']).status === 0 ? false : 'no docker client'

describe('images by the docker client', { skip: noDocker }, () => {
  let directory: string
  let server: ApiServer
  let archive: string

  /** stdout and stderr of one command, and its status. */
  async function docker(...words: string[]): Promise<{ out: string; err: string; status: number }> {
    const env = { ...process.env, DOCKER_HOST: `unix://${directory}/api.sock`, HOME: directory }
    const result = await run('docker', words, { env }).catch((error: { stdout: string; stderr: string; code: number }) => error)
    return { out: result.stdout.trim(), err: result.stderr.trim(), status: 'code' in result ? result.code : 0 }
  }

  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'netloom-imgcli-'))
    const root = path.join(directory, 'root')
    mkdirSync(path.join(root, 'bin'), { recursive: true })
    writeFileSync(path.join(root, 'bin/sh'), 'x'.repeat(1_500_000))
    archive = path.join(directory, 'root.tar.gz')
    execFileSync('tar', ['-C', root, '-czf', archive, '.'])
    const router = new Router()
    const events = { history: () => [], listen: () => () => {} }
    systemRoutes(router, {
      version: () => ({ Os: 'linux', Arch: 'amd64' }),
      info: async () => ({}),
      diskUsage: async () => ({}),
      now: () => 0n,
      events
    })
    const images = await ImageStore.open({
      directory: path.join(directory, 'images'),
      store: new MemoryStore(),
      clock: new RealClock(),
      hostImages: true
    })
    imageRoutes(router, images)
    server = new ApiServer(router, new Logger('error', () => {}))
    await server.listen({ path: path.join(directory, 'api.sock') })
  })
  after(async () => {
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('import, images, history, inspect', async () => {
    const { out, status } = await docker('import', '-c', 'CMD ["sh"]', '-c', 'EXPOSE 80', '-m', 'mine', archive, 'team/web:1')
    assert.equal(status, 0)
    assert.match(out, /^sha256:[a-f0-9]{64}$/)
    const id = out.slice(7, 19)
    const list = (await docker('images', '--format', '{{.Repository}} {{.Tag}} {{.ID}} {{.Size}}')).out.split('\n')
    assert.deepEqual(list.sort()[1], `team/web 1 ${id} 1.5MB`)
    assert.match(list[0]!, /^host latest [a-f0-9]{12} 0B$/)
    assert.equal((await docker('history', '--format', '{{.ID}} {{.Size}} {{.Comment}}', 'team/web:1')).out, `${id} 1.5MB mine`)
    const inspected = await docker(
      'image',
      'inspect',
      '-f',
      '{{json .Config.Cmd}} {{json .Config.ExposedPorts}} {{len .RootFS.Layers}}',
      id
    )
    assert.equal(inspected.out, '["sh"] {"80/tcp":{}} 1')
  })

  it('tag, filters, rmi', async () => {
    assert.equal((await docker('tag', 'team/web:1', 'other')).status, 0)
    assert.equal((await docker('images', '-q', '--filter', 'reference=team/*')).out.split('\n').length, 1)
    assert.equal((await docker('images', '--format', '{{.Repository}}', 'oth*')).out, 'other')
    assert.equal((await docker('images', '-q', '--filter', 'dangling=true')).out, '')
    assert.equal((await docker('images', '--format', '{{.Repository}}', '--filter', 'before=team/web:1')).out, 'host')
    assert.match((await docker('images', '--filter', 'nonsense=1')).err, /invalid filter 'nonsense'/i)
    assert.match((await docker('images', '--filter', 'dangling=maybe')).err, /Invalid filter 'dangling=\[maybe\]'/)
    assert.equal((await docker('rmi', 'other')).out, 'Untagged: other:latest')
    const gone = await docker('rmi', 'other')
    // Client 20.10 has words of its own for a 404.
    assert.match(gone.err, /^(Error response from daemon: No such image: other:latest|Error: No such image: other)$/)
    assert.equal(gone.status, 1)
    assert.match((await docker('rmi', 'host')).err, /conflict: unable to delete [a-f0-9]{12} \(cannot be forced\)/)
    assert.match((await docker('rmi', 'team/web:1')).out, /^Untagged: team\/web:1\nDeleted: sha256:.*\nDeleted: sha256:/)
  })

  it('load, prune', async () => {
    const layer = path.join(directory, 'layer.tar')
    execFileSync('sh', ['-c', `gzip -dc ${archive} > ${layer}`])
    const diffId = execFileSync('sha256sum', [layer], { encoding: 'utf8' }).slice(0, 64)
    const folder = path.join(directory, 'saved')
    mkdirSync(folder)
    writeFileSync(
      path.join(folder, 'config.json'),
      JSON.stringify({ os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] } })
    )
    writeFileSync(
      path.join(folder, 'manifest.json'),
      JSON.stringify([{ Config: 'config.json', RepoTags: ['loaded:1'], Layers: ['layer.tar'] }])
    )
    execFileSync('sh', ['-c', `cp ${layer} ${folder}/layer.tar && tar -C ${folder} -cf ${directory}/saved.tar .`])
    assert.equal((await docker('load', '-i', path.join(directory, 'saved.tar'))).out, 'Loaded image: loaded:1')
    assert.equal((await docker('image', 'prune', '-f')).out, 'Total reclaimed space: 0B')
    assert.match((await docker('image', 'prune', '-af')).out, /untagged: loaded:1\n(deleted: .*\n){2}\nTotal reclaimed space: 1\.5MB/)
  })

  it('errors: bad archives, bad instructions, what is outside', async () => {
    const bad = path.join(directory, 'bad.tar')
    writeFileSync(bad, 'no archive'.repeat(200))
    const badImport = await docker('import', bad)
    assert.equal(badImport.err, 'Error response from daemon: Error processing tar file(exit status 1): archive/tar: invalid tar header')
    assert.equal(badImport.status, 1)
    assert.equal((await docker('load', '-i', bad)).status, 1)
    assert.match((await docker('import', '-c', 'RUN x', archive)).err, /run is not a valid change command/)
    assert.match((await docker('import', 'http://192.0.2.1/x.tar')).err, /netloom downloads nothing/)
    assert.match((await docker('save', '-o', path.join(directory, 'x'), 'host')).err, /outside of what netloom does/)
    assert.match((await docker('image', 'inspect', 'nosuch')).err, /No such image: nosuch/)
  })

  it('pull says that nothing is downloaded, and what the name means', async () => {
    const { out, status } = await docker('pull', 'nginx')
    assert.equal(status, 0)
    assert.match(out, /netloom downloads no images: nginx:latest runs on the host's own root/)
  })
})
