/** `docker stats`: processor and memory from the sandbox, network counters from the engine's ports. */
import { readFile } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import type { SandboxUsage } from '../../sandbox/sandbox.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { formatTime, NEVER } from './container-status.ts'

const INTERVAL_MS = 1000

/** Nanoseconds of one of the kernel's clock ticks, USER_HZ = 100. */
const TICK_NS = 10_000_000n

interface Sample {
  readonly read: string
  readonly cpu: Record<string, unknown>
}

const NO_CPU = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 }
}

/** Samples as the API shows them. The first has the figures of an earlier one beside its own, unless `oneShot`: rates need two. */
export async function* containerStats(
  container: Container,
  context: ContainerContext,
  { stream, oneShot, gone }: { stream: boolean; oneShot: boolean; gone: AbortSignal }
): AsyncGenerator<unknown> {
  let before: Sample = { read: NEVER, cpu: NO_CPU }
  // An ended container has nothing to measure: Docker answers once, with zeros.
  if (!oneShot && container.state.Running) {
    before = (await sample(container, context)).sample
    await interval(context, gone)
  }
  for (;;) {
    if (gone.aborted || context.options.registry.get(container.id) === undefined) return
    const { sample: now, members } = await sample(container, context)
    const { name, id } = container
    yield { read: now.read, preread: before.read, ...members, cpu_stats: now.cpu, precpu_stats: before.cpu, name: `/${name}`, id }
    if (!stream) return
    before = now
    await interval(context, gone)
  }
}

async function sample(container: Container, context: ContainerContext): Promise<{ sample: Sample; members: Record<string, unknown> }> {
  const { sandbox, state } = container
  const shared = { num_procs: 0, storage_stats: {} }
  const blkio = { io_service_bytes_recursive: null, io_serviced_recursive: null, io_queue_recursive: null, io_service_time_recursive: null }
  const blkio_stats = {
    ...blkio,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null
  }
  const idle = { sample: { read: NEVER, cpu: NO_CPU }, members: { pids_stats: {}, blkio_stats, ...shared, memory_stats: {} } }
  if (!state.Running || sandbox === null) return idle
  // It may end at this very moment.
  const usage = await sandbox.usage().catch(() => null)
  if (usage === null) return idle
  const networks = context.options.networking.counters(container)
  const members = {
    pids_stats: { current: usage.pids, ...(usage.pidsLimit !== null && { limit: usage.pidsLimit }) },
    blkio_stats,
    ...shared,
    memory_stats: { usage: usage.memory, max_usage: usage.memory, stats: {}, limit: usage.memoryLimit ?? totalmem() },
    ...(Object.keys(networks).length > 0 && { networks })
  }
  return { sample: { read: formatTime(context.now()), cpu: await cpuStats(usage) }, members }
}

async function cpuStats({ cpu }: SandboxUsage): Promise<Record<string, unknown>> {
  const online = availableParallelism()
  const total = Number(cpu)
  return {
    ...NO_CPU,
    cpu_usage: { total_usage: total, usage_in_kernelmode: 0, usage_in_usermode: total },
    system_cpu_usage: Number(await systemCpu()),
    online_cpus: online
  }
}

/** Nanoseconds that all processors of the machine have spent, idle or not (proc(5), /proc/stat). */
async function systemCpu(): Promise<bigint> {
  const [line = ''] = (await readFile('/proc/stat', 'latin1')).split('\n', 1)
  // user nice system idle iowait irq softirq; what follows is contained in these.
  const ticks = line.trim().split(/\s+/).slice(1, 8).map(BigInt)
  return ticks.reduce((sum, value) => sum + value, 0n) * TICK_NS
}

function interval({ options }: ContainerContext, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      gone.removeEventListener('abort', done)
      cancel()
      resolve()
    }
    const cancel = options.timers.after(INTERVAL_MS, done)
    gone.addEventListener('abort', done, { once: true })
  })
}
