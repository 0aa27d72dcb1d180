/**
 * The docker suite: netloom's daemon beside a real dockerd where one is installed (bench/docker). Rounds alternate between the two,
 * the order reversed every other round; ratios are taken round by round.
 */
import type { DaemonKind } from '../../test/docker-lab/docker-lab.ts'
import type { BenchSuite, Metric, SuiteOptions, SuiteReport } from '../bench-suite.ts'
import { type CrowdResult, measureCrowd } from '../docker/crowd.ts'
import { DockerPeer, dockerdVersion, peerMissing } from '../docker/docker-peer.ts'
import { type DnsTrial, measureNameService, prepareNameService } from '../docker/name-service.ts'
import { measureOperations, OPERATIONS, type Operation, type OperationTimes, prepareOperations } from '../docker/operations.ts'
import { markdownTable } from '../markdown-table.ts'
import { estimate, pairedRatios } from '../system/statistics.ts'

const CASES = ['operations', 'dns', 'crowd'] as const
type Case = (typeof CASES)[number]

/** One value a round, by daemon; null where a trial failed. */
type ByPeer<T> = Record<DaemonKind, (T | null)[]>

interface Results {
  readonly operations: ByPeer<OperationTimes>
  readonly dns: ByPeer<DnsTrial>
  readonly dnsBulk: ByPeer<DnsTrial>
  crowd: CrowdResult | null
  readonly problems: string[]
}

export const suite: BenchSuite = {
  name: 'docker',
  title: "Docker's API: netloom's daemon beside dockerd",
  list: () => CASES,
  async run(options: SuiteOptions): Promise<SuiteReport> {
    const chosen = new Set<string>(options.only?.split(',') ?? CASES)
    const missing = { netloom: peerMissing('netloom'), dockerd: peerMissing('dockerd') }
    if (missing.netloom !== null) return { text: `not run: ${missing.netloom}`, metrics: [], charts: [], problems: [missing.netloom] }
    const kinds: DaemonKind[] = missing.dockerd === null ? ['netloom', 'dockerd'] : ['netloom']
    const result: Results = { operations: empty(), dns: empty(), dnsBulk: empty(), crowd: null, problems: [] }
    if (chosen.has('operations')) await rounds(kinds, 'operations', options, result)
    if (chosen.has('dns')) await rounds(kinds, 'dns', options, result)
    if (chosen.has('crowd')) await crowd(options, result)
    const beside = missing.dockerd === null ? `dockerd ${dockerdVersion()}` : `no dockerd (${missing.dockerd})`
    return { text: report(result, beside), metrics: metrics(result), charts: charts(result), problems: result.problems }
  }
}

function empty<T>(): ByPeer<T> {
  return { netloom: [], dockerd: [] }
}

async function rounds(kinds: DaemonKind[], what: Exclude<Case, 'crowd'>, options: SuiteOptions, result: Results): Promise<void> {
  const count = options.rounds ?? (options.quick ? 2 : what === 'operations' ? 25 : 9)
  const seconds = options.seconds ?? (options.quick ? 1 : 5)
  const peers: DockerPeer[] = []
  try {
    for (const kind of kinds) peers.push(await DockerPeer.start(kind))
    for (const peer of peers) await (what === 'operations' ? prepareOperations(peer) : prepareNameService(peer))
    // The first round warms both up and is not kept.
    for (let round = -1; round < count && !options.signal.aborted; round++) {
      for (const peer of round % 2 === 0 ? peers : [...peers].reverse()) {
        const keep = <T>(into: ByPeer<T>, value: T | null): void => {
          if (round >= 0) into[peer.kind].push(value)
        }
        if (what === 'operations') keep(result.operations, await attempt(() => measureOperations(peer), peer, result))
        else {
          keep(result.dns, await attempt(() => measureNameService(peer, seconds, false), peer, result))
          keep(result.dnsBulk, await attempt(() => measureNameService(peer, seconds, true), peer, result))
        }
      }
      options.progress(`${what}: round ${round + 1} of ${count}`)
    }
  } catch (error) {
    result.problems.push(`${what}: ${(error as Error).message}`)
  } finally {
    for (const peer of peers) peer.close()
  }
}

async function attempt<T>(body: () => Promise<T>, peer: DockerPeer, result: Results): Promise<T | null> {
  try {
    return await body()
  } catch (error) {
    result.problems.push(`${peer.kind}: ${(error as Error).message}`)
    return null
  }
}

/** On netloom alone: as many bridges and processes would keep a real daemon busy for an hour. */
async function crowd(options: SuiteOptions, result: Results): Promise<void> {
  const size = options.quick ? 20 : 1000
  let peer: DockerPeer | null = null
  try {
    peer = await DockerPeer.start('netloom')
    result.crowd = await measureCrowd(peer, size, size, options.progress, options.signal)
  } catch (error) {
    result.problems.push(`crowd: ${(error as Error).message}`)
  } finally {
    peer?.close()
  }
}

const has = <T>({ netloom }: ByPeer<T>): boolean => netloom.some((value) => value !== null)

function column<T>(values: readonly (T | null)[], read: (value: T) => number): (number | null)[] {
  return values.map((value) => (value === null ? null : read(value)))
}

function shown(values: readonly (number | null)[], digits: number): string {
  const { median, low, high, samples } = estimate(values.filter((value) => value !== null))
  return samples === 0 ? '-' : `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`
}

/** How many times `better` is `worse`, by the median of the rounds' ratios. */
function times(worse: readonly (number | null)[], better: readonly (number | null)[]): string {
  const { median, low, high, samples } = estimate(pairedRatios(worse, better))
  return samples === 0 ? '-' : `${median.toFixed(1)} x [${low.toFixed(1)}, ${high.toFixed(1)}]`
}

function report({ operations, dns, dnsBulk, crowd: many }: Results, beside: string): string {
  const parts = [`Beside it: ${beside}. Both in namespaces of their own, with the same images, in the same run.`]
  if (has(operations)) {
    const row = (operation: Operation): string[] => {
      const [ours, theirs] = [operations.netloom, operations.dockerd].map((values) => column(values, (value) => value[operation]))
      return [OPERATIONS[operation], shown(ours, 2), shown(theirs, 2), times(theirs, ours)]
    }
    parts.push(
      `Operations over one HTTP connection, median of ${operations.netloom.length} rounds [96 % confidence interval]:`,
      markdownTable([['operation', 'netloom, ms', 'dockerd, ms', 'faster'], ...(Object.keys(OPERATIONS) as Operation[]).map(row)])
    )
  }
  if (has(dns)) {
    const rows = (
      [
        ['alone', dns],
        ['beside a bulk TCP transfer', dnsBulk]
      ] as const
    ).flatMap(([title, trials]) =>
      (['netloom', 'dockerd'] as const)
        .filter((kind) => trials[kind].length > 0)
        .map((kind) => [
          `${title}: ${kind}`,
          shown(
            column(trials[kind], ({ queriesPerSecond }) => queriesPerSecond),
            0
          ),
          shown(
            column(trials[kind], ({ latency }) => latency),
            3
          ),
          String(trials[kind].reduce((sum, trial) => sum + (trial?.lost ?? 0), 0)),
          trials === dns
            ? '-'
            : shown(
                column(trials[kind], ({ bulk }) => bulk / 1e9),
                2
              )
        ])
    )
    const ratio = (trials: ByPeer<DnsTrial>): string =>
      times(
        column(trials.netloom, ({ queriesPerSecond }) => queriesPerSecond),
        column(trials.dockerd, ({ queriesPerSecond }) => queriesPerSecond)
      )
    parts.push(
      `dnsperf, 4 clients, in a container against 127.0.0.11, ${dns.netloom.length} rounds; netloom answers ${ratio(dns)} as many alone, ${ratio(dnsBulk)} beside the transfer:`,
      markdownTable([['', 'queries/s', 'latency, ms', 'lost, all rounds', 'transfer, Gbit/s'], ...rows])
    )
  }
  if (many !== null) {
    const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`
    parts.push(
      `${many.networks.toLocaleString('en')} networks and ${many.containers.toLocaleString('en')} running containers at once, one on each:`,
      markdownTable([
        ['', 'netloom'],
        ['networks created', `${many.networkSeconds.toFixed(1)} s`],
        ['containers created and started', `${many.containerSeconds.toFixed(1)} s`],
        [`daemon and ${many.shims} shims, RSS`, mib(many.rss)],
        [`daemon and ${many.shims} shims, PSS`, mib(many.pss)],
        ['daemon alone, RSS', mib(many.daemonRss)],
        ['GET /containers/json?all=1', `${many.listContainers.toFixed(1)} ms`],
        ['GET /networks', `${many.listNetworks.toFixed(1)} ms`],
        ['kill -9 of the daemon to the next one answering', `${many.restartSeconds.toFixed(1)} s`],
        ['containers running after that', String(many.restored)]
      ])
    )
  }
  return parts.join('\n\n')
}

function metrics({ operations, dns, dnsBulk, crowd: many }: Results): Metric[] {
  const list: Metric[] = []
  const add = (name: string, unit: string, better: Metric['better'], values: readonly (number | null)[]): void => {
    const samples = values.filter((value) => value !== null)
    if (samples.length > 0) list.push({ name, unit, better, samples })
  }
  for (const kind of ['netloom', 'dockerd'] as const) {
    for (const operation of Object.keys(OPERATIONS) as Operation[]) {
      add(
        `${kind}: ${operation}`,
        'ms',
        'less',
        column(operations[kind], (value) => value[operation])
      )
    }
    for (const [name, trials] of [
      ['dns', dns],
      ['dns beside bulk', dnsBulk]
    ] as const) {
      add(
        `${kind}: ${name}`,
        'queries/s',
        'more',
        column(trials[kind], ({ queriesPerSecond }) => queriesPerSecond)
      )
      add(
        `${kind}: ${name}, lost`,
        'queries',
        'less',
        column(trials[kind], ({ lost }) => lost)
      )
    }
    add(
      `${kind}: bulk beside dns`,
      'bit/s',
      'more',
      column(dnsBulk[kind], ({ bulk }) => bulk)
    )
  }
  if (many !== null) {
    for (const [name, unit] of [
      ['rss', 'bytes'],
      ['pss', 'bytes'],
      ['daemonRss', 'bytes'],
      ['networkSeconds', 's'],
      ['containerSeconds', 's'],
      ['listContainers', 'ms'],
      ['listNetworks', 'ms'],
      ['restartSeconds', 's']
    ] as const) {
      add(`crowd: ${name}`, unit, 'less', [many[name]])
    }
  }
  return list
}

function charts({ operations, dns, dnsBulk }: Results): SuiteReport['charts'] {
  const kinds = (trials: ByPeer<unknown>): DaemonKind[] =>
    (['netloom', 'dockerd'] as const).filter((kind) => has({ netloom: trials[kind], dockerd: [] }))
  return [
    ...(['network', 'container'] as const)
      .filter(() => has(operations))
      .map((operation) => ({
        title: OPERATIONS[operation],
        unit: 'ms',
        bars: kinds(operations).map((kind) => ({ label: kind, metric: `${kind}: ${operation}` }))
      })),
    ...(
      [
        ['dns', dns],
        ['dns beside bulk', dnsBulk]
      ] as const
    )
      .filter(([, trials]) => has(trials))
      .map(([name, trials]) => ({
        title: name === 'dns' ? 'DNS in a container' : 'DNS in a container beside a bulk transfer',
        unit: 'queries/s',
        bars: kinds(trials).map((kind) => ({ label: kind, metric: `${kind}: ${name}` }))
      }))
  ]
}
