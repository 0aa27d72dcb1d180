/**
 * Node's own options for a thread of ours: undefined, so that it inherits those of the process, whatever they are. Only
 * `--input-type` makes Node refuse a thread that is a file (`node --input-type=module -e ...`); then none is handed over,
 * since a list must not hold V8's options, which hold for the whole process and cannot be told from the others.
 */
export function workerArguments(): string[] | undefined {
  return process.execArgv.some((argument) => argument.startsWith('--input-type')) ? [] : undefined
}
