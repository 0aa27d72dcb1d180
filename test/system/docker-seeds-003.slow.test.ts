// Document 003: a bridge made by hand, what a container on the default bridge has of it, macvlan and ipvlan.
import { followSeed, LATER } from '../docker-lab/seed-walk.ts'

/** The bridge by hand is made where no daemon runs: in the lab's second host. */
const there = (command: string): string => `nsenter --net=/run/netns/\${LAB_PREFIX}2 ${command}`
const MACVLAN =
  'docker network create -d macvlan -o parent=eth0 --subnet 172.16.0.0/24 --gateway 172.16.0.254/24 --ip-range=172.16.0.0/24 ' +
  '--aux-address "host1=172.16.0.2" --aux-address "host2=172.16.0.2" net01'
const IPVLAN =
  'docker network create -d ipvlan -o ipvla_mode=l2 -o parent=eth0 --subnet 172.16.0.0/24 --gateway 172.16.0.254 ' +
  '--aux-address="host1=172.16.0.1" --aux-address="host2=172.16.0.2" net01'

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
  { run: `${MACVLAN}   # host 1`, later: LATER.macvlan },
  { run: 'docker container run -d --net net01 --ip 172.16.0.3 --name web01 -h web01 nginx:latest', later: LATER.macvlan },
  { run: `${MACVLAN}   # host 2`, later: LATER.macvlan },
  { run: 'docker container run -d --net net01 --ip 172.16.0.4 --name web21 -h web02 nginx:latest', later: LATER.macvlan },
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
  { run: 'docker rm -f web01 web02 && docker network rm net01' },
  { run: `${IPVLAN}   # host 1`, later: LATER.ipvlan },
  { run: 'docker container run -d --net net01 nginx:latest', later: LATER.ipvlan },
  { run: `${IPVLAN}   # host 2`, later: LATER.ipvlan },
  { run: 'docker container run -d --net net01 nginx:latest', later: LATER.ipvlan },
  { run: 'docker network create -d ipvlan -o parent=eth0.30 --subnet 192.168.1.0/24 --gateway 192.168.1.1 net01', later: LATER.ipvlan },
  { run: 'docker network create -d ipvlan -o parent=eth0.40 --subnet 192.168.2.0/24 --gateway 192.168.2.1 net02', later: LATER.ipvlan },
  { run: 'docker container run -d --net net01 --name web01 nginx:latest', later: LATER.ipvlan },
  { run: 'docker container run -d --net net02 --name web02 nginx:latest', later: LATER.ipvlan }
])
