// Overlays of a swarm were recorded too. They are reference for what a container sees of itself: here, that this is the same as on an
// overlay of a cluster with a store, but for numbers. What our daemons show for that is compared by docker-oracle-kv.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ORACLE } from './docker-lab.ts'

interface Step {
  readonly cmd: string
  readonly stdout: string
}

const KV = 'overlay-hosts-kv'

/** What a command showed; the first of these that was recorded. */
function shown(scenario: string, ...commands: string[]): string {
  const { steps } = JSON.parse(readFileSync(path.join(ORACLE, 'transcripts', `${scenario}.json`), 'utf8')) as { steps: Step[] }
  const step = commands.map((command) => steps.find(({ cmd }) => cmd === command)).find((found) => found !== undefined)
  assert.ok(step !== undefined, `${scenario} has none of ${commands.join(', ')}`)
  return step.stdout
}

/** Addresses by their network, interfaces without their numbers, no counters. */
function masked(text: string): string[] {
  return text
    .replace(/\b10\.0\.\d+\.(?=\d)/g, '10.0.N.')
    .replace(/\b(10\.0\.N|172\.18\.0)\.(?!0\b|1\b|255)\d+/g, '$1.A')
    .replace(/02:42:0a:00:[0-9a-f:]{5}/gi, '<overlay MAC>')
    .replace(/02:42:ac:12:[0-9a-f:]{5}/gi, '<bridge MAC>')
    .replace(/\b[0-9a-f]{12}\b/g, '<id>')
    .replace(/([RT]X (packets|bytes)):\d+( \([^)]*\))?/g, '$1:N')
    .replace(/^\d+: (\w+)@if\d+/gm, '$1')
    .split('\n')
    .map((line) => line.trimEnd())
}

for (const scenario of ['seed002-overlay', 'seed002-overlay-two-hosts']) {
  test(`${scenario}: interfaces`, () => {
    assert.deepEqual(masked(shown(scenario, 'docker exec c1 ifconfig')), masked(shown(KV, 'docker exec c1 ifconfig')))
  })
}

for (const command of ['docker exec c1 ip route', 'docker exec c1 cat /etc/hosts', 'docker exec c1 cat /etc/resolv.conf']) {
  test(`seed002-overlay: ${command}`, () => {
    const swarm = masked(shown('seed002-overlay', command))
    assert.ok(swarm.length > 1)
    assert.deepEqual(swarm, masked(shown(KV, command)))
  })
}

test('seed002-overlay-two-hosts: the neighbor on the other host', () => {
  const swarm = shown('seed002-overlay-two-hosts', 'docker exec c1 arp -n 10.0.9.4')
  assert.deepEqual(masked(swarm), masked(shown(KV, 'docker exec c1 arp -n 10.0.9.3')))
})
