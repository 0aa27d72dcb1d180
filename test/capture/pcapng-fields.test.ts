/**
 * Every option that we write, asked of the real tshark by the name of its field: of the blocks themselves, which it shows when it reads
 * the file as a file (`-X 'read_format:MIME Files Format'`), and of the frames, as everybody sees them.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { BlockType, walkBlocks } from './block-walker.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { samplePcapng } from './sample-capture.ts'

const AS_FILE = ['-n', '-X', 'read_format:MIME Files Format']
const DATA = 'pcapng.options.option.data'

/** What the sample has, by field, in the order of its blocks. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'pcapng.section_header.version.major': ['1'],
  'pcapng.section_header.section_length': ['-1'],
  [`${DATA}.comment`]: ['a section', 'an interface', 'dropped: ✂'],
  [`${DATA}.hardware`]: ['loom'],
  [`${DATA}.os`]: ['none'],
  [`${DATA}.user_application`]: ['netloom'],
  'pcapng.interface_description.link_type': ['1', '1'],
  'pcapng.interface_description.snap_length': ['128', '128'],
  [`${DATA}.interface.name`]: ['demo-net/web', 'demo-net/client'],
  [`${DATA}.interface.description`]: ['the port of web'],
  [`${DATA}.ipv4`]: ['172.25.0.2'],
  [`${DATA}.ipv4_mask`]: ['255.255.0.0'],
  [`${DATA}.ipv6`]: ['2001:db8::2'],
  [`${DATA}.ipv6_mask`]: ['64'],
  [`${DATA}.mac`]: ['02:42:ac:19:00:02'],
  [`${DATA}.interface.speed`]: ['10000000000'],
  [`${DATA}.interface.timestamp_resolution.value`]: ['9', '9'],
  [`${DATA}.interface.filter.type`]: ['0'],
  [`${DATA}.interface.filter.string`]: ['arp'],
  [`${DATA}.interface.os`]: ['Linux'],
  'pcapng.records.record.data.ipv4': ['172.25.0.2'],
  'pcapng.records.record.data.ipv6': ['2001:db8::2'],
  'pcapng.records.record.data.name': ['web', 'web.demo-net', 'web6'],
  [`${DATA}.packet.flags.direction`]: ['0x0001', '0x0002'],
  [`${DATA}.packet.flags.reception_type`]: ['0x0001', '0x0003'],
  [`${DATA}.packet.drop_count`]: ['3'],
  [`${DATA}.packet.id`]: ['0x0000000000000007', '0x00000000fffffffe'],
  [`${DATA}.packet.verdict.type`]: ['1'],
  [`${DATA}.packet.verdict.data`]: ['0200000000000000'],
  [`${DATA}.interface.received`]: ['5', '1'],
  [`${DATA}.interface.dropped`]: ['2'],
  [`${DATA}.interface.accepted_by_filter`]: ['4'],
  [`${DATA}.interface.dropped_by_os`]: ['1'],
  [`${DATA}.interface.delivered_to_user`]: ['2']
}

let known: Set<string> | undefined

/** The fields that this tshark has. */
function knownFields(): Set<string> {
  if (known !== undefined) return known
  const { stdout } = spawnSync('tshark', ['-G', 'fields'], { encoding: 'utf8', maxBuffer: 1 << 28 })
  known = new Set(stdout.split('\n').flatMap((line) => line.split('\t')[2] ?? []))
  return known
}

test('tshark shows every option of every block by its field, and nothing else', { skip: missing('tshark') }, (t) => {
  const file = path.join(temporaryFolder(t), 'sample.pcapng')
  writeFileSync(file, samplePcapng())
  const fields = Object.keys(EXPECTED).filter((field) => knownFields().has(field))
  assert.ok(fields.includes(`${DATA}.packet.id`), 'this tshark dissects pcapng files')
  const asked = ['-T', 'fields', '-E', 'separator=|', '-E', 'aggregator=;', ...fields.flatMap((field) => ['-e', field])]
  const values = run('tshark', [...AS_FILE, '-r', file, ...asked])
    .replace(/\n$/, '')
    .split('|')
  for (const [index, field] of fields.entries()) assert.deepEqual(values[index]!.split(';'), EXPECTED[field], field)
  const codes = run('tshark', [...AS_FILE, '-r', file, '-T', 'fields', '-e', 'pcapng.options.option.code'])
    .trim()
    .split(',')
  assert.deepEqual(codes.map(Number), optionCodes(file), 'options, and the ends of options')
  assert.equal(run('tshark', [...AS_FILE, '-r', file, '-Y', '_ws.malformed || _ws.expert']), '')
  assert.doesNotMatch(run('tshark', [...AS_FILE, '-r', file, '-V']), /Unknown/i)
})

test('tshark shows what a frame has beside its bytes', { skip: missing('tshark') }, (t) => {
  const file = path.join(temporaryFolder(t), 'sample.pcapng')
  writeFileSync(file, samplePcapng())
  const fields = ['section_number', 'interface_id', 'interface_name', 'interface_description', 'packet_flags_direction']
  const more = ['packet_flags_reception_type', 'packet_id', 'comment', 'drop_count', 'verdict.ebpf_tc']
  // Older ones number no sections and know no descriptions of single frames.
  const wanted = [...fields, ...more].map((field) => `frame.${field}`).filter((field) => knownFields().has(field))
  const rows = tsharkFields(file, ...wanted).map((row) => Object.fromEntries(row.map((value, at) => [wanted[at]!, value])))
  const expected = [
    { interface_name: 'demo-net/web', interface_description: 'the port of web', packet_id: '', comment: '', drop_count: '' },
    {
      interface_name: 'demo-net/client',
      packet_flags_direction: 1,
      packet_flags_reception_type: 1,
      packet_id: 7,
      comment: 'dropped: ✂',
      drop_count: 3,
      'verdict.ebpf_tc': 2
    },
    { interface_name: 'demo-net/web', packet_flags_direction: 2, packet_flags_reception_type: 3, packet_id: 0xffff_fffe, drop_count: '' }
  ]
  for (const [index, row] of expected.entries()) {
    for (const [field, value] of Object.entries(row)) {
      const shown = rows[index]![`frame.${field}`]
      if (shown === undefined) continue
      assert.equal(typeof value === 'number' ? Number(shown) : shown, value, `frame ${index + 1}, ${field}`)
    }
  }
  assert.equal(run('tshark', ['-n', '-r', file, '-Y', '_ws.malformed']), '')
})

/** Of the whole file, in order, opt_endofopt among them: by a reader that is not ours. */
function optionCodes(file: string): number[] {
  const names = BlockType.names
  return walkBlocks(readFileSync(file)).flatMap(({ type, options }) =>
    options.size === 0 || type === names ? [] : [...[...options].flatMap(([code, values]) => values.map(() => code)), 0]
  )
}
