/**
 * Paths of Docker's API that are outside of what netloom does. They are answered by 501 and a sentence, except where clients ask
 * them in passing and nothing is an honest answer: there are no volumes, plugins and no swarm.
 */
import { ApiError } from './api-error.ts'
import type { Router } from './router.ts'

/** First segment of the path -> what is outside. */
const OUTSIDE: Readonly<Record<string, string>> = {
  auth: 'registries are',
  build: 'image builds are',
  commit: 'image commits are',
  configs: 'swarm is',
  distribution: 'registries are',
  grpc: 'image builds are',
  nodes: 'swarm is',
  plugins: 'plugins are',
  secrets: 'swarm is',
  services: 'swarm is',
  session: 'image builds are',
  swarm: 'swarm is',
  tasks: 'swarm is',
  volumes: 'named volumes are'
}

const NO_SWARM_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'

/** Docker's words for a daemon with a cluster store. */
const NO_SWARM_BESIDE_STORE = '--cluster-store and --cluster-advertise daemon configurations are incompatible with swarm mode'

const NO_SWARM_MODE =
  'swarm mode is not part of netloom. For overlay networks over several hosts start every daemon with ' +
  '--cluster-store etcd://HOST:2379 --cluster-advertise ADDRESS:PORT; no swarm is needed then'

/**
 * Added last: every other route comes first.
 * @param isClustered whether this daemon shares a store with others
 */
export function outsideRoutes(router: Router, isClustered = false): void {
  for (const path of ['/swarm/init', '/swarm/join']) {
    router.add('POST', path, () => {
      throw isClustered ? ApiError.internal(NO_SWARM_BESIDE_STORE) : ApiError.notImplemented(NO_SWARM_MODE)
    })
  }
  router.add('GET', '/volumes', (_request, response) => response.json(200, { Volumes: [], Warnings: null }))
  router.add('POST', '/volumes/prune', (_request, response) => response.json(200, { VolumesDeleted: [], SpaceReclaimed: 0 }))
  router.add('POST', '/build/prune', (_request, response) => response.json(200, { CachesDeleted: null, SpaceReclaimed: 0 }))
  router.add('GET', '/plugins', (_request, response) => response.json(200, []))
  // `docker inspect NAME` asks for every kind of object in turn, and goes on only after "not found".
  router.add('GET', '/volumes/{name}', ({ params }) => {
    throw ApiError.notFound(`get ${params['name']}: no such volume`)
  })
  router.add('GET', '/plugins/{name}/json', ({ params }) => {
    throw ApiError.notFound(`plugin "${params['name']}" not found`)
  })
  router.add('POST', '/swarm/leave', () => {
    throw new ApiError(503, 'This node is not part of a swarm')
  })
  for (const path of ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs']) {
    const refuse = (): never => {
      throw new ApiError(503, NO_SWARM_MANAGER)
    }
    router.add('GET', path, refuse)
    if (path !== '/swarm') router.add('GET', `${path}/{id}`, refuse)
  }
  for (const [segment, subject] of Object.entries(OUTSIDE)) {
    const refuse = (): never => {
      throw ApiError.notImplemented(`${subject} outside of what netloom does: it emulates networks`)
    }
    router.add('*', `/${segment}`, refuse)
    router.add('*', `/${segment}/{rest}`, refuse)
  }
}
