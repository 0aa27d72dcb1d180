/** The routes of /networks, and of /netloom/attach. */
import { ApiError } from './api-error.ts'
import type { NetworkBackend } from './network-backend.ts'
import type { AttachRequest } from './network-json.ts'
import {
  type AttachBody,
  netloomAttachShape,
  netloomDetachShape,
  networkConnectShape,
  networkCreateShape,
  networkDisconnectShape
} from './network-shapes.ts'
import type { Router } from './router.ts'

export function networkRoutes(router: Router, backend: NetworkBackend): void {
  for (const path of ['/networks', '/networks/']) {
    router.add('GET', path, async (request, response) => response.json(200, await backend.list(request.filters())))
  }
  router.add('GET', '/networks/{id}', async (request, response) => {
    const { query, params } = request
    checkVerbose(query.get('verbose') ?? '')
    response.json(200, await backend.inspect(params['id']!, query.get('scope') ?? ''))
  })
  router.add('POST', '/networks/create', async (request, response) => {
    response.json(201, await backend.create(await request.decode(networkCreateShape)))
  })
  router.add('POST', '/networks/prune', async (request, response) => {
    response.json(200, await backend.prune(request.filters()))
  })
  router.add('POST', '/networks/{id}/connect', async (request, response) => {
    const { Container, EndpointConfig } = await request.decode(networkConnectShape)
    await backend.connect(request.params['id']!, Container, EndpointConfig)
    response.empty(200)
  })
  router.add('POST', '/networks/{id}/disconnect', async (request, response) => {
    const { Container, Force } = await request.decode(networkDisconnectShape)
    await backend.disconnect(request.params['id']!, Container, Force)
    response.empty(200)
  })
  router.add('DELETE', '/networks/{id}', async (request, response) => {
    await backend.remove(request.params['id']!)
    response.empty(204)
  })
  router.add('POST', '/netloom/attach', async (request, response) => {
    response.json(201, await backend.attach(attachRequest(await request.decode(netloomAttachShape))))
  })
  router.add('DELETE', '/netloom/attach', async (request, response) => {
    const { network, name } = await request.decode(netloomDetachShape)
    await backend.detach(network, name)
    response.empty(204)
  })
}

/** Nothing but checked: it shows the tasks of swarm services, which there are not. */
function checkVerbose(text: string): void {
  if (text === '' || /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(text)) return
  throw ApiError.badRequest(`invalid value for verbose: ${text}: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
}

/** What was not given is left out. */
function attachRequest({ pid, tap, virtual, mtu, network, aliases, driverOpts, ...texts }: AttachBody): AttachRequest {
  const given = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''))
  return {
    ...given,
    network,
    aliases,
    ...(pid !== null && { pid }),
    ...(mtu !== null && { mtu }),
    ...(driverOpts !== null && { driverOpts }),
    ...(virtual !== null && { virtual }),
    ...(tap !== null && { tap: { name: tap.name, ...(tap.user !== '' && { user: tap.user }) } })
  }
}
