/**
 * What two hosts said to each other is recorded, and played into the same network under the virtual clock: the same comes out at every port.
 * The recording may as well be one of real processes (`lan.sandbox`), made in real time.
 *
 *   node dist/examples/record-replay.js
 */
import { Lab, verifyRecording } from 'netloom'

{
  await using lab = await Lab.create({ clock: 'virtual' })
  await lab.capture('recorded.pcapng', { everyPort: true })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const alice = await lan.host('alice')
  await lan.host('bob')
  await lab.run(() => alice.ping('bob', { count: 3 }))
}

const { isSame, ports } = await verifyRecording('recorded.pcapng')
for (const { port, recorded, same } of ports) console.log(`${port}: ${same} of ${recorded} frames`)
console.log(isSame ? 'the same' : 'not the same')
