/**
 * Node's own options for a thread of ours: those of the process, less `--input-type`, which speaks of the program's text and
 * makes Node refuse a thread that is a file (`node --input-type=module -e ...`).
 */
export function workerArguments(): string[] {
  return process.execArgv.filter((argument) => !argument.startsWith('--input-type'))
}
