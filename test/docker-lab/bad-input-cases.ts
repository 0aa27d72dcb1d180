// Requests that are wrong in every way that a client can be wrong. `record-bad-input` asks a real daemon and keeps its answers in
// bad-input.json; test/system/docker-bad-input.slow.test.ts asks ours.

export interface BadInput {
  /** 'POST /networks/create': what is asked, with the query. */
  readonly request: string
  /** Sent as it is when it is a string, else as JSON; absent: no body. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What stands before the first case. */
export const SET_UP: readonly (readonly [request: string, body?: unknown])[] = [
  ['POST /networks/create', { Name: 'net', IPAM: { Config: [{ Subnet: '10.5.0.0/24' }] } }],
  ['POST /networks/create', { Name: 'auto' }],
  ['POST /containers/create?name=running', { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'net' } }],
  ['POST /containers/running/start'],
  ['POST /containers/create?name=idle', { Image: 'busybox', Cmd: ['true'] }]
]

const bodies = (request: string, ...values: unknown[]): BadInput[] => values.map((body) => ({ request, body }))
const deep = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
const long = 'x'.repeat(300)

const networkCreate = bodies(
  'POST /networks/create',
  'nonsense',
  '{',
  '{"Name":',
  '{"Name":"x"',
  '{"Name":"x"}trailing',
  '[]',
  '"text"',
  'null',
  '7',
  '',
  '{"Name":"a\u0000b"}',
  '{"Name":"x","Name":5}',
  deep(100),
  { Name: 7 },
  { Name: ['x'] },
  { Name: {} },
  { Name: true },
  { Name: 'x', Driver: 7 },
  { Name: 'x', Internal: 'yes' },
  { Name: 'x', Internal: 1 },
  { Name: 'x', Options: [] },
  { Name: 'x', Options: { a: 1 } },
  { Name: 'x', Labels: 'a=b' },
  { Name: 'x', Labels: { a: null, b: 5 } },
  { Name: 'x', IPAM: [] },
  { Name: 'x', IPAM: 'default' },
  { Name: 'x', IPAM: { Config: {} } },
  { Name: 'x', IPAM: { Config: [5] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: 10 }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0/24', AuxiliaryAddresses: ['10.6.0.2'] }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0/24', AuxiliaryAddresses: { a: 'nope' } }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0/24', Gateway: 'nope' }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0/24', IPRange: 'nope' }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0' }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.6.0.0/-1' }] } },
  { Name: 'x', IPAM: { Config: [{ Subnet: '10.5.0.0/25' }] } },
  { Name: 'x', IPAM: { Driver: 'nosuch' } },
  { Name: 'x', Driver: 'nosuch' },
  { Name: 'x', Driver: '../../bridge' },
  { Name: 'x', Scope: 'galaxy' },
  { Name: '../../etc' },
  { Name: '..' },
  { Name: '/' },
  { Name: ' ' },
  { Name: '\n' },
  { Name: 'ünïcode' },
  { Name: 'net' },
  { Name: 'net', CheckDuplicate: true },
  { Name: 'host' },
  { Name: 'x', ConfigFrom: 'net' },
  { Name: 'x', ConfigFrom: { Network: 'nosuch' } },
  { Name: 'x', ConfigFrom: { Network: 7 } },
  { Name: 'x', ConfigOnly: true, Internal: true },
  { Name: 'x', Ingress: true },
  { Name: 'x', EnableIPv6: 'true' },
  { Name: 'x', Options: { 'com.docker.network.driver.mtu': '-1' } },
  { Name: 'x', Options: { 'com.docker.network.driver.mtu': 'big' } },
  { Name: 'x', Options: { 'com.docker.network.bridge.enable_icc': 'perhaps' } },
  { Name: 'x', Options: { 'com.docker.network.bridge.host_binding_ipv4': '1.2.3' } }
)

const connect = bodies(
  'POST /networks/net/connect',
  'nonsense',
  '[]',
  'null',
  '',
  {},
  { Container: 7 },
  { Container: '' },
  { Container: 'nosuch' },
  { Container: '../../etc/passwd' },
  { Container: 'running' },
  { Container: 'idle', EndpointConfig: 'x' },
  { Container: 'idle', EndpointConfig: { IPAMConfig: 'x' } },
  { Container: 'idle', EndpointConfig: { IPAMConfig: { IPv4Address: 7 } } },
  { Container: 'idle', EndpointConfig: { IPAMConfig: { IPv4Address: 'nope' } } },
  { Container: 'idle', EndpointConfig: { IPAMConfig: { IPv6Address: 'nope' } } },
  { Container: 'idle', EndpointConfig: { Aliases: 'x' } },
  { Container: 'idle', EndpointConfig: { Aliases: [1] } },
  { Container: 'idle', EndpointConfig: { Links: {} } }
)

const disconnect = bodies(
  'POST /networks/net/disconnect',
  'nonsense',
  '',
  {},
  { Container: 7 },
  { Container: 'nosuch' },
  { Container: 'nosuch', Force: true },
  { Container: 'idle' },
  { Container: 'idle', Force: 'yes' },
  { Container: 'idle', Force: true }
)

const containerCreate = bodies(
  'POST /containers/create?name=bad',
  'nonsense',
  '{',
  '[]',
  'null',
  '',
  '{}',
  { Image: 5 },
  { Image: '' },
  { Image: 'UPPER case' },
  { Image: '../../etc' },
  { Image: 'busybox', HostConfig: { VolumesFrom: ['nosuch'] } },
  { Image: 'busybox', HostConfig: { VolumesFrom: ['running:bad'] } },
  { Image: 'busybox', Cmd: 5 },
  { Image: 'busybox', Cmd: [5] },
  { Image: 'busybox', Cmd: {} },
  { Image: 'busybox', Entrypoint: 7 },
  { Image: 'busybox', Env: 'A=1' },
  { Image: 'busybox', Env: { A: 1 } },
  { Image: 'busybox', Tty: 'yes' },
  { Image: 'busybox', Labels: ['a'] },
  { Image: 'busybox', ExposedPorts: ['80'] },
  { Image: 'busybox', User: 5 },
  { Image: 'busybox', Hostname: 5 },
  { Image: 'busybox', WorkingDir: 'relative/path' },
  { Image: 'busybox', StopSignal: 'SIGNOTHING' },
  { Image: 'busybox', StopTimeout: 'soon' },
  { Image: 'busybox', MacAddress: 'nope' },
  { Image: 'busybox', HostConfig: 'x' },
  { Image: 'busybox', HostConfig: { NetworkMode: 7 } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'container:' } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'container:nosuch' } },
  { Image: 'busybox', Hostname: 'h', HostConfig: { NetworkMode: 'container:running' } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'container:running', Dns: ['192.0.2.1'] } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'container:running', ExtraHosts: ['a:192.0.2.1'] } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'container:running', Links: ['running:x'] } },
  { Image: 'busybox', HostConfig: { NetworkMode: 'host', Links: ['running:x'] } },
  { Image: 'busybox', MacAddress: '02:42:00:00:00:01', HostConfig: { NetworkMode: 'container:running' } },
  { Image: 'busybox', HostConfig: { RestartPolicy: 'always' } },
  { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'sometimes' } } },
  { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 2 } } },
  { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -2 } } },
  { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 'x' } } },
  { Image: 'busybox', HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } } },
  { Image: 'busybox', HostConfig: { Dns: '192.0.2.1' } },
  { Image: 'busybox', HostConfig: { ExtraHosts: ['nonsense'] } },
  { Image: 'busybox', HostConfig: { ExtraHosts: ['a:300.1.1.1'] } },
  { Image: 'busybox', HostConfig: { Binds: '/a:/b' } },
  { Image: 'busybox', HostConfig: { Binds: ['/a'] } },
  { Image: 'busybox', HostConfig: { Binds: ['/a:relative'] } },
  { Image: 'busybox', HostConfig: { Binds: ['/a:/b:ro,nonsense'] } },
  { Image: 'busybox', HostConfig: { Binds: ['/nosuch/../x:/'] } },
  { Image: 'busybox', HostConfig: { Memory: 'lots' } },
  { Image: 'busybox', HostConfig: { Memory: 1024 } },
  { Image: 'busybox', HostConfig: { CapAdd: ['NO_SUCH_CAPABILITY'] } },
  { Image: 'busybox', HostConfig: { PortBindings: [] } },
  { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': 'x' } } },
  { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 8080 }] } } },
  { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 'abc' }] } } },
  { Image: 'busybox', HostConfig: { PortBindings: { 'x/tcp': [{ HostPort: '80' }] } } },
  { Image: 'busybox', HostConfig: { Links: ['running:x:y'] } },
  { Image: 'busybox', HostConfig: { Links: ['nosuch:x'] } },
  { Image: 'busybox', NetworkingConfig: 'x' },
  { Image: 'busybox', NetworkingConfig: { EndpointsConfig: [] } },
  { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { net: 5 } } },
  { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { net: { IPAMConfig: { IPv4Address: 'nope' } } } } },
  { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { net: { IPAMConfig: { IPv6Address: '10.5.0.9' } } } } },
  { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { net: { IPAMConfig: { LinkLocalIPs: ['nope'] } } } } }
)

const names = ['../../x', '..', '.', '/x', 'a b', 'a', '-a', 'ünï', 'a/../b', 'x\n', '%00', 'running'].map((name) => ({
  request: `POST /containers/create?name=${encodeURIComponent(name)}`,
  body: { Image: 'busybox' }
}))

const exec = [
  ...bodies(
    'POST /containers/running/exec',
    'nonsense',
    '',
    {},
    { Cmd: [] },
    { Cmd: 'ls' },
    { Cmd: [1] },
    { Cmd: ['ls'], Tty: 'yes' },
    { Cmd: ['ls'], Env: 'x' },
    { Cmd: ['ls'], DetachKeys: 'nonsense' }
  ),
  ...bodies('POST /containers/idle/exec', { Cmd: ['ls'] }),
  ...bodies('POST /containers/nosuch/exec', { Cmd: ['ls'] }),
  ...bodies('POST /exec/nosuch/start', {}, { Detach: true }),
  { request: 'POST /exec/nosuch/resize?h=1&w=1' },
  { request: 'GET /exec/nosuch/json' },
  { request: 'GET /exec/..%2f..%2fetc/json' }
]

const plain: BadInput[] = [
  'GET /nosuch',
  'GET /',
  'PATCH /networks',
  'PUT /containers/json',
  'DELETE /containers/json',
  'POST /version',
  'GET /v0.1/version',
  'GET /v1.99/version',
  'GET /v9.9/version',
  'GET /vx/version',
  'GET /v1.41',
  'GET /containers/nosuch/json',
  'GET /containers/%2e%2e/json',
  'GET /containers/..%2f..%2fetc%2fpasswd/json',
  'GET /networks/..%2f..%2fetc',
  'GET /images/..%2f..%2fetc/json',
  'GET /images/nosuch/json',
  'GET /images/nosuch/history',
  'GET /images/UPPER/json',
  'DELETE /images/nosuch',
  'POST /images/nosuch/tag?repo=x',
  'POST /images/busybox/tag?repo=UPPER',
  'POST /images/busybox/tag?repo=x&tag=bad%20tag',
  'POST /images/busybox/tag',
  'GET /images/json?filters=nonsense',
  'GET /images/json?filters={"nosuch":["1"]}',
  'GET /images/json?filters={"dangling":["x"]}',
  'GET /containers/json?all=maybe&limit=x',
  'GET /containers/json?filters=[]',
  'GET /containers/json?filters={"status":["nonsense"]}',
  'GET /containers/json?filters={"exited":["x"]}',
  'GET /containers/json?filters={"health":["x"]}',
  'GET /containers/json?filters={"before":["nosuch"]}',
  'GET /containers/json?filters={"publish":["x"]}',
  'GET /containers/json?filters={"is-task":["x"]}',
  'GET /containers/json?filters={"volume":5}',
  'GET /networks?filters=nonsense',
  'GET /networks?filters=5',
  'GET /networks?filters={"nosuch":["x"]}',
  'GET /networks?filters={"type":["x"]}',
  'GET /networks?filters={"dangling":["x"]}',
  'GET /networks?filters={"scope":["x"]}',
  'GET /networks?filters={"name":"x"}',
  'GET /networks/nosuch',
  'GET /networks/net?verbose=x',
  'GET /networks/net?scope=x',
  'DELETE /networks/nosuch',
  'DELETE /networks/net',
  'DELETE /networks/bridge',
  'POST /networks/nosuch/connect',
  'POST /networks/prune?filters={"nosuch":["x"]}',
  'POST /networks/prune?filters={"until":["x"]}',
  'POST /networks/prune?filters=nonsense',
  'POST /containers/nosuch/start',
  'POST /containers/nosuch/stop',
  'POST /containers/nosuch/kill',
  'POST /containers/nosuch/restart',
  'POST /containers/nosuch/pause',
  'POST /containers/nosuch/unpause',
  'POST /containers/nosuch/wait',
  'POST /containers/nosuch/resize?h=1&w=1',
  'POST /containers/nosuch/attach?stream=1&stdout=1',
  'POST /containers/nosuch/rename?name=x',
  'GET /containers/nosuch/logs?stdout=1',
  'GET /containers/nosuch/top',
  'GET /containers/nosuch/stats?stream=0',
  'DELETE /containers/nosuch',
  'DELETE /containers/running',
  'POST /containers/running/start',
  'POST /containers/running/stop?t=x',
  'POST /containers/running/kill?signal=NOPE',
  'POST /containers/running/kill?signal=999',
  'POST /containers/running/kill?signal=-1',
  'POST /containers/running/resize',
  'POST /containers/running/resize?h=-1&w=x',
  'POST /containers/running/rename',
  'POST /containers/running/rename?name=idle',
  'POST /containers/running/rename?name=..%2fx',
  'POST /containers/running/rename?name=running',
  'POST /containers/running/unpause',
  'GET /containers/running/logs',
  'GET /containers/running/logs?stdout=1&since=x',
  'GET /containers/running/logs?stdout=1&until=x',
  'GET /containers/running/top?ps_args=-o%20comm',
  'GET /containers/idle/top',
  'POST /containers/idle/kill',
  'POST /containers/idle/pause',
  'POST /containers/idle/unpause',
  'POST /containers/idle/attach?detachKeys=nonsense&stream=1&stdout=1',
  'POST /containers/prune?filters=nonsense',
  'POST /containers/prune?filters={"nosuch":["x"]}',
  'POST /containers/prune?filters={"until":["x"]}',
  'POST /images/prune?filters=nonsense',
  'GET /containers/json?filters={"isolation":["process"],"name":["nosuch"]}',
  'POST /images/create?fromImage=busybox&tag=latest&platform=nosuch',
  'POST /images/create?fromSrc=-&platform=linux/*',
  'POST /images/create?fromSrc=-&platform=windows',
  'GET /events?since=x',
  'GET /events?until=x&since=0',
  'GET /events?since=10&until=5',
  'GET /events?since=0&until=1&filters=nonsense',
  'GET /events?since=0&until=1&filters={"nosuch":["x"]}'
].map((request) => ({ request }))

// Those that are none; what others answer names the machine's own.
const platforms: BadInput[] = ['nosuch', 'linux/*', 'a b', 'a/b/c/d', 'linux/', 'li"nux'].map((text) => ({
  request: `POST /containers/create?platform=${text}`,
  body: { Image: 'busybox' }
}))

const started = bodies('POST /containers/running/start', {}, { HostConfig: {} }, { Binds: ['/a:/b'] }, 'nonsense and more')

const wrongContent: BadInput[] = [
  { request: 'POST /networks/create', body: '{"Name":"typed"}', headers: { 'Content-Type': 'text/plain' } },
  { request: 'POST /networks/create', body: '{"Name":"typed"}', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
  { request: 'POST /networks/create', body: '{"Name":"typed"}', headers: { 'Content-Type': 'nonsense;;' } },
  { request: 'POST /containers/create', body: '{"Image":"busybox"}', headers: { 'Content-Type': 'text/plain' } },
  { request: 'POST /containers/running/update', body: 'nonsense' },
  { request: `GET /containers/${long}/json` },
  { request: `GET /networks/${long}` }
]

export const BAD_INPUT: readonly BadInput[] = [
  ...networkCreate,
  ...connect,
  ...disconnect,
  ...containerCreate,
  ...names,
  ...exec,
  ...plain,
  ...platforms,
  ...started,
  ...wrongContent
]

export interface RecordedAnswer {
  readonly request: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly status: number
  readonly contentType: string
  /** The member `message` of an error; ids are masked. */
  readonly message?: string
}

/** What is compared of an answer. */
export function judged(input: BadInput, answer: { status: number; contentType: string; text: string }): RecordedAnswer {
  let message: string | undefined
  try {
    const value: unknown = JSON.parse(answer.text)
    if (typeof value === 'object' && value !== null && 'message' in value) message = String(value.message)
  } catch {}
  const masked = message?.replace(/\b[0-9a-f]{64}\b/g, '<id>').replace(/\b[0-9a-f]{12}\b/g, '<short id>')
  return { ...input, status: answer.status, contentType: answer.contentType, ...(masked === undefined ? {} : { message: masked }) }
}
