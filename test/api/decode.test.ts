// Texts of Go's encoding/json as a dockerd 20.10 gave them for the same values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boolean, float, integer, list, map, nullable, string, struct, words } from '../../src/api/decode.ts'

const request = struct('types.NetworkCreateRequest', {
  Name: string,
  Internal: boolean,
  IPAM: nullable(
    struct('network.IPAM', { Driver: string, Config: list(struct('network.IPAMConfig', { Subnet: string, Bits: integer('int') })) })
  ),
  Options: map(string),
  Cmd: words,
  Ports: map(list(struct('nat.PortBinding', { HostPort: string })), 'nat.PortMap'),
  Memory: integer('int64'),
  Small: integer('uint16'),
  Ratio: float
})

const REFUSED: readonly [value: unknown, message: string][] = [
  [[], 'array into Go value of type types.NetworkCreateRequest'],
  ['x', 'string into Go value of type types.NetworkCreateRequest'],
  [true, 'bool into Go value of type types.NetworkCreateRequest'],
  [{ Name: 1 }, 'number into Go struct field NetworkCreateRequest.Name of type string'],
  [{ Name: {} }, 'object into Go struct field NetworkCreateRequest.Name of type string'],
  [{ Internal: 'yes' }, 'string into Go struct field NetworkCreateRequest.Internal of type bool'],
  [{ IPAM: { Config: [{ Subnet: 3 }] } }, 'number into Go struct field IPAMConfig.IPAM.Config.Subnet of type string'],
  [{ IPAM: { Config: {} } }, 'object into Go struct field IPAM.IPAM.Config of type []network.IPAMConfig'],
  [{ Options: { a: 1 } }, 'number into Go struct field NetworkCreateRequest.Options of type string'],
  [{ Options: [] }, 'array into Go struct field NetworkCreateRequest.Options of type map[string]string'],
  [{ Cmd: {} }, 'object into Go struct field NetworkCreateRequest.Cmd of type string'],
  [{ Cmd: [1] }, 'array into Go struct field NetworkCreateRequest.Cmd of type string'],
  [{ Ports: [] }, 'array into Go struct field NetworkCreateRequest.Ports of type nat.PortMap'],
  [{ Ports: { '80/tcp': {} } }, 'object into Go struct field NetworkCreateRequest.Ports of type []nat.PortBinding'],
  [{ Memory: 1.5 }, 'number 1.5 into Go struct field NetworkCreateRequest.Memory of type int64'],
  [{ Memory: 1e19 }, 'number 10000000000000000000 into Go struct field NetworkCreateRequest.Memory of type int64'],
  [{ Small: -1 }, 'number -1 into Go struct field NetworkCreateRequest.Small of type uint16'],
  [{ Small: 65536 }, 'number 65536 into Go struct field NetworkCreateRequest.Small of type uint16'],
  [{ Ratio: '1' }, 'string into Go struct field NetworkCreateRequest.Ratio of type float64']
]

for (const [value, message] of REFUSED) {
  test(`refuses ${JSON.stringify(value)}`, () => {
    assert.throws(() => request.read(value), { name: 'DecodeError', message: `json: cannot unmarshal ${message}` })
  })
}

const ZERO = { Name: '', Internal: false, IPAM: null, Options: {}, Cmd: [], Ports: {}, Memory: 0, Small: 0, Ratio: 0 }

/** Without the difference of objects that have no prototype. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

test('what is absent or null has the zero value, and what is unknown is left out', () => {
  assert.deepEqual(plain(request.read({})), ZERO)
  assert.deepEqual(plain(request.read(null)), ZERO)
  assert.deepEqual(plain(request.read(Object.fromEntries(Object.keys(ZERO).map((name) => [name, null])))), ZERO)
  assert.deepEqual(plain(request.read({ Unknown: { deep: 1 } })), ZERO)
})

test('names match without regard to case where none matches exactly', () => {
  assert.equal(request.read({ name: 'lower' }).Name, 'lower')
  assert.equal(request.read({ ipam: { CONFIG: [{ subnet: '10.0.0.0/8' }] } }).IPAM?.Config[0]?.Subnet, '10.0.0.0/8')
})

test('reads every kind of value', () => {
  const value = {
    Name: 'n',
    Internal: true,
    IPAM: { Driver: 'd', Config: [] },
    Options: { a: 'b' },
    Cmd: ['x', null],
    Memory: -3,
    Small: 65535,
    Ratio: 0.5
  }
  const read = request.read({ ...value, Ports: { '80/tcp': [{ HostPort: '1' }, null] } })
  const ports = { '80/tcp': [{ HostPort: '1' }, { HostPort: '' }] }
  assert.deepEqual(plain(read), { ...ZERO, ...value, Cmd: ['x', ''], Ports: ports })
  assert.deepEqual(request.read({ Cmd: 'one' }).Cmd, ['one'])
})

test('keys of a map are only keys', () => {
  const options = request.read(JSON.parse('{"Options":{"__proto__":"x","constructor":"y"}}')).Options
  assert.deepEqual(Object.entries(options), [
    ['__proto__', 'x'],
    ['constructor', 'y']
  ])
  assert.equal(options['toString'], undefined)
  assert.equal(request.read(JSON.parse('{"__proto__":{"Name":"x"},"constructor":1}')).Name, '')
})
