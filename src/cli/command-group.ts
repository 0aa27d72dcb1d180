/** Headings of `netloom --help`. */
export const CommandGroup = {
  run: 'Run a network:',
  machine: 'This machine:'
} as const
