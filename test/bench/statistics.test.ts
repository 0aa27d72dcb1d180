import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { estimate, pairedRatios } from '../../bench/system/statistics.ts'
import { findUdpRate, LOSS_LIMIT } from '../../bench/system/udp-search.ts'

describe('estimate', () => {
  test('nine samples: second to eighth, 96 %', () => {
    const { median, low, high, coverage } = estimate([9, 1, 8, 2, 7, 3, 6, 4, 5])
    assert.deepEqual([median, low, high], [5, 2, 8])
    // Binomial: 1 - 2 (C(9,0) + C(9,1)) / 2^9.
    assert.equal(coverage, 1 - 20 / 512)
  })

  test('too few samples: the extremes, with what they cover', () => {
    assert.deepEqual(estimate([3, 1, 2]), { median: 2, low: 1, high: 3, coverage: 0.75, samples: 3 })
    assert.deepEqual(estimate([4, 2]), { median: 3, low: 2, high: 4, coverage: 0.5, samples: 2 })
    assert.equal(estimate([7]).median, 7)
    assert.equal(estimate([]).samples, 0)
  })

  test('25 samples: the eighth from either end', () => {
    const { low, high, coverage } = estimate(Array.from({ length: 25 }, (_, index) => index))
    assert.deepEqual([low, high], [7, 17])
    assert.ok(coverage > 0.95 && coverage < 0.96)
  })
})

test('ratios are paired by round', () => {
  assert.deepEqual(pairedRatios([10, null, 30, 40], [5, 5, null, 10]), [2, 4])
})

describe('findUdpRate', () => {
  /** A path that delivers up to `limit` and loses the rest. */
  const path = (limit: number) => async (offered: number) => {
    const delivered = Math.min(offered, limit)
    return { offered, delivered, loss: 1 - delivered / offered }
  }

  test('finds the limit from nothing', async () => {
    // What an overloaded path delivers may be more than its limit (it loses evenly) or far less (it is busy losing).
    for (const overload of [20_000, 60_000, 100_000, 300_000]) {
      const { delivered } = await findUdpRate(path(60_000), overload, 0)
      assert.ok(delivered > 60_000 * 0.9 && delivered <= 60_000, `overload ${overload}: ${delivered}`)
    }
  })

  test('follows a limit that has moved', async () => {
    for (const limit of [40_000, 70_000, 100_000, 120_000]) {
      const { delivered, offered } = await findUdpRate(path(limit), 0, 100_000)
      assert.ok(delivered > limit * 0.9 && delivered <= limit, `${limit}: ${delivered}`)
      assert.ok(offered <= limit / (1 - LOSS_LIMIT))
    }
  })

  test('ends where the sender can offer no more, and asks it for little beyond', async () => {
    const asked: number[] = []
    const { delivered, offered } = await findUdpRate(
      async (rate) => {
        asked.push(rate)
        const sent = Math.min(rate, 150_000)
        return { offered: sent, delivered: sent, loss: 0 }
      },
      100_000,
      0
    )
    assert.deepEqual([delivered, offered], [150_000, 150_000])
    assert.ok(Math.max(...asked) < 400_000, `asked for ${asked}`)
  })

  test('a path that always loses has no rate', async () => {
    assert.deepEqual(await findUdpRate(async (offered) => ({ offered, delivered: offered / 2, loss: 0.5 }), 1000, 0), {
      delivered: 0,
      offered: 0
    })
  })
})
