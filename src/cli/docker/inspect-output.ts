/** What `inspect` prints: a JSON list of all that were found, or a template for each; then an error for each that was not. */
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { Template } from '../template/template.ts'
import { isRefusal, refusalText } from './docker-command.ts'

/** `find` throws ClientError; `explain` has the line for it. Ends with an error when one was not found. */
export async function printInspected(
  names: readonly string[],
  find: (name: string) => Promise<unknown>,
  options: { format?: string | undefined },
  context: CliContext,
  explain: (error: Error, name: string) => string = refusalText
): Promise<void> {
  const { format } = options
  const isJson = format === undefined || format === 'json'
  const template = isJson ? undefined : parse(format, context)
  const found: unknown[] = []
  const errors: string[] = []
  for (const name of names) {
    try {
      found.push(await find(name))
    } catch (error) {
      if (!isRefusal(error)) throw error
      errors.push(explain(error, name))
    }
  }
  if (template === undefined) context.stdout.write(format === 'json' ? `${JSON.stringify(found)}\n` : `${indented(found)}\n`)
  // An empty line stands for none at all.
  else if (found.length === 0) context.stdout.write('\n')
  else for (const value of found) context.stdout.write(`${template(value)}\n`)
  for (const line of errors) context.stderr.write(`${line}\n`)
  if (errors.length > 0) context.exitCode = 1
}

function parse(format: string, context: CliContext): (value: unknown) => string {
  try {
    const template = new Template(format)
    return (value) => carryOut(template, value, context)
  } catch (error) {
    throw new CliError(`template parsing error: ${(error as Error).message}`, { code: 'ERR_TEMPLATE', exitCode: 64, isPlain: true })
  }
}

function carryOut(template: Template, value: unknown, context: CliContext): string {
  try {
    return template.execute(value)
  } catch (error) {
    // The line that it would have been.
    context.stdout.write('\n')
    throw new CliError(`template parsing error: ${(error as Error).message}`, { code: 'ERR_TEMPLATE', isPlain: true })
  }
}

/** As Go indents: an empty list or object has nothing between its brackets. */
function indented(value: unknown): string {
  return JSON.stringify(value, null, 4)
}
