/** The options of `run` and `create`, by docker's names. */
import type { Command } from 'commander'
import { collect, type HostOption } from './docker-command.ts'
import { RESOURCE_OPTIONS, type ResourceOptions } from './resource-options.ts'

/** As commander gives them: absent when not on the command line. */
export interface CreateOptions extends HostOption, ResourceOptions {
  readonly addHost?: string[]
  readonly annotation?: string[]
  readonly attach?: string[]
  readonly capAdd?: string[]
  readonly capDrop?: string[]
  readonly cidfile?: string
  readonly cpuCount?: string
  readonly cpuPercent?: string
  readonly dns?: string[]
  readonly dnsOption?: string[]
  readonly dnsOpt?: string[]
  readonly dnsSearch?: string[]
  readonly domainname?: string
  readonly entrypoint?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly expose?: string[]
  readonly groupAdd?: string[]
  readonly healthCmd?: string
  readonly healthInterval?: string
  readonly healthRetries?: string
  readonly healthStartInterval?: string
  readonly healthStartPeriod?: string
  readonly healthTimeout?: string
  /** False after --no-healthcheck. */
  readonly healthcheck?: boolean
  readonly hostname?: string
  readonly init?: boolean
  readonly interactive?: boolean
  readonly ioMaxbandwidth?: string
  readonly ioMaxiops?: string
  readonly ip?: string
  readonly ip6?: string
  readonly ipc?: string
  readonly label?: string[]
  readonly labelFile?: string[]
  readonly link?: string[]
  readonly linkLocalIp?: string[]
  readonly logDriver?: string
  readonly logOpt?: string[]
  readonly macAddress?: string
  readonly mount?: string[]
  readonly name?: string
  readonly network?: string[]
  readonly net?: string[]
  readonly networkAlias?: string[]
  readonly netAlias?: string[]
  readonly pid?: string
  readonly platform?: string
  readonly privileged?: boolean
  readonly publish?: string[]
  readonly publishAll?: boolean
  readonly pull?: string
  readonly quiet?: boolean
  readonly readOnly?: boolean
  readonly restart?: string
  readonly rm?: boolean
  readonly securityOpt?: string[]
  readonly stopSignal?: string
  readonly stopTimeout?: string
  readonly sysctl?: string[]
  readonly tmpfs?: string[]
  readonly tty?: boolean
  readonly user?: string
  readonly userns?: string
  readonly uts?: string
  readonly volume?: string[]
  readonly volumesFrom?: string[]
  readonly workdir?: string
}

/** flags, description; `*` at the end: may be repeated. */
const OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--add-host <name:address>*', 'a line for /etc/hosts'],
  ['--annotation <key=value>*', 'a note for the OCI runtime; without effect here'],
  ['-a, --attach <stream>*', 'join stdin, stdout or stderr'],
  ['--cap-add <capability>*', 'a capability more'],
  ['--cap-drop <capability>*', 'a capability less'],
  ['--cidfile <file>', "write the container's id there"],
  ['--cpu-count <n>', 'of Windows'],
  ['--cpu-percent <percent>', 'of Windows'],
  ['--disable-content-trust', 'taken for compatibility: nothing is downloaded'],
  ['--dns <address>*', 'a name server'],
  ['--dns-option <option>*', 'an option of the resolver'],
  ['--dns-opt <option>*', 'the same'],
  ['--dns-search <domain>*', 'a search domain'],
  ['--domainname <name>', "the domain in the container's host name"],
  ['--entrypoint <program>', "in place of the image's"],
  ['-e, --env <name=value>*', 'a variable of the environment; a name alone takes the value from here'],
  ['--env-file <file>*', 'variables, one a line'],
  ['--expose <port>*', 'a port that others may know of'],
  ['--group-add <group>*', 'a group more'],
  ['--health-cmd <command>', 'a command that tells by its exit status whether it is well'],
  ['--health-interval <duration>', 'between two such checks: 30s, 1m30s, 500ms'],
  ['--health-retries <n>', 'so many failures in a row make it unhealthy'],
  ['--health-start-interval <duration>', 'of later versions of the API'],
  ['--health-start-period <duration>', 'in which failures do not count'],
  ['--health-timeout <duration>', 'that one check may take'],
  ['--no-healthcheck', "none, not the image's either"],
  ['-h, --hostname <name>', 'the host name in the container'],
  ['--init', 'a small PID 1 that passes signals on and buries orphans'],
  ['-i, --interactive', 'keep stdin open'],
  ['--io-maxbandwidth <bytes>', 'of Windows'],
  ['--io-maxiops <n>', 'of Windows'],
  ['--ip <address>', 'an IPv4 address of the network'],
  ['--ip6 <address>', 'an IPv6 address of the network'],
  ['--ipc <mode>', 'IPC namespace'],
  ['-l, --label <key=value>*', 'a label'],
  ['--label-file <file>*', 'labels, one a line'],
  ['--link <container[:alias]>*', 'a name for another container'],
  ['--link-local-ip <address>*', 'a link-local address'],
  ['--log-driver <driver>', 'who keeps the output'],
  ['--log-opt <key=value>*', 'a setting of who keeps the output'],
  ['--mac-address <mac>', 'made from the address by default'],
  ['--mount <mount>*', 'type=bind,source=...,target=...[,readonly]'],
  ['--name <name>', "the container's name"],
  ['--network <network>*', 'a network, host, none or container:NAME'],
  ['--net <network>*', 'the same'],
  ['--network-alias <name>*', 'one more name on the network'],
  ['--net-alias <name>*', 'the same'],
  ['--pid <mode>', 'PID namespace'],
  ['--platform <platform>', 'as linux/amd64'],
  ['--privileged', 'all capabilities'],
  ['-p, --publish <[[address:]port:]port>*', 'let the outside reach a port'],
  ['-P, --publish-all', 'let the outside reach every exposed port'],
  ['--pull <when>', 'always, missing or never: nothing is downloaded all the same'],
  ['-q, --quiet', 'no word about missing images'],
  ['--read-only', 'a root that cannot be written'],
  ['--restart <policy>', 'no, on-failure[:n], always or unless-stopped'],
  ['--rm', 'remove it when it ends'],
  ['--security-opt <option>*', 'taken for compatibility'],
  ['--stop-signal <signal>', 'that `stop` sends'],
  ['--stop-timeout <seconds>', 'that `stop` waits'],
  ['--sysctl <name=value>*', 'a kernel setting of its namespaces'],
  ['--tmpfs <path[:options]>*', 'a folder in memory'],
  ['-t, --tty', 'with a terminal'],
  ['-u, --user <user[:group]>', 'who runs it'],
  ['--userns <mode>', 'user namespace'],
  ['--uts <mode>', 'UTS namespace'],
  ['-v, --volume <host:container[:ro]>*', 'a folder of the host'],
  ['--volumes-from <container>*', "another container's volumes"],
  ['-w, --workdir <folder>', 'where it runs']
]

export function withCreateOptions(command: Command): Command {
  command.helpOption('--help', 'print this help')
  for (const [flags, description] of [...OPTIONS, ...RESOURCE_OPTIONS]) {
    if (flags.endsWith('*')) command.option(flags.slice(0, -1), `${description}; may be repeated`, collect)
    else command.option(flags, description)
  }
  return command
}
