// Document 001: kinds of networks, addresses, ping and curl between nginx containers by address and by name.
import { followSeed, pings } from '../docker-lab/seed-walk.ts'

followSeed('document 001: kinds of networks, and nginx containers that talk', [
  { run: 'docker network ls', shows: 'bridge bridge\nhost host\nnone null' },
  // Host: its own ports, PORTS empty.
  { run: 'docker run -d --name nginx --network host nginx', shows: '<ID>' },
  { run: 'docker ps', shows: 'CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES\n<id> nginx' },
  { run: "docker ps --format '[{{.Ports}}]'", shows: '[]' },
  { run: 'nsenter --net=/run/netns/"$LAB_PREFIX"1 wget -qO- http://127.0.0.1:80/', shows: 'Welcome to nginx!' },
  { run: 'docker rm -f nginx', shows: 'nginx' },
  // None is not the same as saying nothing.
  { run: 'docker run --rm --network none busybox ip -o addr', shows: 'lo inet 127.0.0.1/8', hides: 'eth0' },
  { run: 'docker run --rm busybox ip -o addr', shows: 'lo inet 127.0.0.1/8\neth0 inet 172.17.0.2/16' },
  // Two containers, their addresses in every way that is shown.
  { run: 'docker run -d --name nginx1 nginx', shows: '<ID>' },
  { run: 'docker run -d --name nginx2 nginx', shows: '<ID>' },
  { run: 'docker stats --no-stream', shows: 'NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS\nnginx' },
  // As typed there; the image nginx of these tests is busybox, so that a shell of it is `sh`.
  { run: 'docker exec nginx1 bash', fails: true, shows: 'exec: "bash": executable file not found in $PATH: unknown' },
  {
    run: 'docker exec -it nginx1 sh',
    exits: true,
    typed: [
      { line: 'ip addr', shows: 'eth0:\ninet 172.17.0.2/16 brd 172.17.255.255 scope global eth0' },
      {
        line: 'ifconfig',
        shows: 'eth0 Link encap:Ethernet HWaddr 02:42:AC:11:00:02\ninet addr:172.17.0.2 Bcast:172.17.255.255 Mask:255.255.0.0'
      }
    ]
  },
  {
    run: 'docker container inspect nginx1',
    json: [
      {
        Name: '/nginx1',
        NetworkSettings: { IPAddress: '172.17.0.2', Gateway: '172.17.0.1', Networks: { bridge: { IPAddress: '172.17.0.2' } } }
      }
    ]
  },
  { run: "docker container inspect --format '{{ .NetworkSettings.IPAddress }}' nginx1", shows: '172.17.0.2' },
  {
    run: 'docker network inspect bridge',
    json: [{ Containers: { a: { Name: 'nginx1', IPv4Address: '172.17.0.2/16' }, b: { Name: 'nginx2', IPv4Address: '172.17.0.3/16' } } }]
  },
  { run: "docker container inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' nginx1", shows: '172.17.0.2' },
  { run: "docker container inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' nginx2", shows: '172.17.0.3' },
  { run: 'docker exec nginx1 ping -c 4 google.com', shows: pings('google.com', '198.51.100.10', 4, 63) },
  {
    run: 'docker exec -it nginx1 sh',
    exits: true,
    typed: [
      // On the author's macOS `-t 10` ends it after ten seconds; to busybox as to Linux it is the TTL, and Ctrl-C ends it.
      {
        line: 'ping -t 10 google.com',
        interruptAfter: 2.5,
        shows: 'PING google.com (198.51.100.10): 56 data bytes\n64 bytes from 198.51.100.10: seq=0 ttl=63\nreceived, 0% packet loss'
      },
      // The router of the machine, which the document has from `netstat -nr | grep default`.
      {
        line: 'ping 192.0.2.1',
        interruptAfter: 2.5,
        shows: 'PING 192.0.2.1 (192.0.2.1): 56 data bytes\n64 bytes from 192.0.2.1: seq=0 ttl=63\nreceived, 0% packet loss'
      }
    ]
  },
  { run: 'docker exec nginx1 ping -c 4 172.17.0.3', shows: pings('172.17.0.3', '172.17.0.3', 4) },
  { run: 'docker exec nginx2 ping -c 4 172.17.0.2', shows: pings('172.17.0.2', '172.17.0.2', 4) },
  { run: 'docker exec nginx1 curl 172.17.0.3', shows: 'Welcome to nginx!' },
  { run: 'docker exec nginx2 curl 172.17.0.2', shows: 'Welcome to nginx!' },
  { run: 'docker rm -f nginx1 nginx2' },
  // --link
  { run: 'docker run -d --name nginx1 nginx', shows: '<ID>' },
  { run: 'docker run -d --name nginx2 --link nginx1 nginx', shows: '<ID>' },
  { run: 'docker exec nginx2 cat /etc/hosts', shows: '127.0.0.1 localhost\n172.17.0.2 nginx1 <id>' },
  { run: 'docker exec nginx2 ping -c 1 nginx1', shows: pings('nginx1', '172.17.0.2', 1) },
  { run: 'docker exec nginx2 curl nginx1', shows: 'Welcome to nginx!' },
  { run: 'docker rm -f nginx1 nginx2' },
  // A network of one's own.
  { run: 'docker network create my-network', shows: '<ID>' },
  { run: 'docker run -d --name nginx1 --network my-network nginx', shows: '<ID>' },
  { run: 'docker run -d --name nginx2 --network my-network nginx', shows: '<ID>' },
  { run: 'docker exec nginx1 ping -c 1 nginx2', shows: pings('nginx2', '172.18.0.3', 1) },
  { run: 'docker exec nginx2 curl nginx1', shows: 'Welcome to nginx!' },
  { run: 'docker exec nginx1 cat /etc/resolv.conf', shows: 'nameserver 127.0.0.11' },
  { run: 'docker rm -f nginx1', shows: 'nginx1' },
  // An existing container: connected, and disconnected again.
  { run: 'docker run -d --name nginx1 nginx', shows: '<ID>' },
  { run: 'docker network connect my-network nginx1' },
  { run: 'docker exec nginx1 ping -c 1 nginx2', shows: pings('nginx2', '172.18.0.3', 1) },
  { run: 'docker network disconnect my-network nginx1' },
  { run: 'docker exec nginx1 ping -c 1 nginx2', fails: true, shows: "ping: bad address 'nginx2'" },
  { run: 'docker rm -f nginx1 nginx2' },
  { run: 'docker network rm my-network', shows: 'my-network' }
])
