/*
 * mem.c - zeroed, counted allocations that a test can make fail; and arenas.
 *
 * A block is   [ calloc's pointer ... | header | bytes ]   with the bytes at the next multiple
 * of 64. calloc, not memset: large blocks come from the kernel already zero, and pages that nobody
 * touches cost nothing.
 *
 * An arena is a chain of blocks, newest first, each twice as large as the last up to a megabyte;
 * what does not fit in a quarter of a fresh block gets a block of its own behind the head, so that
 * the head keeps its room.
 */
#include "base/mem.h"

#include <assert.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, ARENA_FIRST = 4096, ARENA_MOST = 1 << 20 };

typedef struct {
    size_t offset; /* from what calloc returned to the bytes */
    size_t bytes;
} header;

/* What a block costs beside its bytes: the header and the way to the next multiple of 64. */
#define EXTRA (sizeof(header) + ALIGN)

static atomic_int_fast64_t live, live_bytes, peak_bytes, calls, fail_in;

mill_err mill_size_mul(size_t *out, size_t a, size_t b)
{
    if (__builtin_mul_overflow(a, b, out)) {
        return mill_fail(MILL_ENOMEM, "%zu x %zu bytes are more than there can be", a, b);
    }
    return MILL_OK;
}

static header *header_of(void *p)
{
    return (header *)p - 1;
}

static void *payload_of(void *base)
{
    const uintptr_t at = (uintptr_t)base + sizeof(header) + ALIGN - 1;

    return (char *)base + (at / ALIGN * ALIGN - (uintptr_t)base);
}

/* Count the call; false if it is the one that a test wants to fail, or the size is absurd. */
static bool admit(size_t *bytes, size_t n, size_t size)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) > 0 &&
        atomic_fetch_sub(&fail_in, 1) == 1) {
        mill_fail(MILL_ENOMEM, "out of memory (%zu x %zu bytes; made to fail)", n, size);
        return false;
    }
    if (mill_size_mul(bytes, n, size) != MILL_OK) return false;
    if (*bytes > (size_t)PTRDIFF_MAX - EXTRA) {
        mill_fail(MILL_ENOMEM, "%zu bytes are more than there can be", *bytes);
        return false;
    }
    return true;
}

static void count(int64_t blocks, int64_t bytes)
{
    int_fast64_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);

    atomic_fetch_add_explicit(&live, blocks, memory_order_relaxed);
    bytes += atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed);
    while (bytes > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, bytes)) continue;
}

void *mill_alloc(size_t n, size_t size)
{
    size_t bytes;

    if (!admit(&bytes, n, size)) return NULL;
    void *base = calloc(1, bytes + EXTRA);
    if (!base) {
        mill_fail(MILL_ENOMEM, "out of memory (%zu bytes)", bytes);
        return NULL;
    }
    void *p = payload_of(base);
    *header_of(p) = (header){(size_t)((char *)p - (char *)base), bytes};
    count(1, (int64_t)bytes);
    return p;
}

void *mill_realloc(void *p, size_t n, size_t size)
{
    if (!p) return mill_alloc(n, size);

    const header old = *header_of(p);
    size_t bytes;
    if (!admit(&bytes, n, size)) return NULL;
    /* The new base may sit differently to the multiples of 64, and then the bytes move once more.
     */
    char *base = realloc((char *)p - old.offset, bytes + EXTRA);
    if (!base) {
        mill_fail(MILL_ENOMEM, "out of memory (%zu bytes)", bytes);
        return NULL;
    }
    char *q = payload_of(base);
    if (q != base + old.offset)
        memmove(q, base + old.offset, bytes < old.bytes ? bytes : old.bytes);
    if (bytes > old.bytes) memset(q + old.bytes, 0, bytes - old.bytes);
    *header_of(q) = (header){(size_t)(q - base), bytes};
    count(0, (int64_t)bytes - (int64_t)old.bytes);
    return q;
}

void mill_free(void *p)
{
    if (!p) return;
    count(-1, -(int64_t)header_of(p)->bytes);
    free((char *)p - header_of(p)->offset);
}

char *mill_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = mill_alloc(n + 1, 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

char *mill_strdup(const char *s)
{
    return mill_strndup(s, strlen(s));
}

void mill_mem_get_stats(mill_mem_stats *out)
{
    *out = (mill_mem_stats){live, live_bytes, peak_bytes, calls};
}

void mill_mem_fail_at(int64_t n)
{
    fail_in = n;
}

/* ---- arenas ---- */

typedef struct arena_block {
    struct arena_block *next;
    size_t used, cap; /* bytes behind this struct */
} arena_block;

struct mill_arena {
    arena_block *head;
};

static_assert(sizeof(arena_block) <= 32, "blocks start 32 bytes in, which keeps 16-byte alignment");

mill_err mill_arena_new(mill_arena **out)
{
    mill_arena *a = mill_alloc(1, sizeof *a);

    if (!a) return MILL_ENOMEM;
    *out = a;
    return MILL_OK;
}

static arena_block *arena_grow(mill_arena *a, size_t bytes)
{
    size_t cap = a->head ? 2 * a->head->cap : ARENA_FIRST;

    if (cap > ARENA_MOST) cap = ARENA_MOST;
    const bool own = bytes > cap / 4;
    arena_block *b = mill_alloc(1, 32 + (own ? bytes : cap));
    if (!b) return NULL;
    b->cap = own ? bytes : cap;
    if (own && a->head) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
    }
    return b;
}

void *mill_arena_alloc(mill_arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (mill_size_mul(&bytes, n, size) != MILL_OK) return NULL;
    if (bytes > (size_t)PTRDIFF_MAX - 64) {
        mill_fail(MILL_ENOMEM, "%zu bytes are more than there can be", bytes);
        return NULL;
    }
    bytes = (bytes + 15) / 16 * 16;
    arena_block *b = a->head;
    if (!b || b->cap - b->used < bytes) b = arena_grow(a, bytes);
    if (!b) return NULL;
    void *p = (char *)b + 32 + b->used;
    b->used += bytes;
    return p;
}

char *mill_arena_strdup(mill_arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = mill_arena_alloc(a, n, 1);

    if (copy) memcpy(copy, s, n);
    return copy;
}

void mill_arena_free(mill_arena *a)
{
    if (!a) return;
    for (arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        mill_free(b);
    }
    mill_free(a);
}

void mill_mem_return_large(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 18);
}

void mill_mem_trim(void)
{
    malloc_trim(0);
}
