/**
 * A daemon under measurement: netloom's, or a real dockerd, each in a lab (test/docker-lab) with namespaces of its own and the same
 * images, made from the same files.
 */
import { spawnSync } from 'node:child_process'
import { ApiConnection } from '../../test/docker-lab/api-connection.ts'
import { type DaemonKind, DockerLab, labMissing } from '../../test/docker-lab/docker-lab.ts'

/** Why this daemon cannot be measured here; null when it can. */
export function peerMissing(kind: DaemonKind): string | null {
  const reason = labMissing(...(kind === 'dockerd' ? ['dockerd', 'containerd', 'runc', 'iptables'] : []))
  return reason === false ? null : reason
}

/** '20.10.24+dfsg1': of the dockerd that is installed. */
export function dockerdVersion(): string {
  return /version ([^,\s]+)/.exec(spawnSync('dockerd', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 'unknown'
}

export class DockerPeer {
  readonly kind: DaemonKind
  readonly lab: DockerLab
  /** Kept open: what is measured goes over this one connection. */
  readonly api: ApiConnection

  private constructor(kind: DaemonKind) {
    this.kind = kind
    this.lab = new DockerLab('bench', kind)
    this.api = new ApiConnection(this.lab.socket)
  }

  static async start(kind: DaemonKind): Promise<DockerPeer> {
    const peer = new DockerPeer(kind)
    try {
      await peer.lab.up()
    } catch (error) {
      peer.close()
      throw error
    }
    return peer
  }

  /** Creates and starts; the id. */
  async run(name: string, body: Record<string, unknown>): Promise<string> {
    const { Id } = await this.api.ok<{ Id: string }>('POST', `/v1.41/containers/create?name=${name}`, body)
    await this.api.ok('POST', `/v1.41/containers/${Id}/start`)
    return Id
  }

  /** The first process of a container, as the machine sees it. */
  async pid(container: string): Promise<number> {
    return (await this.api.ok<{ State: { Pid: number } }>('GET', `/v1.41/containers/${container}/json`)).State.Pid
  }

  close(): void {
    this.api.close()
    this.lab.down()
  }
}
