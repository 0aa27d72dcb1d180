/** Where Wireshark looks for extcap programs of its user, and the small program that we put there. */
import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { CliError } from '../cli-error.ts'

/** What is known of the machine; tests give their own. */
export interface WiresharkWorld {
  readonly home: string
  /** Output of `tshark -G folders`; '' when there is no tshark. */
  readonly folders: string
  isWritable(folder: string): boolean
}

/** In what we write, so that nothing else is taken away. */
const MARK = '# Made by `netloom wireshark install`'

/**
 * Wireshark from 4.2 on has a folder of its user's own, and says so. Before, there was one for the whole machine alone, which root may
 * write. Throws CliError when there is nothing but a folder that may not be written.
 */
export function extcapFolder({ home, folders, isWritable }: WiresharkWorld): string {
  const personal = /^Personal Extcap path:\s*(\S.*)$/m.exec(folders)?.[1]?.trim()
  if (personal !== undefined) return personal
  const global = /^(?:Global )?Extcap path:\s*(\S.*)$/m.exec(folders)?.[1]?.trim()
  if (global === undefined) return path.join(home, '.local/lib/wireshark/extcap')
  if (isWritable(global)) return global
  throw new CliError(`this Wireshark looks for extcap programs in ${global} alone, which this user may not write`, {
    code: 'ERR_WIRESHARK_FOLDER',
    fix: 'run it as root, or give a folder by --dir and start Wireshark with WIRESHARK_EXTCAP_DIR set to it'
  })
}

/** The nearest folder upwards that is there may be written. */
export function isWritable(folder: string): boolean {
  let at = folder
  while (!existsSync(at) && at !== path.dirname(at)) at = path.dirname(at)
  try {
    accessSync(at, constants.W_OK)
    return true
  } catch {
    return false
  }
}

export interface ExtcapProgram {
  /** Of node and of bin/netloom.js. */
  readonly node: string
  readonly program: string
  /** A daemon other than the one of the user who runs Wireshark. */
  readonly host: string | undefined
  /** Answers that never change: Wireshark asks for them once for each interface. */
  readonly dlts: string
  readonly config: string
}

/**
 * A shell script: Wireshark gives it no environment of ours. It answers itself what is the same for all interfaces, because to start
 * node twice for each of them would keep Wireshark's window waiting.
 */
export function extcapScript({ node, program, host, dlts, config }: ExtcapProgram): string {
  return `#!/bin/sh
${MARK}; \`netloom wireshark uninstall\` takes it away.
for word do
  case $word in
    --extcap-dlts) cat <<'END'
${dlts}END
      exit ;;
    --extcap-config) cat <<'END'
${config}END
      exit ;;
  esac
done
${host === undefined ? '' : `NETLOOM_HOST=${quoted(host)} `}exec ${quoted(node)} ${quoted(program)} extcap "$@"
`
}

export function isOurs(script: string): boolean {
  return script.includes(MARK)
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
