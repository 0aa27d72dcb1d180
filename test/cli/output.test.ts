import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Output } from '../../src/cli/output.ts'
import { TextSink } from './fake-world.ts'

const TERMINAL = { columns: 60 }

describe('Output', () => {
  it('prints one JSON document and nothing else with --json', () => {
    const sink = new TextSink(TERMINAL)
    const output = new Output(sink, { json: true, env: {} })
    output.line('for people')
    output.table(['a'], [['1']])
    const progress = output.progress({ label: 'transfer', total: 4 })
    progress.update(2)
    progress.finish()
    output.result({ bytes: 4 })
    assert.deepEqual(JSON.parse(sink.text), { bytes: 4 })
  })

  it('prints no JSON without it', () => {
    const sink = new TextSink()
    const output = new Output(sink, { env: {} })
    output.result({ bytes: 4 })
    output.line('for people')
    assert.equal(sink.text, 'for people\n')
  })

  it('colours on a terminal only, and not with NO_COLOR or a dumb one', () => {
    const styled = (sink: TextSink, env: NodeJS.ProcessEnv) => new Output(sink, { env }).style('red', 'x')
    assert.equal(styled(new TextSink(TERMINAL), {}), '\u001b[31mx\u001b[0m')
    assert.equal(styled(new TextSink(TERMINAL), { NO_COLOR: '1' }), 'x')
    assert.equal(styled(new TextSink(TERMINAL), { NO_COLOR: '' }), '\u001b[31mx\u001b[0m')
    assert.equal(styled(new TextSink(TERMINAL), { TERM: 'dumb' }), 'x')
    assert.equal(styled(new TextSink(), {}), 'x')
  })

  it('lays out tables in columns, numbers to the right', () => {
    const sink = new TextSink()
    new Output(sink, { env: {} }).table(
      ['NAME', 'FRAMES'],
      [
        ['web', '12'],
        ['client-two', '123456789']
      ],
      [1]
    )
    assert.equal(sink.text, 'NAME           FRAMES\nweb                12\nclient-two  123456789\n')
  })
})

describe('progress', () => {
  it('prints a line at each quarter where there is no terminal', () => {
    const sink = new TextSink()
    const progress = new Output(sink, { env: {} }).progress({ label: 'transfer', total: 8, format: (n) => `${n} MiB` })
    for (let done = 1; done <= 8; done++) progress.update(done)
    progress.finish('1 Gbit/s')
    const lines = ['2 MiB of 8 MiB', '4 MiB of 8 MiB', '6 MiB of 8 MiB', '8 MiB of 8 MiB, 1 Gbit/s']
    assert.equal(sink.text, lines.map((line) => `transfer: ${line}\n`).join(''))
  })

  it('redraws one line on a terminal, never wider than it', () => {
    const sink = new TextSink({ columns: 60 })
    const progress = new Output(sink, { env: {} }).progress({ label: 'transfer', total: 8 })
    progress.update(4, 'a note that is far too long for such a narrow terminal')
    progress.finish()
    const lines = sink.text.split(/[\r\n]/).filter((line) => line !== '')
    assert.equal(lines.length, 2)
    for (const line of lines) assert.ok(line.length < 60, line)
    assert.match(sink.text, /^\rtransfer {2}\[#+\.+\].*\rtransfer {2}\[#+\].*\n$/s)
  })

  it('takes 80 columns for granted on a terminal that knows no size', () => {
    const sink = new TextSink({ columns: 0 })
    new Output(sink, { env: {} }).progress({ label: 'transfer', total: 8 }).update(4)
    assert.match(sink.text, /^\rtransfer {2}\[#+\.+\] +50% {2}4 of 8$/)
  })

  it('ends an abandoned bar with a line break, and an empty one with nothing', () => {
    const sink = new TextSink(TERMINAL)
    const output = new Output(sink, { env: {} })
    output.progress({ label: 'a', total: 1 }).abandon()
    assert.equal(sink.text, '')
    const drawn = output.progress({ label: 'a', total: 2 })
    drawn.update(1)
    drawn.abandon()
    assert.match(sink.text, /\n$/)
  })
})
