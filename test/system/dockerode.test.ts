// The client library that programs use most, unmodified, against our daemon: create, connect, inspect, disconnect, events, exec.
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import Docker from 'dockerode'
import { until } from '../docker/daemon-process.ts'
import { DockerLab, daemonKind, labMissing } from '../docker-lab/docker-lab.ts'

interface Told {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> }
}

describe('dockerode', { skip: labMissing() }, () => {
  let lab: DockerLab
  let docker: Docker
  before(async () => {
    lab = new DockerLab('ode', daemonKind())
    await lab.up()
    docker = new Docker({ socketPath: lab.socket })
  })
  after(() => lab.down())

  /** A command's output and exit code. */
  const exec = async (container: Docker.Container, ...Cmd: string[]): Promise<{ output: string; code: number | null }> => {
    const made = await container.exec({ Cmd, AttachStdout: true, AttachStderr: true })
    const stream = await made.start({ hijack: true, stdin: false })
    const output = new PassThrough()
    docker.modem.demuxStream(stream, output, output)
    stream.on('end', () => output.end())
    return { output: await text(output), code: (await made.inspect()).ExitCode }
  }

  test('networks and containers, from create to remove, and the events of all of it', async () => {
    const stream = await docker.getEvents({ filters: { type: ['network', 'container'] } })
    const events: Told[] = []
    let rest = ''
    stream.on('data', (data) => {
      const lines = `${rest}${data}`.split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line !== '') events.push(JSON.parse(line) as Told)
    })

    const front = await docker.createNetwork({ Name: 'front', IPAM: { Driver: 'default', Config: [{ Subnet: '10.88.0.0/24' }] } })
    const back = await docker.createNetwork({ Name: 'back', IPAM: { Driver: 'default', Config: [{ Subnet: '10.89.0.0/24' }] } })
    const web = await docker.createContainer({ Image: 'nginx', name: 'web', HostConfig: { NetworkMode: 'front' } })
    const asker = await docker.createContainer({
      Image: 'busybox',
      name: 'asker',
      Tty: true,
      OpenStdin: true,
      HostConfig: { NetworkMode: 'front' }
    })
    await web.start()
    await asker.start()

    const inspected = await web.inspect()
    assert.equal(inspected.State.Running, true)
    assert.equal(inspected.NetworkSettings.Networks['front']?.IPAddress, '10.88.0.2')
    // It listens a moment after it was started.
    const page = await until('web answers', async () => {
      const answer = await exec(asker, 'wget', '-qO-', 'http://web/')
      return answer.code === 0 && answer
    })
    assert.equal(page.output, 'Welcome to nginx!\n')
    assert.deepEqual(await exec(asker, 'sh', '-c', 'echo out; echo err >&2; exit 5'), { output: 'out\nerr\n', code: 5 })

    await back.connect({ Container: 'web', EndpointConfig: { Aliases: ['site'], IPAMConfig: { IPv4Address: '10.89.0.77' } } })
    await back.connect({ Container: 'asker' })
    assert.match((await exec(asker, 'ping', '-c', '1', 'site')).output, /64 bytes from 10\.89\.0\.77: seq=0 ttl=64/)
    const members = Object.values((await back.inspect()).Containers as Record<string, { Name: string; IPv4Address: string }>)
    assert.deepEqual(members.map(({ Name }) => Name).sort(), ['asker', 'web'])
    await back.disconnect({ Container: 'web' })
    assert.equal((await exec(asker, 'ping', '-c', '1', 'site')).code, 1)
    await assert.rejects(back.disconnect({ Container: 'web' }), { statusCode: 500 })
    await assert.rejects(docker.getNetwork('nosuch').inspect(), { statusCode: 404 })
    await assert.rejects(front.remove(), { statusCode: 403 })

    const names = (await docker.listContainers()).flatMap(({ Names }) => Names).sort()
    assert.deepEqual(names, ['/asker', '/web'])
    const ended = web.wait()
    await web.kill()
    assert.equal((await ended).StatusCode, 137)
    await web.remove()
    await asker.remove({ force: true })
    await front.remove()
    await back.remove()

    const told = (type: string) => events.filter(({ Type }) => Type === type)
    await until('both networks are told to be gone', () => told('network').filter(({ Action }) => Action === 'destroy').length === 2)
    ;(stream as unknown as { destroy(): void }).destroy()
    const ofWeb = told('container').filter(({ Actor }) => Actor.ID === web.id)
    assert.deepEqual(
      ofWeb.map(({ Action }) => Action),
      ['create', 'start', 'kill', 'die', 'destroy']
    )
    const ofBack = told('network').filter(({ Actor }) => Actor.ID === back.id)
    assert.deepEqual(
      ofBack.map(({ Action }) => Action),
      // The disconnect that was refused is told as well: a real daemon does.
      ['create', 'connect', 'connect', 'disconnect', 'disconnect', 'disconnect', 'destroy']
    )
    assert.equal(ofBack[0]!.Actor.Attributes['name'], 'back')
  })

  test('an interactive exec: what is typed comes back from the terminal, its size is set', async () => {
    const container = await docker.createContainer({ Image: 'busybox', name: 'term', Tty: true, OpenStdin: true })
    await container.start()
    const made = await container.exec({ Cmd: ['sh'], AttachStdin: true, AttachStdout: true, Tty: true })
    const stream = await made.start({ hijack: true, stdin: true, Tty: true })
    await made.resize({ h: 33, w: 111 })
    stream.write('stty size; echo $((6 * 7)); exit 3\n')
    const shown = await text(stream)
    assert.match(shown, /33 111/)
    assert.match(shown, /\r\n42\r\n/)
    assert.equal((await made.inspect()).ExitCode, 3)
    await container.remove({ force: true })
  })
})
