/*
 * arena.c - a stack of blocks: see inner.h.
 *
 * A block that is full is followed by another; reset joins what was in use into one, so that after
 * the largest data set nothing is allocated any more.
 */
#include "base/mem.h"
#include "prior/inner.h"

enum { MAX_BLOCKS = 64, LEAST_BLOCK = 1 << 20, ALIGN = 64 };

typedef struct {
    char *p;
    size_t size, used;
} block;

struct prior_arena {
    block block[MAX_BLOCKS];
    int n; /* blocks; the last one is allocated from */
    size_t limit, total;
};

mill_err prior_arena_new(prior_arena **out, int64_t limit_bytes)
{
    prior_arena *a = mill_alloc(1, sizeof *a);

    if (!a) return MILL_ENOMEM;
    a->limit = (size_t)limit_bytes;
    *out = a;
    return MILL_OK;
}

void prior_arena_free(prior_arena *a)
{
    if (!a) return;
    for (int i = 0; i < a->n; i++) mill_free(a->block[i].p);
    mill_free(a);
}

/* A new last block; false with MILL_ENOMEM recorded. */
static bool add_block(prior_arena *a, size_t size)
{
    if (a->n == MAX_BLOCKS || size > a->limit - a->total) {
        mill_fail(MILL_ENOMEM, "a data set takes more than %zu bytes", a->limit);
        return false;
    }
    char *p = mill_alloc(1, size);
    if (!p) return false;
    a->block[a->n++] = (block){.p = p, .size = size};
    a->total += size;
    return true;
}

void prior_arena_reset(prior_arena *a)
{
    const size_t total = a->total;

    for (int i = 0; i < a->n; i++) a->block[i].used = 0;
    if (a->n < 2) return;
    for (int i = 0; i < a->n; i++) mill_free(a->block[i].p);
    a->n = 0;
    a->total = 0;
    add_block(a, total); /* without it the next allocation tries again */
}

void *prior_alloc(prior_arena *a, int64_t n, size_t size)
{
    size_t bytes;

    if (n < 0 || mill_size_mul(&bytes, (size_t)n, size) || bytes > a->limit) {
        mill_fail(MILL_ENOMEM, "a data set takes more than %zu bytes", a->limit);
        return NULL;
    }
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!a->n || a->block[a->n - 1].size - a->block[a->n - 1].used < bytes) {
        const size_t room = a->limit - a->total;
        size_t want = a->total > LEAST_BLOCK ? a->total : LEAST_BLOCK; /* twice as much in all */
        want = want > room ? room : want;
        if (!add_block(a, want > bytes ? want : bytes)) return NULL;
    }
    block *const b = &a->block[a->n - 1];
    void *const p = b->p + b->used;
    b->used += bytes;
    return p;
}

prior_mark prior_arena_mark(const prior_arena *a)
{
    return (prior_mark){.block = a->n, .used = a->n ? a->block[a->n - 1].used : 0};
}

/* Of blocks that came after the mark the last, the largest, is emptied and stays in use. */
void prior_arena_release(prior_arena *a, prior_mark m)
{
    if (a->n) a->block[a->n - 1].used = m.block == a->n ? m.used : 0;
}
