import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseResolvConf, readResolvConf } from '../../src/dns/resolv-conf.ts'

const DEFAULTS = { nameservers: [], search: [], ndots: 1, timeout: 5, attempts: 2, rotate: false, useTcp: false, options: [] }

test('the defaults', () => {
  assert.deepEqual(parseResolvConf(''), DEFAULTS)
  assert.deepEqual(readResolvConf('/nonexistent/resolv.conf'), { ...DEFAULTS, nameservers: ['127.0.0.1'] })
})

test('everything at once', () => {
  const text = [
    '# nameserver 192.0.2.9',
    '; nameserver 192.0.2.9',
    'nameserver 192.0.2.1',
    '  nameserver\t2001:db8::1 # trailing words are ignored',
    'nameserver nonsense',
    'nameserver',
    'nameserver fe80::1%eth0',
    'nameserver 192.0.2.4',
    'domain first.example',
    'search a.example b.example c.example d.example e.example f.example g.example',
    'options ndots:2 timeout:3',
    'options attempts:4 rotate use-vc edns0',
    'sortlist 192.0.2.0',
    ''
  ].join('\r\n'.slice(1))
  assert.deepEqual(parseResolvConf(text), {
    nameservers: ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0'],
    search: ['a.example', 'b.example', 'c.example', 'd.example', 'e.example', 'f.example'],
    ndots: 2,
    timeout: 3,
    attempts: 4,
    rotate: true,
    useTcp: true,
    options: ['ndots:2', 'timeout:3', 'attempts:4', 'rotate', 'use-vc', 'edns0']
  })
})

test('the last of search and domain counts', () => {
  assert.deepEqual(parseResolvConf('search a.example b.example\ndomain c.example').search, ['c.example'])
})

test('numbers keep to their limits', () => {
  const { ndots, timeout, attempts } = parseResolvConf('options ndots:99 timeout:0 attempts:x attempts:77')
  assert.deepEqual([ndots, timeout, attempts], [15, 1, 5])
})
