// One test for each scenario, over several labs at once: scenarios mostly wait (for pings that get no answer, for retries).
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DockerLab, daemonKind, labMissing, ORACLE } from './docker-lab.ts'

export interface ScenarioList {
  title: string
  /** Directory with scenarios/ and transcripts/. */
  base: string
  names: readonly string[]
  leftOut?: Readonly<Record<string, string>>
  /** Scenarios of two hosts and the store that they share. */
  cluster?: boolean
}

/** Two cores are kept busy while other scenarios wait. A lab of two hosts is as much work as two of one. */
const LABS = 3
const CLUSTER_LABS = 3

export function compareScenarios({ title, base, names, leftOut = {}, cluster = false }: ScenarioList): void {
  describe(title, { skip: cluster ? labMissing('etcd') : labMissing() }, () => {
    const sum = { passed: 0, failed: 0, skipped: 0, decided: 0 }

    const count = cluster ? CLUSTER_LABS : LABS
    describe('scenarios', { concurrency: count }, () => {
      const labs: DockerLab[] = []
      const free: DockerLab[] = []
      const waiting: ((lab: DockerLab) => void)[] = []

      before(async () => {
        for (let index = 0; index < count; index++) labs.push(new DockerLab(cluster ? 'ckv' : 'cmp', daemonKind(), { cluster }))
        // As the recorded daemon ran: live restore is not its default.
        for (const lab of labs) lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--live-restore=false --uplink host'
        for (const result of await Promise.allSettled(labs.map((lab) => lab.up()))) if (result.status === 'rejected') throw result.reason
        free.push(...labs)
      })
      after(() => {
        for (const lab of labs) lab.down()
      })
      const take = (): Promise<DockerLab> => {
        const lab = free.pop()
        return lab === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(lab)
      }
      const give = (lab: DockerLab): void => {
        const next = waiting.shift()
        if (next === undefined) free.push(lab)
        else next(lab)
      }

      for (const name of names) {
        test(name, { skip: leftOut[name] ?? false }, async (context) => {
          const lab = await take()
          try {
            let outcome = await compareOnce(lab, base, name)
            for (let left = TRIES; left > 0 && outcome.failed > outcome.decided; left--) {
              const { stdout } = outcome
              const reason = shufflesSubnets(base, name)
                ? "docker's client shuffles subnets"
                : (whyFound(stdout) ?? whyLate(base, name, stdout))
              if (reason === undefined) break
              context.diagnostic(`${name}: ${counts(outcome)}; once more, as ${reason}`)
              outcome = await compareOnce(lab, base, name)
            }
            const { passed, failed, skipped, decided, stdout } = outcome
            sum.passed += passed
            sum.failed += failed
            sum.skipped += skipped
            sum.decided += decided
            context.diagnostic(`${name}: ${counts(outcome)}${decided > 0 ? `, ${decided} of them by decision alone` : ''}`)
            assert.equal(failed - decided, 0, stdout)
            assert.ok(passed > 0, `no step was compared:\n${stdout}`)
          } finally {
            give(lab)
          }
        })
      }
    })

    test('0 failed, but by decision', (context) => {
      context.diagnostic(`${title}: ${counts(sum)}; ${sum.decided} of the failed by decision alone`)
      assert.ok(sum.passed > 0)
      assert.equal(sum.failed - sum.decided, 0)
    })
  })
}

/** More than the first. All of these shuffled is one in 4,096. */
const TRIES = 3

/**
 * Whether a command has several `--subnet` of one family. Docker's client keeps them in a Go map and sends them in the order in which
 * it happens to walk it, the other way round once in eight times; what is recorded is one order.
 */
function shufflesSubnets(base: string, name: string): boolean {
  const lines = readFileSync(path.join(base, 'scenarios', `${name}.scn`), 'utf8').split('\n')
  return lines.some((line) => (line.match(/--subnet[= ][\d.]+\//g) ?? []).length > 1)
}

/**
 * What is not there by its name, but is by its id: a name of hexadecimal digits alone may be how another container's id begins. For one of two
 * digits that is one in 256 for each container.
 */
function whyFound(stdout: string): string | undefined {
  const name = /^-.*\bNo such container: ([0-9a-f]{1,11})$/m.exec(stdout)?.[1]
  return name === undefined ? undefined : `an id may begin with '${name}'`
}

/** A limit of time in a command, tries in so much of it, a terminal that is typed at after pauses, or what runs meanwhile. */
const TIMED = /@pty|@retry=|!collect| -[wWm] ?\d|\btimeout \d|\+time=|\b(wget|nc|curl|ping|iperf3)\b/

/**
 * What the machine's standing still for a second explains: that nothing failed but steps with a limit of time of their own, such as
 * `ping -W 1`, or that come after a pause, or tries, in which something was to become ready. What is wrong with the daemon fails again.
 */
function whyLate(base: string, name: string, stdout: string): string | undefined {
  const lines = readFileSync(path.join(base, 'scenarios', `${name}.scn`), 'utf8').split('\n')
  const failed = failedSteps(stdout)
    .filter((block) => !isDecided(block))
    .map((block) => {
      const [, line, command] = /^FAIL \S+ step \d+ \(line (\d+)\): (.*)/.exec(block)!
      const index = Number(line) - 1
      return { line, index, text: `${lines[index]} ${command}` }
    })
  const isLate = failed.every(
    ({ index, text }) => TIMED.test(text) || lines.slice(Math.max(0, index - 3), index).some((each) => /^!sleep|^@retry=/.test(each))
  )
  return failed.length > 0 && isLate ? `what failed has limits of time: lines ${failed.map(({ line }) => line).join(', ')}` : undefined
}

interface Outcome {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Failed by decision alone. */
  readonly decided: number
  readonly stdout: string
}

async function compareOnce(lab: DockerLab, base: string, name: string): Promise<Outcome> {
  const { status, stdout, stderr } = await lab.run(path.join(ORACLE, 'compare'), ['--base', base, name], around(lab))
  const last = /^(\d+) passed, (\d+) failed$/m.exec(stdout)
  assert.ok(last, `compare did not finish:\n${stdout}${stderr}${lab.logEnd()}`)
  const [passed, failed] = last.slice(1).map(Number) as [number, number]
  assert.equal(status, failed > 0 ? 1 : 0, stdout)
  const skipped = Number(/^(\d+) steps skipped/m.exec(stdout)?.[1] ?? 0)
  return { passed, failed, skipped, decided: failedSteps(stdout).filter(isDecided).length, stdout }
}

/** What the scenarios call besides docker: the daemon's host, the host outside, its DNS server's log, and a `nc`. */
function around({ folder, prefix }: DockerLab): Record<string, string> {
  const bin = path.join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  // The recording machine's nc says nothing of a connection that is refused.
  writeFileSync(path.join(bin, 'nc'), '#!/bin/sh\nexec busybox nc "$@" 2> /dev/null\n', { mode: 0o755 })
  return {
    ORACLE_HOST: `nsenter --net=/run/netns/${prefix}1`,
    ORACLE_OUTSIDE: `nsenter --net=/run/netns/${prefix}out`,
    ORACLE_DNSLOG: path.join(folder, 'dns.log'),
    PATH: `${bin}:${process.env['PATH']}`
  }
}

/** What is printed of each, from its FAIL on. */
function failedSteps(stdout: string): string[] {
  return stdout.split(/^(?=FAIL \S+ +step )/m).filter((block) => block.startsWith('FAIL ') && block.includes(' step '))
}

/**
 * Whether a step differs in nothing but what docker's client does by chance, or what a host of ours has other than Docker's, by decision
 * (src/network/uplinks/host/README.md):
 *
 * - an interface's txqueuelen: a TAP has a queue, a veth has none, and a TAP without one drops every frame. The oracle means to
 *   mask it, but its mask looks for the interface's name before it, and a step that sorts lines has it after;
 * - netloom0, by which routed packets come to the host;
 * - docker0 has a carrier also without containers: it is a TAP that the daemon holds.
 */
function isDecided(block: string): boolean {
  const side = (block: string, sign: string): string =>
    block
      .split('\n')
      .filter((line) => (line.startsWith(sign) || line.startsWith(' ')) && !line.startsWith(sign.repeat(3)))
      .map((line) => line.slice(1))
      .join('\n')
      .replace(/txqueuelen:\d+/g, 'txqueuelen:<q>')
      .replace(/^netloom0 .*\n(?:.+\n?)*/m, '')
      .replace(/^(docker0 (?:.*\n){1,3}? +UP BROADCAST) RUNNING/m, '$1')
      .trimEnd()
  const isQueue = block.includes('txqueuelen') && side(block, '-') === side(block, '+')
  return isQueue || isEncryption(block, side) || isCancelledWait(block, side)
}

/**
 * `docker run -d` of client 20.10 gives up its own request to wait for the container as it ends, and tells so when it is not quick
 * enough to have ended.
 */
function isCancelledWait(block: string, side: (block: string, sign: string) => string): boolean {
  const told = /\n--- stderr\ntime="<time>" level=error msg="error waiting for container: context canceled"(?=\n|$)/
  return / run -\w*d/.test(block) && told.test(side(block, '+')) && side(block, '+').replace(told, '') === side(block, '-')
}

/**
 * Encrypted overlay networks are refused until there are any: Docker makes one, shows its options and lists it. To go on without
 * encryption, as if it were there, would be worse than a difference.
 */
function isEncryption(block: string, side: (block: string, sign: string) => string): boolean {
  if (/network create .*-o encrypted/.test(block))
    return side(block, '+').includes('encrypted overlay networks are not part of netloom yet')
  if (/network inspect .* enc$/m.test(block)) return /network enc not found|No such network: enc/.test(side(block, '+'))
  return (
    side(block, '-').includes('\nenc overlay global\n') && side(block, '-').replace('\nenc overlay global\n', '\n') === side(block, '+')
  )
}

function counts({ passed, failed, skipped }: Pick<Outcome, 'passed' | 'failed' | 'skipped'>): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} steps skipped` : ''}`
}
