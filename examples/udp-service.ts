/**
 * A UDP service and its client, found by name: what a test of a protocol looks like in virtual time. An hour passes in it,
 * and no time at all outside.
 *
 *   node dist/examples/udp-service.js
 */
import { Lab } from 'netloom'

await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
const lan = await lab.network('lan', { subnet: '198.51.100.0/24' })
const server = await lan.host('server', { aliases: ['time'] })
const client = await lan.host('client')

await lab.run(async () => {
  const service = await server.udp(3700)
  const socket = await client.udp()
  // The service answers with the lab's time, in whole seconds.
  const serve = async (): Promise<void> => {
    for (;;) {
      const { address, port } = await service.receive()
      await service.send(address, port, String(Math.floor(lab.now / 1e9)))
    }
  }
  serve().catch(() => {}) // ends when the socket is closed

  const [address] = await client.resolve('time')
  for (const hour of [0, 1]) {
    await socket.send(address, 3700, 'what time is it?')
    const { data } = await socket.receive()
    console.log(`hour ${hour}: ${new TextDecoder().decode(data)} s`)
    if (hour === 0) await lab.wait(3_600_000)
  }
  await service.close()
})
