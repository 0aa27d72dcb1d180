/** Headings of `netloom --help`. */
export const CommandGroup = {
  run: 'Run a network:',
  lab: 'Labs of several hosts:',
  docker: "Docker's commands, against `netloom daemon`:",
  machine: 'This machine:'
} as const
