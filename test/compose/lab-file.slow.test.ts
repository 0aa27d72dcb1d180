/** What a lab file says, read; and what it may not say. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { interpolate } from '../../src/compose/interpolate.ts'
import { type LabFile, readLabFile } from '../../src/compose/lab-file.ts'
import { splitWords } from '../../src/network/split-words.ts'

function read(text: string, env: Record<string, string> = {}): LabFile {
  return readLabFile(text, { file: '/labs/My Lab/compose.yaml', env })
}

describe('a Compose file without x-netloom', () => {
  test('is a lab of one host with the way out that the machine has', () => {
    const { name, hosts, services, networks } = read('services:\n  web: { image: nginx }\n  db: { image: redis }\n')
    assert.equal(name, 'mylab')
    assert.deepEqual(
      hosts.map((host) => [host.name, host.eth0]),
      [['host1', null]]
    )
    assert.deepEqual(
      services.map((service) => [service.name, service.placedOn, service.networkKeys]),
      [
        ['web', 'host1', ['default']],
        ['db', 'host1', ['default']]
      ]
    )
    assert.deepEqual(
      networks.map((network) => [network.key, network.name, network.request.Name, network.placedOn]),
      [['default', 'mylab_default', 'mylab_default', ['host1']]]
    )
  })

  test('becomes requests of the API', () => {
    const { services } = read(`
services:
  web:
    image: nginx:1.25
    container_name: front
    hostname: web
    command: sh -c 'echo "a b"; sleep 9'
    entrypoint: [tini, --]
    environment: { A: 1, B: "two words", C: }
    ports: ["8080:80", "127.0.0.1:5353:53/udp", { target: 443, published: "8443" }, 90]
    expose: [9000]
    dns: 192.0.2.53
    extra_hosts: ["db:192.0.2.7"]
    cap_add: [NET_ADMIN]
    sysctls: { net.ipv4.ip_forward: 1 }
    restart: on-failure:3
    volumes: ["./site:/site:ro", "/cache", "data:/data"]
    tmpfs: /run
    init: true
    stop_grace_period: 1m30s
    healthcheck: { test: "true", interval: 2s, retries: 3 }
volumes: { data: }
`)
    const [{ request, containerName }] = services as [LabFile['services'][number]]
    assert.equal(containerName, 'front')
    assert.deepEqual(request.Cmd, ['sh', '-c', 'echo "a b"; sleep 9'])
    assert.deepEqual(request.Entrypoint, ['tini', '--'])
    assert.deepEqual(request.Env, ['A=1', 'B=two words'])
    assert.deepEqual(Object.keys(request.ExposedPorts!).sort(), ['443/tcp', '53/udp', '80/tcp', '90/tcp', '9000/tcp'])
    assert.deepEqual(request.HostConfig!.PortBindings, {
      '80/tcp': [{ HostIp: '', HostPort: '8080' }],
      '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5353' }],
      '443/tcp': [{ HostIp: '', HostPort: '8443' }],
      '90/tcp': [{ HostIp: '', HostPort: '' }]
    })
    const { Dns, ExtraHosts, CapAdd, Sysctls, RestartPolicy, Binds, Tmpfs, Init } = request.HostConfig!
    assert.deepEqual([Dns, ExtraHosts, CapAdd, Init], [['192.0.2.53'], ['db:192.0.2.7'], ['NET_ADMIN'], true])
    assert.deepEqual(Sysctls, { 'net.ipv4.ip_forward': '1' })
    assert.deepEqual(RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 3 })
    assert.deepEqual(Binds, ['/labs/My Lab/site:/site:ro', 'data:/data'])
    assert.deepEqual([request.Volumes, Tmpfs], [{ '/cache': {} }, { '/run': '' }])
    assert.equal(request.StopTimeout, 90)
    assert.deepEqual(request.Healthcheck, { Test: ['CMD-SHELL', 'true'], Interval: 2e9, Retries: 3 })
  })

  test('anchors, merged mappings and other programs’ extensions are understood', () => {
    const { services } = read(`
x-common: &common
  image: alpine
  environment: { A: x }
x-other: { anything: 1 }
services:
  one: { <<: *common, hostname: one, x-mine: 2 }
  two:
    <<: [*common, { image: never, hostname: two }]
    environment: { A: y }
`)
    assert.deepEqual(
      services.map(({ request }) => [request.Image, request.Hostname, request.Env]),
      [
        ['alpine', 'one', ['A=x']],
        ['alpine', 'two', ['A=y']]
      ]
    )
  })

  test('services come after those that they wait for', () => {
    const { services } = read(`
services:
  web: { image: a, depends_on: { db: { condition: service_healthy }, cache: } }
  cache: { image: a, links: [db] }
  spy: { image: a, network_mode: 'service:late' }
  db: { image: a }
  late: { image: a }
`)
    assert.deepEqual(
      services.map(({ name }) => name),
      ['db', 'cache', 'web', 'late', 'spy']
    )
    assert.deepEqual(
      services[2]!.dependencies.map(({ service, condition }) => `${service} ${condition}`),
      ['db service_healthy', 'cache service_started']
    )
  })
})

describe('x-netloom', () => {
  const LAB = `
name: two
services:
  web01: { image: nginx, x-netloom: { host: host1 }, networks: { net01: { ipv4_address: 172.16.0.3, aliases: [www] } } }
  web02: { image: nginx, x-netloom: { host: host2 }, networks: { net01: { ipv4_address: 172.16.0.4 } } }
  probe: { x-netloom: { virtual: true, underlay: lan, address: 172.16.0.100/24, udp_echo: [7] } }
  inner: { x-netloom: { virtual: true, host: host2 }, networks: [back] }
networks:
  net01:
    driver: macvlan
    driver_opts: { parent: eth0.30 }
    ipam:
      config: [{ subnet: 172.16.0.0/24, gateway: 172.16.0.254, ip_range: 172.16.0.0/25, aux_addresses: { host1: 172.16.0.1 } }]
  back: { internal: true }
  spare: { x-netloom: { hosts: [host2] } }
x-netloom:
  underlays:
    lan: { subnet: 172.16.0.0/24, gateway: 172.16.0.254, subnet6: "2001:db8::/64" }
    lan30: { trunk: lan, vlan: 30 }
  hosts:
    host1: { eth0: { underlay: lan, address: 172.16.0.1/24, address6: "2001:db8::1/64" } }
    host2: { eth0: { underlay: lan, address: 172.16.0.2/24, gateway: 172.16.0.253, mac: "02:cc:00:00:00:02" }, dns: [192.0.2.53] }
  routers:
    edge:
      interfaces: [{ underlay: lan, address: 172.16.0.254/24 }, { underlay: lan30, address: 192.168.30.1/24 }]
      routes: { 0.0.0.0/0: 172.16.0.253 }
`
  test('may say what the lab is for', () => {
    assert.equal(read(LAB).description, '')
    assert.equal(read(LAB.replace('\n  routers:', '\n  description: "two: hosts"\n  routers:')).description, 'two: hosts')
    assert.throws(
      () => read(LAB.replace('\n  routers:', '\n  description: [two]\n  routers:')),
      /x-netloom\.description: this must be a text/
    )
  })

  test('places hosts, routers and stations on underlays, networks and services on hosts', () => {
    const { underlays, hosts, routers, services, networks } = read(LAB)
    assert.deepEqual(
      underlays.map(({ name, gateway, mtu, vlan }) => [name, gateway, mtu, vlan === null ? null : [vlan.trunk.text(), vlan.id]]),
      [
        ['lan', '172.16.0.254', 1500, null],
        ['lan30', undefined, 1500, ['lan', 30]]
      ]
    )
    assert.deepEqual(
      hosts.map(({ name, eth0, dns }) => [name, eth0!.addresses.map(({ text }) => text), eth0!.gateway, eth0!.mac, dns]),
      [
        ['host1', ['172.16.0.1/24', '2001:db8::1/64'], undefined, undefined, []],
        ['host2', ['172.16.0.2/24'], '172.16.0.253', '02:cc:00:00:00:02', ['192.0.2.53']]
      ]
    )
    assert.deepEqual(routers[0]!.routes, { '0.0.0.0/0': '172.16.0.253' })
    assert.deepEqual(Object.fromEntries(services.map(({ name, placedOn }) => [name, placedOn])), {
      web01: 'host1',
      web02: 'host2',
      probe: null,
      inner: 'host2'
    })
    assert.deepEqual(Object.fromEntries(networks.map(({ key, placedOn }) => [key, placedOn])), {
      net01: ['host1', 'host2'],
      back: ['host2'],
      spare: ['host2']
    })
    const [{ request, parent }] = networks as [LabFile['networks'][number]]
    assert.equal(parent!.name, 'eth0.30')
    assert.deepEqual(request, {
      Name: 'net01',
      CheckDuplicate: true,
      Driver: 'macvlan',
      Options: { parent: 'eth0.30' },
      Labels: {},
      Internal: false,
      Attachable: false,
      EnableIPv6: false,
      IPAM: {
        Driver: 'default',
        Options: {},
        Config: [
          { Subnet: '172.16.0.0/24', Gateway: '172.16.0.254', IPRange: '172.16.0.0/25', AuxiliaryAddresses: { host1: '172.16.0.1' } }
        ]
      }
    })
    const web01 = services.find(({ name }) => name === 'web01')!
    assert.deepEqual(web01.networks![0]!.config, { IPAMConfig: { IPv4Address: '172.16.0.3' }, Aliases: ['www'] })
    assert.deepEqual(services.find(({ name }) => name === 'probe')!.virtual!.udpEcho, [7])
  })
})

describe('nat', () => {
  const natOf = (surroundings: string): object[] =>
    read(`services: { web: { image: nginx, x-netloom: { host: host1 } } }\nx-netloom: ${surroundings}\n`).hosts.map(({ nat }) => nat)

  test('of the whole lab, and of a host, whose words go before', () => {
    const eth0 = (last: number): string => `eth0: { underlay: lan, address: 172.16.0.${last}/24 }`
    assert.deepEqual(
      natOf(`{
        underlays: { lan: { subnet: 172.16.0.0/24 } },
        nat: { mapping: endpoint-independent, timeouts: { udp: 60, tcpEstablished: 7200 } },
        hosts: { host1: { ${eth0(1)} }, host2: { ${eth0(2)}, nat: { mapping: address-and-port-dependent, capacity: 1000, timeouts: { udp: 5.5 } } } }
      }`),
      [
        { mapping: 'endpoint-independent', timeouts: { udp: 60, tcpEstablished: 7200 } },
        { mapping: 'address-and-port-dependent', capacity: 1000, timeouts: { udp: 5.5, tcpEstablished: 7200 } }
      ]
    )
  })

  test('of the only host of a lab; nothing without', () => {
    assert.deepEqual(natOf('{ nat: { capacity: 9 } }'), [{ capacity: 9 }])
    assert.deepEqual(natOf('{ uplink: none }'), [{}])
  })
})

describe('a capture as a service', () => {
  const read = (replay: string) =>
    readLabFile(`services:\n  player: { x-netloom: { virtual: true, replay: ${replay} } }\n`, { file: '/labs/a/compose.yaml', env: {} })
      .services[0]!.virtual!.replay

  test('a file alone, and with everything', () => {
    const whole = { speed: 1, loop: 1, limit: undefined, interface: undefined, filter: undefined, map: [] }
    assert.deepEqual(read('../web.pcapng'), { ...whole, file: '/labs/web.pcapng' })
    assert.deepEqual(
      read('{ file: /x.pcap, speed: max, loop: forever, limit: 9, interface: eth0, filter: udp port 53, map: 10.0.0.1=10.0.0.2 }'),
      {
        file: '/x.pcap',
        speed: 'max',
        loop: Number.POSITIVE_INFINITY,
        limit: 9,
        interface: 'eth0',
        filter: 'udp port 53',
        map: ['10.0.0.1=10.0.0.2']
      }
    )
  })
})

describe('texts', () => {
  test('variables', () => {
    const env = { NAME: 'web', EMPTY: '' }
    const cases = {
      'a $NAME-$NAME.': 'a web-web.',
      '${NAME}s': 'webs',
      '${NONE}': '',
      '${NONE-x y}': 'x y',
      '${EMPTY-x}': '',
      '${EMPTY:-x}': 'x',
      '${NAME:+there}': 'there',
      '${NONE+there}': '',
      'cost $$5': 'cost $5'
    }
    for (const [text, expected] of Object.entries(cases)) assert.equal(interpolate(text, env), expected, text)
    const bad = {
      '${NONE:?set it}': /the variable NONE is missing: set it/,
      $: /a dollar sign/,
      '${NAME': /a dollar sign/,
      '${1}': /a dollar/
    }
    for (const [text, message] of Object.entries(bad)) assert.throws(() => interpolate(text, env), message, text)
  })

  test('words of a shell', () => {
    const cases: [string, string[]][] = [
      ['', []],
      ['  a  b ', ['a', 'b']],
      ["sh -c 'a  b'", ['sh', '-c', 'a  b']],
      ['a"b c"d', ['ab cd']],
      ['"a \\" b" \'c \\ d\'', ['a " b', 'c \\ d']],
      ['a\\ b ""', ['a b', '']]
    ]
    for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text)
    assert.throws(() => splitWords("it's"), /has a ' without its end/)
  })
})
