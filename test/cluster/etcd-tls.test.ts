// A real etcd that is asked over TLS, and wants to see its clients' certificates.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openClusterStore } from '../../src/cluster/open-cluster-store.ts'
import { etcdMissing } from './etcd-server.ts'
import { freePorts, programMissing, StoreServer } from './store-server.ts'
import { WatchLog } from './store-suite.ts'

describe('etcd over TLS', { skip: etcdMissing || programMissing('openssl', 'openssl') }, () => {
  let folder = ''
  let server: StoreServer
  const file = (name: string): string => path.join(folder, name)

  /** NAME.pem and NAME.key, signed by the authority, or by itself where there is none. */
  const certify = (name: string, authority?: string): void => {
    writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1\n')
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(`${name}.key`)]
    const subject = ['-subj', `/CN=${name}`]
    const run = (...args: string[]): unknown => execFileSync('openssl', args, { stdio: 'pipe' })
    if (authority === undefined) {
      run('req', '-x509', ...key, ...subject, '-days', '2', '-out', file(`${name}.pem`))
      return
    }
    run('req', '-new', ...key, ...subject, '-out', file(`${name}.csr`))
    const signer = ['-CA', file(`${authority}.pem`), '-CAkey', file(`${authority}.key`), '-CAcreateserial']
    run('x509', '-req', '-in', file(`${name}.csr`), ...signer, '-days', '2', '-extfile', file('names'), '-out', file(`${name}.pem`))
  }

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-tls-'))
    certify('ca')
    certify('other-ca')
    certify('server', 'ca')
    certify('client', 'ca')
    certify('stranger', 'other-ca')
    const [port, peer] = await freePorts(2)
    const url = `https://127.0.0.1:${port}`
    server = new StoreServer(port, (data) => [
      'etcd',
      ...['--data-dir', `${data}/data`, '--log-level', 'error', '--unsafe-no-fsync'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', `http://127.0.0.1:${peer}`],
      ...['--cert-file', file('server.pem'), '--key-file', file('server.key'), '--trusted-ca-file', file('ca.pem'), '--client-cert-auth']
    ])
    await server.start()
  })
  after(async () => {
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = (authority: string, client?: string) =>
    openClusterStore(`etcd://127.0.0.1:${server.port}/tls`, {
      'kv.cacertfile': file(`${authority}.pem`),
      ...(client !== undefined && { 'kv.certfile': file(`${client}.pem`), 'kv.keyfile': file(`${client}.key`) })
    })

  test('with a certificate that it trusts: values and watches', async () => {
    const store = open('ca', 'client')
    try {
      const log = new WatchLog()
      store.watch('w/', log)
      await log.until(({ lists }) => lists.length === 1)
      await store.commit([], [{ put: 'w/a', value: '1' }])
      await log.until(({ copy }) => copy.has('w/a'))
      assert.equal((await store.get('w/a'))?.value, '1')
    } finally {
      await store.close()
    }
  })

  for (const [title, authority, client] of [
    ['without a certificate', 'ca', undefined],
    ['with one of another authority', 'ca', 'stranger'],
    ['when the server is not who it should be', 'other-ca', 'client']
  ] as const) {
    test(`${title}: nothing is told, and the error says why`, async () => {
      const store = open(authority, client)
      try {
        await assert.rejects(store.get('w/a'), (error: Error & { code: string }) => {
          assert.ok(['unavailable', 'denied'].includes(error.code), error.code)
          assert.match(error.message, /certificate|TLS|SSL|alert/i)
          return true
        })
      } finally {
        await store.close()
      }
    })
  }
})
