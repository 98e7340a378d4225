/*
 * deal.c - the permutation of an epoch, and the parts of a step.
 *
 * The permutation is a Feistel network of eight rounds on 2 b bits, 4^b >= n, walked until it falls
 * below n (Black and Rogaway 2002, cycle walking): at most four tries on average, no table, and any
 * position can be asked for alone.  The round function is a multiply-xor mix of half and round key;
 * keys are Philox of (seed, epoch).
 */
#include "classify/deal.h"

#include "base/philox.h"

enum { ROUNDS = 8, STREAM_DEAL = 0x32000000 };

typedef struct {
    uint64_t n, mask;
    int half;
    uint32_t key[ROUNDS];
} permutation;

static permutation permutation_init(uint64_t seed, uint32_t epoch, int64_t n)
{
    permutation p = {.n = (uint64_t)n, .half = 1};

    while ((uint64_t)1 << (2 * p.half) < p.n) p.half++;
    p.mask = ((uint64_t)1 << p.half) - 1;
    for (uint32_t i = 0; i < ROUNDS / 4; i++)
        mill_philox(p.key + (size_t)i * 4, seed, epoch, STREAM_DEAL, i);
    return p;
}

static uint32_t mix(uint32_t x, uint32_t key)
{
    x = (x ^ key) * 0x85ebca6bu;
    x = (x ^ x >> 15) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

static int64_t permutation_at(const permutation *p, int64_t i)
{
    uint64_t x = (uint64_t)i;

    do {
        uint64_t left = x >> p->half, right = x & p->mask;
        for (int k = 0; k < ROUNDS; k++) {
            const uint64_t next = left ^ (mix((uint32_t)right, p->key[k]) & p->mask);
            left = right;
            right = next;
        }
        x = left << p->half | right;
    } while (x >= p->n);
    return (int64_t)x;
}

int64_t cls_deal_step_rows(const cls_deal *d, int64_t step)
{
    const int64_t effective = d->batch * d->shards * d->accum;
    const int64_t left = d->n - step % d->steps_per_epoch * effective;
    return left < effective ? left : effective;
}

int64_t cls_deal_part(int64_t *row, const cls_deal *d, int64_t step, int64_t part)
{
    const int64_t effective = d->batch * d->shards * d->accum;
    const int64_t in_step = (part % d->accum * d->shards + part / d->accum) * d->batch;
    const int64_t left = cls_deal_step_rows(d, step) - in_step;
    const int64_t n = left < 0 ? 0 : left < d->batch ? left : d->batch;
    const int64_t first = step % d->steps_per_epoch * effective + in_step;
    const permutation p = permutation_init(d->seed, (uint32_t)(step / d->steps_per_epoch), d->n);

    for (int64_t i = 0; i < n; i++) row[i] = permutation_at(&p, first + i);
    return n;
}
