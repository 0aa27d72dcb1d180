// Stands for QEMU: a process that becomes an ordinary user, opens a TAP by its name and has a virtual host behind it.
//
//   node machine-guest.js TAP UID ADDRESS/LENGTH MAC
//
// Says 'ready', then answers until the TAP is taken away: 'gone'. 'refused CODE' when the TAP may not be opened.

import { setTimeout } from 'node:timers/promises'
import type { ElementType } from '../../src/engine/element.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { PolledEngine } from './polled-engine.ts'

const [name, user, address, mac] = process.argv.slice(2)
const native = loadNative()
process.setgroups!([])
process.setgid!(Number(user))
process.setuid!(Number(user))

try {
  const tap = openTap(native, { name })
  const engine = new PolledEngine(
    {
      elements: {
        tap: { type: 'tap', options: { ...tap, mtu: 1500 } },
        host: { type: 'host', options: { mac, addresses: [address] } }
      },
      links: [{ a: ['tap', 0], b: ['host', 0] }]
    },
    virtualHostType as ElementType<never>
  )
  console.log('ready')
  while (engine.events.length === 0) await setTimeout(20)
  await engine.close()
  console.log('gone')
} catch (error) {
  console.log(`refused ${(error as NodeJS.ErrnoException).code}`)
}
