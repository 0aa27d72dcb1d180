import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { AnswerOutlet } from '../../src/api/answer-outlet.ts'

/** A client that takes a piece whenever `take` is called. */
function slowClient() {
  const taken: number[] = []
  let next: (() => void) | null = null
  const body = new Writable({
    highWaterMark: 1,
    write: (chunk: Uint8Array, _encoding, done) => {
      taken.push(chunk[0]!)
      next = done
    }
  })
  return { body, taken, take: () => next!() }
}

const PIECES = Array.from({ length: 50 }, (_, number) => Uint8Array.of(number))

test('a client that stands still has one listener for all pieces that wait, and gets them in order', async () => {
  const { body, taken, take } = slowClient()
  const outlet = new AnswerOutlet()
  const early = outlet.write(PIECES[0]!)
  outlet.attach(body)
  const before = body.listenerCount('close')
  const waiting = PIECES.slice(1).map((piece) => outlet.write(piece))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([body.listenerCount('drain'), body.listenerCount('close') - before], [1, 1])
  let isTaken = false
  const all = Promise.all([early, ...waiting]).then(() => {
    isTaken = true
  })
  for (let piece = 0; piece < PIECES.length; piece++) {
    assert.equal(isTaken, false)
    take()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await all
  assert.deepEqual(
    taken.toSorted((a, b) => a - b),
    PIECES.map(([number]) => number)
  )
  assert.deepEqual([body.listenerCount('drain'), body.listenerCount('close')], [0, before])
})

test('all that wait for a client hear that it has gone', async () => {
  const { body } = slowClient()
  const outlet = new AnswerOutlet()
  outlet.attach(body)
  const waiting = PIECES.map((piece) => Promise.resolve(outlet.write(piece)))
  body.destroy()
  for (const result of await Promise.allSettled(waiting)) assert.equal(result.status, 'rejected')
  assert.throws(() => outlet.write(PIECES[0]!), /the client has gone/)
})
