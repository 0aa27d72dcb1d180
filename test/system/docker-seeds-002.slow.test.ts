// Document 002: none, host, bridge and overlay, each looked at with ifconfig from within.
import { followSeed, pings } from '../docker-lab/seed-walk.ts'

const LOOPBACK = `lo Link encap:Local Loopback
  inet addr:127.0.0.1 Mask:255.0.0.0
  UP LOOPBACK RUNNING MTU:65536 Metric:1
  RX packets:<n> errors:0 dropped:<n> overruns:0 frame:0
  TX packets:<n> errors:0 dropped:<n> overruns:0 carrier:0
  collisions:0 txqueuelen:<n>
  RX bytes:<n> TX bytes:<n>`

/** Where the document's user sits. */
const HOST = `nsenter --net=/run/netns/\${LAB_PREFIX}1`

// Broadcast and carrier are those of a TAP with a container's address: the document's bridge is older, and nobody is on it.
const DOCKER0 = `docker0 Link encap:Ethernet HWaddr
  inet addr:172.17.0.1
  UP BROADCAST`

followSeed(
  'document 002: overview of the kinds of networks',
  [
    { run: 'docker network ls', shows: 'NETWORK ID NAME DRIVER\n<id> bridge bridge\n<id> host host\n<id> none null' },
    {
      run: 'docker run --name none_net_busybox --net=none -ti busybox /bin/sh',
      exits: true,
      typed: [
        {
          line: 'cat /etc/hosts',
          shows: `127.0.0.1 localhost
          ::1 localhost ip6-localhost ip6-loopback
          fe00::0 ip6-localnet
          ff00::0 ip6-mcastprefix
          ff02::1 ip6-allnodes
          ff02::2 ip6-allrouters`
        },
        { line: 'ifconfig', shows: LOOPBACK, hides: 'eth0' }
      ]
    },
    {
      run: 'docker run --name host_net_busybox --net=host -ti busybox /bin/sh',
      exits: true,
      typed: [
        { line: 'ifconfig docker0', shows: DOCKER0 },
        // The lab's host has up0 for the document's eth0.
        {
          line: 'ifconfig',
          shows: `${LOOPBACK}
          up0 Link encap:Ethernet HWaddr 02:00:00:00:00:50
          inet addr:192.0.2.50 Bcast:0.0.0.0 Mask:255.255.255.0
          UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1`
        }
      ]
    },
    {
      run: 'docker run --name bridge_net_busybox -ti busybox /bin/sh',
      exits: true,
      typed: [
        {
          line: 'ifconfig',
          shows: `eth0 Link encap:Ethernet HWaddr 02:42:AC:11:00:02
          inet addr:172.17.0.2 Bcast:172.17.255.255 Mask:255.255.0.0
          UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1
          ${LOOPBACK}`
        }
      ]
    },
    { run: `${HOST} busybox ifconfig docker0`, shows: DOCKER0 },
    { run: 'docker network create -d overlay --subnet 10.0.9.0/24 an-overlay', shows: '<ID>' },
    { run: '$ORACLE_DOCKER2 run -itd --name first --net an-overlay busybox   # on another host', shows: '<ID>' },
    {
      run: 'docker run --net=an-overlay --name overlay_net_busybox -ti busybox /bin/sh',
      exits: true,
      typed: [
        {
          line: 'ifconfig',
          shows: `eth0 Link encap:Ethernet HWaddr 02:42:0A:00:09:03
          inet addr:10.0.9.3 Bcast:10.0.9.255 Mask:255.255.255.0
          UP BROADCAST RUNNING MULTICAST MTU:1450 Metric:1
          eth1 Link encap:Ethernet HWaddr 02:42:AC:12:00:02
          inet addr:172.18.0.2 Bcast:172.18.255.255 Mask:255.255.0.0
          UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1
          ${LOOPBACK}`
        },
        { line: 'ping -c 1 first', shows: pings('first', '10.0.9.2', 1) }
      ]
    }
  ],
  { cluster: true }
)
