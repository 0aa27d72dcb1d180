/**
 * Variables in the texts of a Compose file: `$NAME`, `${NAME}`, and with what stands in for one that is unset (`-`) or also empty
 * (`:-`), what stands there when it is set (`+`, `:+`), and what is said when it is missing (`?`, `:?`). `$$` is a dollar sign.
 */
const VARIABLE = /\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+?])([^}]*))?\}|)/g

/** Throws RangeError: a dollar sign that begins nothing, or what a `?` says. Variables that are unset are empty, as Compose has it. */
export function interpolate(text: string, env: Readonly<NodeJS.ProcessEnv>): string {
  return text.replace(VARIABLE, (whole, dollar?: string, plain?: string, braced?: string, operator = '', word = '') => {
    if (dollar !== undefined) return '$'
    const name = plain ?? braced
    if (name === undefined) throw new RangeError(`'${text}': a variable is $NAME or \${NAME}, a dollar sign is $$ (at '${whole}')`)
    const value = env[name]
    const isThere = value !== undefined && (value !== '' || !operator.startsWith(':'))
    if (operator.endsWith('-')) return isThere ? value : word
    if (operator.endsWith('+')) return isThere ? word : ''
    if (operator.endsWith('?') && !isThere) throw new RangeError(`the variable ${name} is missing${word === '' ? '' : `: ${word}`}`)
    return value ?? ''
  })
}
