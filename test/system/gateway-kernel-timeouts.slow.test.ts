// Time-outs of flows beside Linux's: for each time-out a gateway of either kind in which it alone is short. The kernel's time is real, ours is
// virtual; what is compared is which flows are there after a silence, not how long anything took.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gateway } from '../differential/gateway.ts'
import { IDLE_TIMEOUTS, type IdleTimeout, idleStream } from '../differential/idle-flows.ts'
import { KernelGateway } from '../differential/kernel-gateway.ts'
import { OurGateway } from '../differential/our-gateway.ts'
import { Player } from '../differential/player.ts'
import { namespacesMissing } from './test-namespace.ts'

/** Seconds. A UDP flow is a stream when it is older than two. */
const SHORT = 2
const LONG = 3600
const SILENCE = 2.4

function linux(short: IdleTimeout): Gateway {
  const sysctls = IDLE_TIMEOUTS.map((one) => [`netfilter/${one.sysctl}`, String(one === short ? SHORT : LONG)])
  return new KernelGateway(`linux, ${short.option}`, { sysctls: Object.fromEntries(sysctls) })
}

function ours(short: IdleTimeout): Gateway {
  return new OurGateway({ timeouts: Object.fromEntries(IDLE_TIMEOUTS.map((one) => [one.option, one === short ? SHORT : LONG])) })
}

describe('time-outs beside Linux', { skip: namespacesMissing('ip', 'nft') }, () => {
  test('every state has the one that it has in Linux, and no other', async () => {
    // Flows must not end while they are made: when the machine stood still meanwhile, which it may do now and then, all is played anew.
    for (let attempt = 1; (await play()) > (SHORT * 1000) / 2; attempt++) assert.ok(attempt < 10, 'this machine is too slow for it')
  })

  /** Compares all flows. The time, ms, that the longest piece of a stream took: of a long one nothing is said. */
  async function play(): Promise<number> {
    const { stream, young, idle, tried } = idleStream()
    let longest = 0
    const gateways: Gateway[] = []
    try {
      const runs = IDLE_TIMEOUTS.map((timeout) => {
        const pair = [linux(timeout), ours(timeout)]
        gateways.push(...pair)
        return { timeout, players: pair.map((gateway) => new Player(stream, gateway)) }
      })
      for (const end of [young, idle, stream.steps.length]) {
        for (const player of runs.flatMap(({ players }) => players)) {
          const began = performance.now()
          player.playTo(end)
          longest = Math.max(longest, performance.now() - began)
        }
        if (longest > (SHORT * 1000) / 2) return longest
        if (end === stream.steps.length) break
        for (const gateway of gateways) gateway.pass(SILENCE)
        await sleep(SILENCE * 1000)
      }
      for (const { timeout, players } of runs) {
        const [kernel, our] = players.map((player) => {
          const late = player.result({ withFlows: false }).steps.slice(idle)
          // What reaches the client; a gateway may answer by itself for a flow that is gone.
          return late.map((lines) => lines.filter((line) => line.startsWith('a ')))
        })
        assert.deepEqual(our, kernel, timeout.option)
        const dead = tried.filter((_, index) => our[index].length === 0)
        assert.deepEqual(dead.sort(), [...timeout.ends].sort(), `with a short ${timeout.option}`)
      }
      return longest
    } finally {
      for (const gateway of gateways) gateway.close()
    }
  }
})
