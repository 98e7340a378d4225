/*
 * mem.h - every byte comes from here: zeroed, counted, and able to fail on command.
 *
 * mill_alloc() checks the multiplication, zeroes, and counts.  A test sets
 * mill_mem_fail_at(n): the n-th allocation from then on fails as if memory were out,
 * and so does no other.  All functions are safe to call from any thread.
 */
#ifndef MILL_BASE_MEM_H
#define MILL_BASE_MEM_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/* n * size zeroed bytes, aligned to 64; NULL with a recorded MILL_ENOMEM.  Free with mill_free. */
void *mill_alloc(size_t n, size_t size);

/* Grow or shrink p (from mill_alloc, or NULL) to n * size bytes; bytes that are new are zero.
 * NULL on failure, and p is then as it was. */
void *mill_realloc(void *p, size_t n, size_t size);
void mill_free(void *p); /* NULL is allowed */

char *mill_strdup(const char *s); /* NULL with MILL_ENOMEM recorded */
char *mill_strndup(const char *s, size_t n);

/* Product of two sizes; MILL_ENOMEM if it does not fit. */
mill_err mill_size_mul(size_t *out, size_t a, size_t b);

typedef struct {
    int64_t live; /* blocks allocated and not freed */
    int64_t live_bytes;
    int64_t peak_bytes;
    int64_t calls; /* allocations ever asked for */
} mill_mem_stats;

void mill_mem_get_stats(mill_mem_stats *out);
void mill_mem_fail_at(int64_t n); /* n >= 1: fail the n-th call from now; 0: never (default) */

/*
 * An arena: objects that die together.  Blocks are chained, pointers stay put, one free ends all.
 */
typedef struct mill_arena mill_arena;
mill_err mill_arena_new(mill_arena **out);
/* Zeroed, aligned to 16; NULL on failure. */
void *mill_arena_alloc(mill_arena *a, size_t n, size_t size);
char *mill_arena_strdup(mill_arena *a, const char *s);
void mill_arena_free(mill_arena *a);

/*
 * For a program that tells its peak before.  Large blocks go back to the system when they are
 * freed, whichever thread frees them: glibc raises the bound to the largest block that it has seen
 * freed, and then columns stay in the arenas of the threads that coded them, in every second fit.
 */
void mill_mem_return_large(void);
void mill_mem_trim(void); /* small ones too, now: when a table is gone */

#endif
