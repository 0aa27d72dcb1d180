// Follows a document command by command with the real client, and compares with what the document shows. Identifiers, times and
// counters are masked; what a document shows is searched in the answer line by line, in order, so a newer client may show more.
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { DockerLab, daemonKind, type LabOptions, labMissing } from './docker-lab.ts'
import { KEYS, TerminalSession } from './terminal-session.ts'

/** A line typed into a shell in a container, and what is shown for it. */
export interface TypedLine {
  readonly line: string
  readonly shows?: string
  /** Must not be shown. */
  readonly hides?: string
  /** Seconds until Ctrl-C. */
  readonly interruptAfter?: number
}

export interface SeedStep {
  /** A shell command, as the document has it. */
  readonly run: string
  readonly shows?: string
  readonly hides?: string
  /** Members that the JSON that is shown must have; those of the document. A string '<...>' stands for any that is not empty. */
  readonly json?: unknown
  /** The command is refused. */
  readonly fails?: boolean
  /** Typed into the shell that the command opens; then detached from, or left by `exit` when `exits`. */
  readonly typed?: readonly TypedLine[]
  readonly exits?: boolean
  /** Tried again until it shows that, a minute at most: what --rm removes is gone a moment later. */
  readonly eventually?: boolean
}

/** busybox's ping with `count` answers; one hop on the way takes one from `ttl`. */
export function pings(name: string, address: string, count: number, ttl = 64): string {
  const answers = Array.from({ length: count }, (_, seq) => `64 bytes from ${address}: seq=${seq} ttl=${ttl}`)
  return [
    `PING ${name} (${address}): 56 data bytes`,
    ...answers,
    `--- ${name} ping statistics ---`,
    `${count} packets transmitted, ${count} packets received, 0% packet loss`
  ].join('\n')
}

/** With a second host it is `$ORACLE_DOCKER2`. */
export function followSeed(title: string, steps: readonly SeedStep[], { cluster = false, double = cluster }: LabOptions = {}): void {
  describe(title, { skip: cluster ? labMissing('script', 'etcd') : labMissing('script') }, () => {
    let lab: DockerLab
    let passed = 0
    let repeated = 0
    before(async () => {
      lab = new DockerLab('seed', daemonKind(), { cluster, double })
      lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--uplink host'
      await lab.up()
      // A real daemon lists the gateway of its network bridge from the second start on.
      if (lab.kind === 'dockerd') await lab.reset()
    })
    after(() => lab.down())

    for (const [index, step] of steps.entries()) {
      test(`${index + 1}. ${step.run.replace(/\s+/g, ' ').slice(0, 100)}`, async (context) => {
        const isWaiting = step.eventually || (step.typed === undefined && isFetch(step.run))
        const most = isWaiting ? PATIENCE : step.typed === undefined ? triesOf(step.run) : 1
        let tries = 0
        await tryUpTo(most, context, () => {
          tries++
          return follow(lab, step, context)
        })
        if (!isWaiting && tries > 1) repeated++
        passed++
      })
    }
    test('in all', (context) => {
      context.diagnostic(`${title}: ${passed} of ${steps.length} steps as shown`)
      assert.equal(passed, steps.length)
      assert.ok(repeated <= MOST_REPEATED, `${repeated} steps passed by being repeated: a machine that stands still is rare`)
    })
  })
}

/** How often something is tried that comes in its own time, as a server listens a moment after its container was started: a minute. */
const PATIENCE = 300
/** How often ping is: what it counts in four seconds is less on a machine that stood still for one of them. */
const PROBES = 6
/** Of pings, in a whole document: a first packet that is always lost would make it more. */
const MOST_REPEATED = 3

/** Whether a command does nothing but ask others over the network, so that it can be asked again. */
function isProbe(command: string): boolean {
  return /^(docker exec|\$ORACLE_DOCKER2 exec|nsenter|ping|curl|wget) /.test(command) && /(^| )(ping|curl|wget) /.test(command)
}

function isFetch(command: string): boolean {
  return isProbe(command) && /(^| )(curl|wget) /.test(command)
}

function triesOf(command: string): number {
  return isFetch(command) ? PATIENCE : isProbe(command) ? PROBES : 1
}

async function tryUpTo(most: number, context: TestContext, attempt: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (tries === most) throw error
      context.diagnostic(`once more: ${(error as Error).message.split('\n')[0]}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

async function follow(lab: DockerLab, step: SeedStep, context: TestContext): Promise<void> {
  if (step.typed !== undefined) return followTyped(lab, step, context)
  const { status, stdout, stderr } = await lab.run('sh', ['-c', step.run])
  const output = `${stdout}${stderr}`
  if (step.fails) assert.notEqual(status, 0, `it was not refused:\n${output}`)
  else assert.equal(status, 0, output)
  compare(output, step)
  if (step.json !== undefined) assertHas(JSON.parse(stdout), step.json, '')
}

async function followTyped(lab: DockerLab, step: SeedStep, context: TestContext): Promise<void> {
  const session = new TerminalSession(lab, step.run)
  try {
    await session.prompt()
    for (const typed of step.typed!) {
      await tryUpTo(triesOf(typed.line), context, async () => compare(await session.type(typed.line, typed.interruptAfter), typed))
    }
    if (step.exits) session.press('exit\r')
    else session.press(KEYS.detach)
    await session.end()
  } finally {
    session.close()
  }
}

/** One blank for many; what is never twice the same as a word. */
function masked(text: string): string[] {
  return text
    .replace(/time=[\d.]+ ms/g, '')
    .replace(/\b[0-9a-f]{64}\b/g, '<ID>')
    .replace(/\b[0-9a-f]{12}\b/g, '<id>')
    .replace(/^\d+: (?=\w)/gm, '<n>: ')
    .replace(/@if\d+/g, '')
    .replace(/:\d{5}->/g, ':<port>->')
    .replace(/([RT]X (packets|bytes)):\d+( \([^)]*\))?/g, '$1:<n>')
    .replace(/(dropped|txqueuelen):\d+/g, '$1:<n>')
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
}

function compare(output: string, { shows, hides }: { shows?: string; hides?: string }): void {
  const lines = masked(output)
  let at = 0
  for (const wanted of masked(shows ?? '')) {
    const found = lines.findIndex((line, index) => index >= at && line.includes(wanted))
    assert.ok(found >= 0, `'${wanted}' is not shown (in this order) in:\n${output}`)
    at = found + 1
  }
  if (hides !== undefined) assert.ok(!output.includes(hides), `'${hides}' is shown in:\n${output}`)
}

/** Does `value` have all that `wanted` has? */
function assertHas(value: unknown, wanted: unknown, where: string): void {
  if (typeof wanted === 'string' && /^<.*>$/.test(wanted))
    return assert.ok(typeof value === 'string' && value !== '', `${where} is ${value}`)
  if (typeof wanted !== 'object' || wanted === null) return assert.deepEqual(value, wanted, where)
  assert.ok(typeof value === 'object' && value !== null, `${where} is ${value}`)
  if (Array.isArray(wanted)) assert.equal((value as unknown[]).length, wanted.length, where)
  const isContainers = where.endsWith('.Containers')
  if (isContainers) {
    // By name: the document's ids are not ours.
    const byName = (object: object) => Object.fromEntries(Object.values(object).map((each) => [(each as { Name: string }).Name, each]))
    const [ours, theirs] = [byName(value), byName(wanted)]
    assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort(), where)
    for (const [name, each] of Object.entries(theirs)) assertHas(ours[name], each, `${where}['${name}']`)
    return
  }
  for (const [key, each] of Object.entries(wanted)) {
    assert.ok(key in value, `${where}.${key} is missing`)
    assertHas((value as Record<string, unknown>)[key], each, `${where}.${key}`)
  }
}
