// An independent decoder of what our VTEP sends: the golden capture of its underlay.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'

const CAPTURE = path.join(import.meta.dirname, '../../../captures/vxlan-vtep/out.underlay.pcapng')
const missing = spawnSync('sh', ['-c', 'command -v tshark']).status === 0 ? false : 'tshark is not installed'

test('tshark decodes VXLAN as we send it, with nothing to complain of', { skip: missing }, () => {
  const words = ['-r', CAPTURE, '-T', 'fields', '-e', 'vxlan.flags', '-e', 'vxlan.vni', '-e', '_ws.expert.message']
  const { stdout, stderr } = spawnSync('tshark', words, { encoding: 'utf8' })
  const lines = stdout.split('\n').filter((line) => line !== '')
  assert.ok(lines.length >= 4, stdout + stderr)
  for (const line of lines) assert.deepEqual(line.split('\t'), ['0x0800', '256', ''])
})
