// What a crash test asks of a daemon, as data: a round can be made from a seed, told, and judged afterwards.
import { readFileSync } from 'node:fs'
import type { DaemonProcess } from '../docker/daemon-process.ts'

export type Operation =
  | { readonly kind: 'network-create'; readonly network: string; readonly subnet: string }
  | { readonly kind: 'network-remove'; readonly network: string }
  | { readonly kind: 'connect' | 'disconnect'; readonly network: string; readonly container: string }
  | { readonly kind: 'create'; readonly container: string; readonly network: string; readonly restarts: boolean }
  | { readonly kind: 'start' | 'stop' | 'kill' | 'restart' | 'remove' | 'exec'; readonly container: string }
  | { readonly kind: 'rename'; readonly container: string; readonly name: string }
  | { readonly kind: 'import' | 'untag'; readonly tag: string }
  | { readonly kind: 'tag'; readonly from: string; readonly tag: string }

export interface Answer {
  readonly status: number
  /** Of what was made, when something was. */
  readonly id: string
  readonly text: string
}

/** Sends it and waits for the answer, of the last request where it takes several. Rejects when the daemon dies over it. */
export async function perform(daemon: DaemonProcess, operation: Operation, tarball: string): Promise<Answer> {
  const ask = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const { status, body: text } = await daemon.api(method, `/v1.41${path}`, body)
    const parsed = /^\{/.test(text) && status < 300 ? (JSON.parse(text.split('\n')[0]!) as { Id?: string; status?: string }) : {}
    return { status, id: parsed.Id ?? parsed.status ?? '', text }
  }
  switch (operation.kind) {
    case 'network-create':
      return ask('POST', '/networks/create', {
        Name: operation.network,
        CheckDuplicate: true,
        IPAM: { Config: [{ Subnet: operation.subnet }] }
      })
    case 'network-remove':
      return ask('DELETE', `/networks/${operation.network}`)
    case 'connect':
    case 'disconnect':
      return ask('POST', `/networks/${operation.network}/${operation.kind}`, { Container: operation.container })
    case 'create':
      return ask('POST', `/containers/create?name=${operation.container}`, {
        Image: 'box',
        Cmd: ['sleep', '10000'],
        HostConfig: {
          NetworkMode: operation.network,
          RestartPolicy: { Name: operation.restarts ? 'unless-stopped' : 'no' }
        }
      })
    case 'start':
      return ask('POST', `/containers/${operation.container}/start`)
    case 'stop':
    case 'restart':
      return ask('POST', `/containers/${operation.container}/${operation.kind}?t=0`)
    case 'kill': {
      const killed = await ask('POST', `/containers/${operation.container}/kill`)
      // The answer says that the signal was sent; only then the end.
      if (killed.status < 300) await ask('POST', `/containers/${operation.container}/wait`)
      return killed
    }
    case 'remove':
      return ask('DELETE', `/containers/${operation.container}?force=1`)
    case 'exec': {
      const made = await ask('POST', `/containers/${operation.container}/exec`, { Cmd: ['true'] })
      return made.status < 300 ? ask('POST', `/exec/${made.id}/start`, { Detach: true }) : made
    }
    case 'rename':
      return ask('POST', `/containers/${operation.container}/rename?name=${operation.name}`)
    case 'import': {
      const { status, body } = await daemon.send(`/v1.41/images/create?fromSrc=-&repo=${operation.tag}&tag=latest`, readFileSync(tarball))
      return { status, id: (JSON.parse(body.split('\n')[0]!) as { status?: string }).status ?? '', text: body }
    }
    case 'untag':
      return ask('DELETE', `/images/${operation.tag}`)
    case 'tag':
      return ask('POST', `/images/${operation.from}/tag?repo=${operation.tag}&tag=latest`)
  }
}
