// Document 003: a bridge made by hand, what a container on the default bridge has of it, macvlan and ipvlan on two hosts.
import { followSeed, pings } from '../docker-lab/seed-walk.ts'

/** The bridge by hand is made where no daemon runs: in the lab's second host. */
const there = (command: string): string => `nsenter --net=/run/netns/\${LAB_PREFIX}2 ${command}`

followSeed('document 003: notes on bridge, macvlan and ipvlan', [
  { run: there('ip link add name docker0 type bridge') },
  { run: there('ip addr add 172.17.0.1/24 dev docker0') },
  { run: there('ip link set dev docker0 up') },
  { run: there('ip link add veth0 type veth peer name veth1') },
  { run: there('ip link set veth0 master docker0') },
  { run: there('ip link set veth0 up') },
  { run: there('ip route'), shows: '172.17.0.0/24 dev docker0 proto kernel scope link src 172.17.0.1' },
  // The container's side: eth0, the bridge's address as its gateway, the host's name server.
  { run: 'docker run --rm busybox ip route', shows: 'default via 172.17.0.1 dev eth0' },
  { run: 'docker run --rm busybox cat /etc/resolv.conf', shows: 'nameserver 192.0.2.60' },
  { run: 'docker run --rm busybox wget -qO- http://198.51.100.10/', shows: 'you are 192.0.2.50' },
  // What the options of the table say, on a bridge.
  {
    run:
      'docker network create -d bridge --subnet 172.16.0.0/24 --gateway 172.16.0.254 --ip-range=172.16.0.0/24 ' +
      '--aux-address "host1=172.16.0.1" --aux-address "host2=172.16.0.2" net01',
    shows: '<ID>'
  },
  { run: 'docker container run -d --net net01 --ip 172.16.0.3 --name web01 -h web01 nginx:latest', shows: '<ID>' },
  { run: 'docker container run -d --net net01 --name web02 -h web02 nginx:latest', shows: '<ID>' },
  { run: "docker inspect -f '{{.NetworkSettings.Networks.net01.IPAddress}}' web02", shows: '172.16.0.4' },
  { run: 'docker exec web01 ip route', shows: 'default via 172.16.0.254 dev eth0' },
  { run: 'docker exec web01 curl web02', shows: 'Welcome to nginx!' },
  { run: 'docker exec web01 hostname', shows: 'web01' },
  { run: 'docker rm -f web01 web02 && docker network rm net01' }
])

/** On a host, or in the outside namespace, where the LAN and its router are. */
const at = (place: '1' | '2' | 'out', command: string): string => `nsenter --net=/run/netns/\${LAB_PREFIX}${place} ${command}`
/** The second host's client. */
const second = (command: string): string => command.replace(/^docker /, '$ORACLE_DOCKER2 ')
const plug = (host: '1' | '2'): string =>
  [
    at('out', `ip link add seed${host} master seed type veth peer name eth0 netns \${LAB_PREFIX}${host}`),
    at('out', `ip link set seed${host} up`),
    at(host, `ip addr add 172.16.0.${host}/24 dev eth0`),
    at(host, 'ip link set eth0 up')
  ].join(' && ')

const MACVLAN =
  'docker network create -d macvlan -o parent=eth0 --subnet 172.16.0.0/24 --gateway 172.16.0.254/24 --ip-range=172.16.0.0/24 ' +
  '--aux-address "host1=172.16.0.2" --aux-address "host2=172.16.0.2" net01'
const IPVLAN =
  'docker network create -d ipvlan -o ipvla_mode=l2 -o parent=eth0 --subnet 172.16.0.0/24 --gateway 172.16.0.254 ' +
  '--aux-address="host1=172.16.0.1" --aux-address="host2=172.16.0.2" net01'
/** As it is meant: a gateway has no prefix, and two hosts have two addresses. */
const PLAIN = MACVLAN.replace('254/24', '254')
const MEANT = PLAIN.replace('host1=172.16.0.2', 'host1=172.16.0.1')
const WEB01 = 'docker container run -d --net net01 --ip 172.16.0.3 --name web01 -h web01 nginx:latest'
const WEB02 = 'docker container run -d --net net01 --ip 172.16.0.4 --name web21 -h web02 nginx:latest'
const ANY = 'docker container run -d --net net01 nginx:latest'
const TAKEN = 'failed to allocate secondary ip address (host2:172.16.0.2): Address already in use'
const SHARED_MAC = '$H ip link show eth0 | grep -F "link/ether $($D exec $($D ps -lq) cat /sys/class/net/eth0/address) "'
const reaches = (container: string, address: string): string => `docker exec ${container} ping -c 1 ${address}`
const VLANS = [
  'docker network create -d ipvlan -o parent=eth0.30 --subnet 192.168.1.0/24 --gateway 192.168.1.1 net01',
  'docker network create -d ipvlan -o parent=eth0.40 --subnet 192.168.2.0/24 --gateway 192.168.2.1 net02'
] as const

followSeed(
  'document 003: macvlan and ipvlan of two hosts on one LAN',
  [
    { run: at('out', 'sh -c "ip link add seed type bridge && ip addr add 172.16.0.254/24 dev seed && ip link set seed up"') },
    { run: plug('1') },
    { run: plug('2') },

    { run: `${MACVLAN}   # host 1`, fails: true, shows: 'invalid gateway address 172.16.0.254/24 in Ipam configuration' },
    { run: `${second(PLAIN)}   # host 2`, fails: true, shows: TAKEN },
    { run: `${MEANT}   # host 1`, shows: '<ID>' },
    { run: WEB01, shows: '<ID>' },
    { run: `${second(MEANT)}   # host 2`, shows: '<ID>' },
    { run: second(WEB02), shows: '<ID>' },
    // Both hosts, both containers and the router are on one LAN; but a container and its own host do not hear each other.
    { run: reaches('web01', '172.16.0.4'), shows: pings('172.16.0.4', '172.16.0.4', 1) },
    { run: second(reaches('web21', '172.16.0.3')), shows: pings('172.16.0.3', '172.16.0.3', 1) },
    { run: reaches('web01', '172.16.0.2'), shows: pings('172.16.0.2', '172.16.0.2', 1) },
    { run: second(reaches('web21', '172.16.0.1')), shows: pings('172.16.0.1', '172.16.0.1', 1) },
    { run: reaches('web01', '172.16.0.254'), shows: pings('172.16.0.254', '172.16.0.254', 1) },
    { run: second(reaches('web21', '172.16.0.254')), shows: pings('172.16.0.254', '172.16.0.254', 1) },
    { run: at('out', 'ping -c 1 -w 4 172.16.0.3'), shows: '1 received' },
    { run: at('2', 'curl -s http://172.16.0.3/'), shows: 'Welcome to nginx!' },
    { run: 'docker exec web01 ping -c 1 -W 1 172.16.0.1', fails: true, shows: '100% packet loss' },
    { run: 'docker exec web01 curl 172.16.0.4', shows: 'Welcome to nginx!' },
    { run: 'docker exec web01 ip route', shows: 'default via 172.16.0.254 dev eth0' },
    { run: 'docker rm -f web01 && docker network rm net01' },
    { run: second('docker rm -f web21') },
    { run: second('docker network rm net01') },

    { run: `${IPVLAN}   # host 1`, shows: '<ID>' },
    { run: ANY, shows: '<ID>' },
    { run: "docker inspect -f '{{.NetworkSettings.Networks.net01.IPAddress}}' $(docker ps -lq)", shows: '172.16.0.3' },
    { run: 'docker exec $(docker ps -lq) ip route', shows: 'default via 172.16.0.254 dev eth0' },
    { run: 'docker exec $(docker ps -lq) cat /etc/resolv.conf', shows: 'nameserver 127.0.0.11' },
    { run: `D=docker H="${at('1', '')}"; ${SHARED_MAC}`, shows: 'link/ether' },
    { run: reaches('$(docker ps -lq)', '172.16.0.254'), shows: pings('172.16.0.254', '172.16.0.254', 1) },
    { run: reaches('$(docker ps -lq)', '172.16.0.2'), shows: pings('172.16.0.2', '172.16.0.2', 1) },
    // Each host gives out the addresses of the LAN by itself: the document's second container has the first one's.
    { run: 'docker rm -f $(docker ps -lq)' },
    { run: `${second(IPVLAN)}   # host 2`, shows: '<ID>' },
    { run: second(ANY), shows: '<ID>' },
    { run: `D="$ORACLE_DOCKER2" H="${at('2', '')}"; ${SHARED_MAC}`, shows: 'link/ether' },
    { run: '$ORACLE_DOCKER2 exec $($ORACLE_DOCKER2 ps -lq) ping -c 1 172.16.0.1', shows: pings('172.16.0.1', '172.16.0.1', 1) },
    { run: '$ORACLE_DOCKER2 rm -f $($ORACLE_DOCKER2 ps -lq) && $ORACLE_DOCKER2 network rm net01' },
    { run: 'docker network rm net01' },

    ...VLANS.map((run) => ({ run, shows: '<ID>' })),
    { run: 'docker container run -d --net net01 --name web01 nginx:latest', shows: '<ID>' },
    { run: 'docker container run -d --net net02 --name web02 nginx:latest', shows: '<ID>' },
    { run: "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' web01", shows: '192.168.1.2' },
    // The segments are apart on the host and on the cable: who has VLAN 30 on the other host is found, who has VLAN 40 is not.
    { run: second(VLANS[0]), shows: '<ID>' },
    { run: second('docker container run -d --net net01 --ip 192.168.1.9 --name far nginx:latest'), shows: '<ID>' },
    { run: reaches('web01', '192.168.1.9'), shows: pings('192.168.1.9', '192.168.1.9', 1) },
    { run: 'docker exec web01 ping -c 1 -W 1 192.168.2.2', fails: true, shows: '100% packet loss' },
    { run: 'docker exec web02 ping -c 1 -W 1 192.168.1.9', fails: true, shows: '100% packet loss' }
  ],
  { double: true }
)
