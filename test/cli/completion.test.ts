import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { Command, Option } from 'commander'
import { bashCompletion } from '../../src/cli/completion/bash.ts'
import { type CommandNode, describeCommands } from '../../src/cli/completion/command-node.ts'
import { fishCompletion } from '../../src/cli/completion/fish.ts'
import { zshCompletion } from '../../src/cli/completion/zsh.ts'
import { runHere } from './fake-world.ts'

/** A tree with all that a completion has to know: sub-commands, choices, values, quotes, a hidden command. */
function sampleTree(): CommandNode {
  const program = new Command('netloom').helpCommand(false).option('--debug', 'print the stack of an error')
  const network = program.command('network').helpCommand(false).description("the user's networks")
  network
    .command('create')
    .description('make one')
    .addOption(new Option('-d, --driver <name>', 'how it works').choices(['bridge', 'overlay']))
    .option('--file <path>', 'read it from a file')
    .option('--internal', 'no way out')
  network.command('rm').description('remove one')
  program.command('help').argument('[command...]', 'which')
  program.command('secret', { hidden: true })
  return describeCommands(program)
}

/** Asks bash itself what it would offer for the last word. */
function completeInBash(script: string, ...words: string[]): string[] {
  const ask = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _netloom; printf '%s\\n' "\${COMPREPLY[@]}"`
  const ran = spawnSync('bash', ['--norc', '-u', '-c', ask, 'bash', 'netloom', ...words], { encoding: 'utf8' })
  assert.equal(ran.stderr, '')
  return ran.stdout.split('\n').filter((line) => line !== '')
}

describe('completion in bash', () => {
  const script = bashCompletion(sampleTree())
  const cases: [words: string[], offered: string[]][] = [
    [['ne'], ['network']],
    [
      ['network', ''],
      ['create', 'rm', '--debug', '-h', '--help']
    ],
    [
      ['network', 'create', '--'],
      ['--driver', '--file', '--internal', '--debug', '--help']
    ],
    [
      ['network', 'create', '--driver', ''],
      ['bridge', 'overlay']
    ],
    [['network', 'create', '-d', 'o'], ['overlay']],
    [['network', 'create', '--file', ''], []],
    [
      ['network', 'create', '--internal', '--d'],
      ['--driver', '--debug']
    ],
    [['--debug', 'network', 'c'], ['create']],
    [['help', 'n'], ['network']],
    [['sec'], []]
  ]
  for (const [words, offered] of cases) {
    it(`offers [${offered.join(' ')}] for \`netloom ${words.join(' ')}\``, () => {
      assert.deepEqual(completeInBash(script, ...words), offered)
    })
  }

  it('knows the real program', async () => {
    const real = (await runHere(['completion', 'bash'])).stdout
    assert.deepEqual(completeInBash(real, 'doctor', '--j'), ['--json'])
    assert.deepEqual(completeInBash(real, 'completion', ''), ['bash', 'zsh', 'fish', '--debug', '-h', '--help'])
  })
})

describe('completion in other shells', () => {
  it('names every command, option and choice for zsh and for fish', () => {
    for (const script of [zshCompletion(sampleTree()), fishCompletion(sampleTree())]) {
      for (const word of ['network', 'create', 'rm', 'bridge', 'overlay', 'internal']) assert.match(script, new RegExp(`\\b${word}\\b`))
      assert.doesNotMatch(script, /secret/)
    }
  })

  for (const [shell, print] of [
    ['zsh', zshCompletion],
    ['fish', fishCompletion]
  ] as const) {
    const installed = spawnSync(shell, ['--version']).status === 0
    it(`is a script that ${shell} can parse`, { skip: installed ? false : `${shell} is not installed` }, () => {
      const ran = spawnSync(shell, ['-n'], { input: print(sampleTree()), encoding: 'utf8' })
      assert.deepEqual([ran.status, ran.stderr], [0, ''])
    })
  }
})
