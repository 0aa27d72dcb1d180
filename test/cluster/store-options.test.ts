import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStoreOptions } from '../../src/cluster/store-options.ts'

test('URLs of stores, their members, prefixes and users', () => {
  const { servers, prefix, name } = readStoreOptions('etcd://192.0.2.60:2379,[2001:db8::60],etcd.example/a/b/')
  assert.deepEqual(servers, [
    { host: '192.0.2.60', port: 2379 },
    { host: '2001:db8::60', port: 2379 },
    { host: 'etcd.example', port: 2379 }
  ])
  assert.deepEqual([prefix, name], ['a/b', 'etcd://192.0.2.60:2379,[2001:db8::60]:2379,etcd.example:2379/a/b'])
  assert.equal(readStoreOptions('zk://192.0.2.60').servers[0].port, 2181)
  assert.equal(readStoreOptions('consul://192.0.2.60', { 'kv.path': '/x/' }).prefix, 'x')
  const user = readStoreOptions('etcd://me:a%40b@192.0.2.60')
  assert.deepEqual([user.username, user.password, user.name.includes('a@b')], ['me', 'a@b', false])
  assert.equal(readStoreOptions('etcd://192.0.2.60', { 'discovery.heartbeat': '2' }).ttl, 6)
})

test('what cannot be is refused, without telling a password', () => {
  const wrong: [string, Record<string, string>, RegExp][] = [
    ['redis://192.0.2.60', {}, /redis:\/\/192.0.2.60 is not a store's URL/],
    ['redis://me:secret@192.0.2.60', {}, /me:\*\*\*@/],
    ['redis://me:a:secret/b@192.0.2.60', {}, /me:\*\*\*@/],
    ['etcd:me:secret@192.0.2.60', {}, /me:\*\*\*@192/],
    ['etcd://me:a@secret@192.0.2.60', {}, /must be percent-encoded/],
    ['etcd://me:secret/b@192.0.2.60', {}, /must be percent-encoded/],
    ['etcd://me:secret@192.0.2.60:0', {}, /192.0.2.60:0 is not a server/],
    ['etcd://', {}, /an empty text is not a server/],
    ['etcd://192.0.2.60:0', {}, /192.0.2.60:0 is not a server/],
    ['etcd://192.0.2.60/a b', {}, /prefix a b may have/],
    ['etcd://192.0.2.60', { 'kv.colour': 'red' }, /option kv.colour is not known/],
    ['etcd://192.0.2.60', { 'kv.certfile': '/nowhere' }, /go together/],
    ['etcd://192.0.2.60', { 'kv.cacertfile': '/nowhere' }, /cannot read \/nowhere/],
    ['etcd://192.0.2.60', { 'discovery.ttl': '1.5' }, /must be a whole number of seconds/],
    ['etcd://192.0.2.60', { 'discovery.ttl': '2', 'discovery.heartbeat': '2' }, /must be greater/]
  ]
  for (const [url, options, message] of wrong) {
    assert.throws(() => readStoreOptions(url, options), { code: 'invalid', message })
    assert.throws(
      () => readStoreOptions(url, options),
      (error: Error) => !error.message.includes('secret')
    )
  }
})
