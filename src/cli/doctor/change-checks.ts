/** What a daemon changed on this machine, by its journals in the state directory: one check each. */
import path from 'node:path'
import { LOCK_FILE } from '../../daemon/state-lock.ts'
import { PARENT_JOURNAL, PARENT_TABLE_PREFIX } from '../../network/parents/parent-filter.ts'
import { UNDERLAY_JOURNAL, UNDERLAY_TABLE } from '../../network/underlays/tap-underlay.ts'
import { describeChange, JOURNAL_FILE, parseJournal, undoCommand } from '../../network/uplinks/host/host-journal.ts'
import { FILTER_TABLE, LINK_NAME, RULE_PRIORITY, UNDERLAY_TAP } from '../../network/uplinks/host/host-settings.ts'
import { type Check, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'

interface Journal {
  readonly id: string
  readonly file: string
  /** What to look for when the file cannot be read. */
  readonly traces: string
  /** Whether who made the changes is alive. */
  isHeld(machine: Machine, stateDirectory: string): boolean
}

const tableName = ({ family, name }: { family: string; name: string }): string => `a table ${family} ${name}`
/** An interface goes with its holder's descriptor. */
const hasInterface =
  (name: string): Journal['isHeld'] =>
  (machine) =>
    machine.exists(`/sys/class/net/${name}`)

const JOURNALS: readonly Journal[] = [
  {
    id: 'host-changes',
    file: JOURNAL_FILE,
    traces: `a rule of priority ${RULE_PRIORITY} and ${tableName(FILTER_TABLE)}`,
    isHeld: hasInterface(LINK_NAME)
  },
  { id: 'underlay-changes', file: UNDERLAY_JOURNAL, traces: tableName(UNDERLAY_TABLE), isHeld: hasInterface(UNDERLAY_TAP) },
  {
    id: 'parent-changes',
    file: PARENT_JOURNAL,
    traces: tableName({ family: 'inet', name: `${PARENT_TABLE_PREFIX}...` }),
    isHeld: hasDaemon
  }
]

export function checkHostChanges(machine: Machine, stateDirectory: string): Check[] {
  return JOURNALS.map((journal) => checkJournal(machine, stateDirectory, journal))
}

function checkJournal(machine: Machine, stateDirectory: string, { id, file: name, traces, isHeld }: Journal): Check {
  const none = ok(id, 'nothing is changed on this host')
  const file = path.join(stateDirectory, name)
  const text = machine.read(file)
  if (text === null) return none
  try {
    const { namespace, changes } = parseJournal(text, file)
    const boot = machine.read('/proc/sys/kernel/random/boot_id') ?? ''
    if (changes.length === 0 || !namespace.startsWith(`${boot}/`)) return none
    const list = changes.map(describeChange).join('\n')
    if (isHeld(machine, stateDirectory)) return ok(id, `changed by the daemon, until it ends:\n${list}`)
    const commands = changes.toReversed().map(undoCommand)
    return warn(
      id,
      `left by a daemon that was killed:\n${list}`,
      ['start it again, which puts all of it back; or by hand:', ...commands].join('\n')
    )
  } catch (error) {
    return warn(id, (error as Error).message, `look for ${traces}, then: rm ${file}`)
  }
}

/** By the process that wrote its number into the lock; the number may be somebody else's by now. */
function hasDaemon(machine: Machine, stateDirectory: string): boolean {
  const pid = machine.read(path.join(stateDirectory, LOCK_FILE))?.trim()
  return machine.read(`/proc/${pid}/cmdline`)?.split('\0').includes('daemon') ?? false
}
