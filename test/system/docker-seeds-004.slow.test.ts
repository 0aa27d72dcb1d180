// Document 004: docker's network commands, from create to rm: addresses, names, links, aliases, isolation.
import { followSeed, pings } from '../docker-lab/seed-walk.ts'

const NETWORKS = "docker inspect --format='{{json .NetworkSettings.Networks}}'"
const OVERLAY =
  'docker network create -d overlay --subnet=192.168.0.0/16 --subnet=192.170.0.0/16 --gateway=192.168.0.100 --gateway=192.170.0.100 ' +
  '--ip-range=192.168.1.0/24 --aux-address a=192.168.1.5 --aux-address b=192.168.1.6 --aux-address a=192.170.1.5 ' +
  '--aux-address b=192.170.1.6 my-multihost-network'

const bridgeEndpoint = {
  NetworkID: '<id>',
  EndpointID: '<id>',
  Gateway: '172.17.0.1',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  IPAMConfig: null,
  IPAddress: '172.17.0.3',
  IPPrefixLen: 16,
  IPv6Gateway: '',
  MacAddress: '02:42:ac:11:00:03'
}

const eth = (name: string, mac: string, address: string) => `${name} Link encap:Ethernet HWaddr ${mac}
  inet addr:${address} Bcast:${address.split('.').slice(0, 2).join('.')}.255.255 Mask:255.255.0.0
  UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1`

const LOOPBACK = 'lo Link encap:Local Loopback\ninet addr:127.0.0.1 Mask:255.0.0.0\nUP LOOPBACK RUNNING MTU:65536 Metric:1'

/** `ping -w 4` sends for four seconds: four or five requests, each answered. */
const answers = (name: string, address: string): string => pings(name, address, 4).split('\n').slice(0, -1).join('\n')

const talk = (line: string, shows: string, interruptAfter?: number) => ({ line, shows, ...(interruptAfter ? { interruptAfter } : {}) })

followSeed(
  'document 004: network commands',
  [
    { run: 'docker network create simple-network', shows: '<ID>' },
    {
      run: 'docker network inspect simple-network',
      json: [
        {
          Name: 'simple-network',
          Id: '<id>',
          Scope: 'local',
          Driver: 'bridge',
          IPAM: { Driver: 'default', Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
          Containers: {},
          Options: {}
        }
      ]
    },
    { run: OVERLAY, shows: '<ID>' },
    { run: 'docker network ls -f driver=overlay', shows: '<id> my-multihost-network overlay global' },
    { run: 'docker network create -o "com.docker.network.bridge.host_binding_ipv4"="172.23.0.1" my-network', shows: '<ID>' },
    {
      run: 'docker network inspect my-network',
      json: [
        {
          Name: 'my-network',
          IPAM: { Driver: 'default', Options: {}, Config: [{ Subnet: '172.19.0.0/16', Gateway: '172.19.0.1' }] },
          Containers: {},
          Options: { 'com.docker.network.bridge.host_binding_ipv4': '172.23.0.1' }
        }
      ]
    },
    // The document's host has this address.
    { run: `nsenter --net=/run/netns/\${LAB_PREFIX}1 ip address add 172.23.0.1/32 dev up0` },
    { run: 'docker run -d -P --name redis --net my-network redis', shows: '<ID>' },
    { run: 'docker ps   # 172.23.0.1:32770->6379/tcp', shows: '172.23.0.1:32770->6379/tcp   redis' },
    // Containers and networks.
    { run: 'docker run -itd --name=container1 busybox', shows: '<ID>' },
    { run: 'docker run -itd --name=container2 busybox', shows: '<ID>' },
    { run: 'docker network create -d bridge --subnet 172.25.0.0/16 isolated_nw', shows: '<ID>' },
    { run: 'docker network connect isolated_nw container2' },
    {
      run: 'docker network inspect isolated_nw',
      json: [
        {
          Name: 'isolated_nw',
          IPAM: { Driver: 'default', Config: [{ Subnet: '172.25.0.0/16' }] },
          Containers: {
            a: { Name: 'container2', EndpointID: '<id>', MacAddress: '02:42:ac:19:00:02', IPv4Address: '172.25.0.2/16', IPv6Address: '' }
          },
          Options: {}
        }
      ]
    },
    { run: 'docker run --net=isolated_nw --ip=172.25.3.3 -itd --name=container3 busybox', shows: '<ID>' },
    {
      run: `${NETWORKS}  container3`,
      json: {
        isolated_nw: {
          IPAMConfig: { IPv4Address: '172.25.3.3' },
          NetworkID: '<id>',
          EndpointID: '<id>',
          Gateway: '172.25.0.1',
          IPAddress: '172.25.3.3',
          IPPrefixLen: 16,
          IPv6Gateway: '',
          GlobalIPv6Address: '',
          GlobalIPv6PrefixLen: 0,
          MacAddress: '02:42:ac:19:03:03'
        }
      }
    },
    {
      run: `${NETWORKS}  container2 | python3 -m json.tool`,
      json: {
        bridge: bridgeEndpoint,
        isolated_nw: { Gateway: '172.25.0.1', IPAddress: '172.25.0.2', IPPrefixLen: 16, MacAddress: '02:42:ac:19:00:02' }
      }
    },
    {
      run: 'docker attach container2',
      typed: [
        talk(
          'ifconfig',
          `${eth('eth0', '02:42:AC:11:00:03', '172.17.0.3')}\n${eth('eth1', '02:42:AC:19:00:02', '172.25.0.2')}\n${LOOPBACK}`
        ),
        talk('ping -w 4 container3', answers('container3', '172.25.3.3')),
        talk('ping -w 4 container1', "ping: bad address 'container1'"),
        talk('ping -w 4 172.17.0.2', answers('172.17.0.2', '172.17.0.2'))
      ]
    },
    {
      run: 'docker attach container3',
      typed: [
        talk('ping 172.17.0.2', 'PING 172.17.0.2 (172.17.0.2): 56 data bytes\npackets transmitted, 0 packets received, 100% packet loss', 4)
      ]
    },
    // Links on a network: the target does not exist yet.
    { run: 'docker run --net=isolated_nw -itd --name=container4 --link container5:c5 busybox', shows: '<ID>' },
    { run: 'docker run --net=isolated_nw -itd --name=container5 --link container4:c4 busybox', shows: '<ID>' },
    {
      run: 'docker attach container4',
      // The document's containers have .4 and .5; so here: .2 is container2, and .3 is the first that is free.
      typed: [talk('ping -w 4 c5', answers('c5', '172.25.0.4')), talk('ping -w 4 container5', answers('container5', '172.25.0.4'))]
    },
    {
      run: 'docker attach container5',
      typed: [talk('ping -w 4 c4', answers('c4', '172.25.0.3')), talk('ping -w 4 container4', answers('container4', '172.25.0.3'))]
    },
    // A link is of one network.
    { run: 'docker network create -d bridge --subnet 172.26.0.0/24 local_alias', shows: '<ID>' },
    { run: 'docker network connect --link container5:foo local_alias container4' },
    { run: 'docker network connect --link container4:bar local_alias container5' },
    {
      run: 'docker attach container4',
      typed: [talk('ping -w 4 foo', answers('foo', '172.26.0.3')), talk('ping -w 4 c5', answers('c5', '172.25.0.4'))]
    },
    { run: 'docker network disconnect isolated_nw container5' },
    {
      run: 'docker attach container4',
      typed: [talk('ping -w 4 c5', "ping: bad address 'c5'"), talk('ping -w 4 foo', answers('foo', '172.26.0.3'))]
    },
    // Aliases; container5 is back, as the document has it again on isolated_nw.
    { run: 'docker network connect isolated_nw container5' },
    { run: 'docker run --net=isolated_nw -itd --name=container6 --net-alias app busybox', shows: '<ID>' },
    {
      run: 'docker attach container4',
      typed: [talk('ping -w 4 app', answers('app', '172.25.0.5')), talk('ping -w 4 container6', answers('container6', '172.25.0.5'))]
    },
    { run: 'docker network connect --alias scoped-app local_alias container6' },
    // "container5 is only on isolated_nw" there; it still is on both here.
    { run: 'docker network disconnect local_alias container5' },
    { run: 'docker attach container4', typed: [talk('ping -w 4 scoped-app', answers('scoped-app', '172.26.0.4'))] },
    { run: 'docker attach container5', typed: [talk('ping -w 4 scoped-app', "ping: bad address 'scoped-app'")] },
    { run: 'docker run --net=isolated_nw -itd --name=container7 --net-alias app busybox', shows: '<ID>' },
    // Either of the two answers: a real daemon shuffles.
    { run: 'docker attach container4', typed: [talk('ping -w 4 app', 'PING app (172.25.0.\n0% packet loss')] },
    { run: 'docker stop -t 0 container6', shows: 'container6' },
    { run: 'docker attach container4', typed: [talk('ping -w 4 app', answers('app', '172.25.0.6'))] },
    // Disconnecting.
    { run: 'docker network disconnect isolated_nw container2' },
    { run: `${NETWORKS}  container2 | python3 -m json.tool`, json: { bridge: bridgeEndpoint }, hides: 'isolated_nw' },
    {
      run: 'docker network inspect isolated_nw',
      json: [
        {
          Name: 'isolated_nw',
          Scope: 'local',
          Driver: 'bridge',
          // The document shows 172.21.0.0/16 for what it made as 172.25.0.0/16, and no other container than container3.
          IPAM: { Driver: 'default', Config: [{ Subnet: '172.25.0.0/16' }] },
          Containers: {
            a: { Name: 'container3', EndpointID: '<id>', MacAddress: '02:42:ac:19:03:03', IPv4Address: '172.25.3.3/16', IPv6Address: '' },
            b: { Name: 'container4', IPv4Address: '172.25.0.3/16' },
            c: { Name: 'container5', IPv4Address: '172.25.0.4/16' },
            d: { Name: 'container7', IPv4Address: '172.25.0.6/16' }
          },
          Options: {}
        }
      ],
      hides: 'container2'
    },
    {
      run: 'docker attach container2',
      typed: [
        { line: 'ifconfig', shows: `${eth('eth0', '02:42:AC:11:00:03', '172.17.0.3')}\n${LOOPBACK}`, hides: 'eth1' },
        // The document's container3 is still resolved; here as with a real daemon the name has gone with the network.
        talk('ping container3', "ping: bad address 'container3'"),
        talk('ping -c 2 -W 1 172.25.3.3', '2 packets transmitted, 0 packets received, 100% packet loss'),
        // By address: container1 is no name on the default bridge, as the document says itself.
        talk('ping -c 2 172.17.0.2', pings('172.17.0.2', '172.17.0.2', 2))
      ]
    },
    // A daemon that died without a word has left an endpoint.
    { run: 'docker network create -d overlay multihost', shows: '<ID>' },
    { run: '$ORACLE_DOCKER2 run -d --name redis_db --net multihost redis', shows: '<ID>' },
    { run: '$ORACLE_CTL kill 2' },
    {
      run: 'docker run -d --name redis_db --net multihost redis',
      fails: true,
      shows: 'endpoint with name redis_db already exists in network multihost'
    },
    { run: 'docker rm -f redis_db', shows: 'redis_db' },
    { run: 'docker network disconnect -f multihost redis_db' },
    { run: 'docker run -d --name redis_db --net multihost redis', shows: '<ID>' },
    { run: 'docker rm -f redis_db' },
    { run: 'docker network rm multihost my-multihost-network', shows: 'multihost\nmy-multihost-network' },
    // Removing: only when nobody is on it any more.
    { run: 'docker network disconnect isolated_nw container3' },
    { run: 'docker network rm isolated_nw', fails: true, shows: 'has active endpoints' },
    { run: 'docker network disconnect isolated_nw container4' },
    { run: 'docker network disconnect isolated_nw container5' },
    { run: 'docker stop -t 0 container7', shows: 'container7' },
    { run: 'docker network inspect isolated_nw', json: [{ Name: 'isolated_nw', Containers: {}, Options: {} }] },
    { run: 'docker network rm isolated_nw', shows: 'isolated_nw' },
    { run: 'docker network ls', shows: '<id> bridge bridge\n<id> host host\n<id> none null', hides: 'isolated_nw' }
  ],
  { cluster: true }
)
