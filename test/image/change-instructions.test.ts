import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyChanges } from '../../src/image/change-instructions.ts'
import type { ImageConfig } from '../../src/image/image-config.ts'

const CASES: readonly [change: string | string[], expected: Partial<ImageConfig>][] = [
  ['CMD ["httpd","-f"]', { Cmd: ['httpd', '-f'] }],
  ['cmd echo "$HOME"', { Cmd: ['/bin/sh', '-c', 'echo "$HOME"'] }],
  ["CMD ['single']", { Cmd: ['/bin/sh', '-c', "['single']"] }],
  ['CMD []', { Cmd: [] }],
  ['ENTRYPOINT ["/init"]', { Entrypoint: ['/init'] }],
  ['ENV A=1 B="two words" C=three\\ words', { Env: ['A=1', 'B=two words', 'C=three words'] }],
  ['ENV A the rest of it', { Env: ['A=the rest of it'] }],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own braces
  [['ENV A=1', 'ENV B=$A-${A}-${C:-none}', 'ENV A=2'], { Env: ['B=1-1-none', 'A=2'] }],
  ["ENV A='$B'", { Env: ['A=$B'] }],
  ['EXPOSE 80 53/udp 8000-8002/tcp', { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} } }],
  ['LABEL a=1 "b c"="d e"', { Labels: { a: '1', 'b c': 'd e' } }],
  [['LABEL a=1', 'LABEL a=2 b=3'], { Labels: { a: '2', b: '3' } }],
  ['USER 1000:100', { User: '1000:100' }],
  [['WORKDIR /srv', 'WORKDIR app/../web'], { WorkingDir: '/srv/web' }],
  ['VOLUME /data /log', { Volumes: { '/data': {}, '/log': {} } }],
  ['VOLUME ["/my data"]', { Volumes: { '/my data': {} } }],
  ['STOPSIGNAL SIGQUIT', { StopSignal: 'SIGQUIT' }],
  ['STOPSIGNAL 9', { StopSignal: '9' }],
  ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
  [
    'HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f localhost',
    { Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost'], Interval: 90e9, Retries: 3 } }
  ],
  ['HEALTHCHECK --timeout=1.5s CMD ["check"]', { Healthcheck: { Test: ['CMD', 'check'], Timeout: 1.5e9 } }],
  ['ONBUILD RUN make', { OnBuild: ['RUN make'] }],
  ['# nothing\n\nUSER a', { User: 'a' }]
]

const ERRORS: readonly [change: string, message: string][] = [
  ['RUN make', 'run is not a valid change command'],
  ['FROM x', 'from is not a valid change command'],
  ['NONSENSE x', 'nonsense is not a valid change command'],
  ['__proto__ x', '__proto__ is not a valid change command'],
  ['ENV', 'ENV requires at least one argument'],
  ['ENV A', 'ENV must have two arguments'],
  ['ENV A=1 B', 'Syntax error - can\'t find = in "B". Must be of the form: name=value'],
  ['ENV =x', 'ENV names can not be blank'],
  ['EXPOSE', 'EXPOSE requires at least one argument'],
  ['EXPOSE http', 'invalid containerPort: http'],
  ['EXPOSE 70000', 'invalid containerPort: 70000'],
  ['EXPOSE 80/icmp', 'invalid proto: icmp'],
  ['USER', 'USER requires exactly one argument'],
  ['VOLUME [""]', 'VOLUME specified can not be an empty string'],
  ['STOPSIGNAL SIGNONE', 'Invalid signal: SIGNONE'],
  ['HEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
  ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
  ['HEALTHCHECK TEST', 'Unknown type "TEST" in HEALTHCHECK (try CMD)'],
  ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"]
]

describe('change instructions', () => {
  for (const [change, expected] of CASES) {
    it(`${change}`, () => {
      const config = applyChanges([change].flat())
      for (const [member, value] of Object.entries(expected)) assert.deepEqual(config[member as keyof ImageConfig], value)
    })
  }
  for (const [change, message] of ERRORS) {
    it(`refuses ${change}`, () => assert.throws(() => applyChanges([change]), { name: 'ImageError', code: 'invalid', message }))
  }
})
