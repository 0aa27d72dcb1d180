// Document 000: a tutorial with four alpine containers, on the default bridge and on a network of their own.
import { followSeed, pings } from '../docker-lab/seed-walk.ts'

const member = (name: string, address: string, mac: string) => ({
  Name: name,
  EndpointID: '<id>',
  MacAddress: mac,
  IPv4Address: address,
  IPv6Address: ''
})

const network = { Created: '<time>', Id: '<id>', Scope: 'local', Driver: 'bridge', EnableIPv6: false, Internal: false }
const flags = { Attachable: false, Ingress: false, ConfigFrom: { Network: '' }, ConfigOnly: false }

followSeed('document 000: networking tutorial', [
  { run: 'docker network ls', shows: 'NETWORK ID NAME DRIVER SCOPE\n<id> bridge bridge local\n<id> host host local\n<id> none null local' },
  { run: 'docker container run -itd --rm --name alpine1 alpine ash', shows: '<ID>' },
  { run: 'docker container run -itd --rm --name alpine2 alpine ash', shows: '<ID>' },
  {
    run: 'docker network inspect bridge',
    json: [
      {
        Name: 'bridge',
        ...network,
        ...flags,
        IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '172.17.0.0/16', Gateway: '172.17.0.1' }] },
        Containers: {
          a: member('alpine2', '172.17.0.3/16', '02:42:ac:11:00:03'),
          b: member('alpine1', '172.17.0.2/16', '02:42:ac:11:00:02')
        },
        Options: {
          'com.docker.network.bridge.default_bridge': 'true',
          'com.docker.network.bridge.enable_icc': 'true',
          'com.docker.network.bridge.enable_ip_masquerade': 'true',
          'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
          'com.docker.network.bridge.name': 'docker0',
          'com.docker.network.driver.mtu': '1500'
        },
        Labels: {}
      }
    ]
  },
  {
    run: 'docker container exec -it alpine1 ash',
    exits: true,
    typed: [
      {
        line: 'ip addr show',
        shows: `<n>: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536
          link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
          inet 127.0.0.1/8 scope host lo
          <n>: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP
          link/ether 02:42:ac:11:00:02 brd ff:ff:ff:ff:ff:ff
          inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0`
      },
      { line: 'ping -c 2 google.com', shows: pings('google.com', '198.51.100.10', 2, 63) },
      { line: 'ping -c 2 172.17.0.3', shows: pings('172.17.0.3', '172.17.0.3', 2) },
      { line: 'ping -c 2 alpine2', shows: "ping: bad address 'alpine2'" }
    ]
  },
  // The document's second part starts with new containers of the same names.
  { run: 'docker container stop -t 0 alpine1 alpine2', shows: 'alpine1\nalpine2' },
  { run: 'test -z "$(docker ps -aq)"', eventually: true },
  { run: 'docker network create --driver bridge alpine-net', shows: '<ID>' },
  {
    run: 'docker network ls',
    shows: '<id> alpine-net bridge local\n<id> bridge bridge local\n<id> host host local\n<id> none null local'
  },
  {
    run: 'docker network inspect alpine-net',
    json: [
      {
        Name: 'alpine-net',
        ...network,
        ...flags,
        IPAM: { Driver: 'default', Options: {}, Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
        Containers: {},
        Options: {},
        Labels: {}
      }
    ]
  },
  // With one dash, as the document has it, -rm is -r -m, which docker refuses.
  {
    run: 'docker container run -itd -rm --name alpine1 --network alpine-net alpine ash',
    fails: true,
    shows: "unknown shorthand flag: 'r' in -rm"
  },
  { run: 'docker container run -itd --rm --name alpine1 --network alpine-net alpine ash', shows: '<ID>' },
  { run: 'docker container run -itd --rm --name alpine2 --network alpine-net alpine ash', shows: '<ID>' },
  { run: 'docker container run -itd --rm --name alpine3 --network bridge alpine ash', shows: '<ID>' },
  { run: 'docker container run -itd --rm --name alpine4 --network alpine-net alpine ash', shows: '<ID>' },
  { run: 'docker network connect bridge alpine4' },
  {
    run: 'docker network inspect alpine-net',
    json: [
      {
        Name: 'alpine-net',
        ...network,
        ...flags,
        Containers: {
          a: member('alpine2', '172.18.0.3/16', '02:42:ac:12:00:03'),
          b: member('alpine1', '172.18.0.2/16', '02:42:ac:12:00:02'),
          c: member('alpine4', '172.18.0.4/16', '02:42:ac:12:00:04')
        },
        Options: {},
        Labels: {}
      }
    ]
  },
  {
    run: 'docker container exec -it alpine1 ash',
    exits: true,
    typed: [
      { line: 'ping -c 2 alpine2', shows: pings('alpine2', '172.18.0.3', 2) },
      { line: 'ping -c 2 alpine4', shows: pings('alpine4', '172.18.0.4', 2) },
      { line: 'ping -c 2 alpine1', shows: pings('alpine1', '172.18.0.2', 2) },
      // The document writes alpine1 again; it means the one that is not on the network.
      { line: 'ping -c 2 alpine3', shows: "ping: bad address 'alpine3'" },
      { line: 'ping -c 2 -W 1 172.17.0.3', shows: '2 packets transmitted, 0 packets received, 100% packet loss' }
    ]
  },
  { run: 'docker container stop -t 0 alpine1 alpine2 alpine3 alpine4', shows: 'alpine1\nalpine2\nalpine3\nalpine4' },
  { run: 'test -z "$(docker ps -aq)"', eventually: true },
  { run: 'docker network rm alpine-net', shows: 'alpine-net' },
  { run: 'docker network ls', shows: '<id> bridge bridge local\n<id> host host local\n<id> none null local', hides: 'alpine-net' }
])
