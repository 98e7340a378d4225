/* t_mem.c - allocations are zeroed, aligned, counted, and fail when a test wants it. */
#include "lib/test.h"

#include "base/mem.h"
#include "base/philox.h"

void test_mem__alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = mill_alloc(n, 3);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < 3 * n; i++) assert_int_equal(p[i], 0);
        if (n) memset(p, 0xff, 3 * n); /* the next calloc may get this memory */
        mill_free(p);
    }
}

void test_mem__size_mul_refuses_overflow(void **state)
{
    size_t out = 7;

    (void)state;
    assert_fails(MILL_ENOMEM, "x 3", mill_size_mul(&out, SIZE_MAX / 2, 3));
    assert_ok(mill_size_mul(&out, SIZE_MAX / 3, 3));
    assert_null(mill_alloc(SIZE_MAX / 2, 3));
    assert_null(mill_alloc(SIZE_MAX - 5, 1));
    assert_null(mill_alloc(PTRDIFF_MAX, 1));
}

/* Against a plain shadow copy, over sizes that move between small blocks and mapped ones. */
void test_mem__realloc_keeps_old_bytes_and_zeroes_new(void **state)
{
    mill_rng rng = mill_rng_init(1, 0, 0);
    unsigned char *p = NULL, *shadow = calloc(1, 400000);
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        const size_t n = mill_rng_below(&rng, i % 9 ? 3000 : 400000);
        p = mill_realloc(p, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        if (n > len) memset(shadow + len, 0, n - len);
        assert_memory_equal(p, shadow, n);
        for (size_t k = 0; k < n; k++) p[k] = shadow[k] = (unsigned char)(k * 7 + (size_t)i);
        len = n;
    }
    mill_free(p);
    free(shadow);
}

void test_mem__failed_realloc_leaves_the_block(void **state)
{
    char *p = mill_strdup("kept");

    (void)state;
    mill_mem_fail_at(1);
    assert_null(mill_realloc(p, 100000, 1));
    assert_string_equal(p, "kept");
    assert_null(mill_realloc(p, SIZE_MAX, 2));
    assert_string_equal(p, "kept");
    mill_free(p);
}

void test_mem__only_the_nth_call_fails(void **state)
{
    (void)state;
    mill_mem_fail_at(3);
    for (int i = 1; i <= 5; i++) {
        void *p = mill_alloc(1, 1);
        assert_int_equal(p == NULL, i == 3);
        mill_free(p);
    }
    mill_mem_fail_at(0);
}

void test_mem__stats_count_blocks_bytes_and_peak(void **state)
{
    mill_mem_stats before, after;

    (void)state;
    mill_mem_get_stats(&before);
    void *a = mill_alloc(10, 100);
    a = mill_realloc(a, 50, 100);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live - before.live, 1);
    assert_int_equal(after.live_bytes - before.live_bytes, 5000);
    assert_int_equal(after.calls - before.calls, 2);
    assert_true(after.peak_bytes >= after.live_bytes);
    mill_free(a);
    mill_free(NULL);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_true(after.peak_bytes >= before.live_bytes + 5000);
}

void test_mem__strndup_stops_at_nul_and_at_n(void **state)
{
    char *a = mill_strndup("abcdef", 3), *b = mill_strndup("ab\0cd", 5);

    (void)state;
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    mill_free(a);
    mill_free(b);
}

void test_arena__objects_stay_put_and_do_not_overlap(void **state)
{
    enum { N = 3000 };
    static unsigned char *at[N];
    static size_t size[N];
    mill_rng rng = mill_rng_init(2, 0, 0);
    mill_arena *a;

    (void)state;
    assert_ok(mill_arena_new(&a));
    for (int i = 0; i < N; i++) {
        size[i] = mill_rng_below(&rng, i % 50 ? 200 : 30000);
        at[i] = mill_arena_alloc(a, size[i], 1);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        for (size_t k = 0; k < size[i]; k++) assert_int_equal(at[i][k], 0);
        memset(at[i], i & 255, size[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < size[i]; k++) assert_int_equal(at[i][k], i & 255);
    assert_string_equal(mill_arena_strdup(a, "text"), "text");
    mill_arena_free(a);
    mill_arena_free(NULL);
}

/* new, a small, a large and a text: whichever allocation fails, nothing leaks and the arena still
 * ends. */
void test_arena__every_allocation_may_fail(void **state)
{
    mill_mem_stats before, after;
    int64_t n = 0;
    bool done = false;

    (void)state;
    mill_mem_get_stats(&before);
    while (!done) {
        mill_arena *a = NULL;
        mill_mem_fail_at(++n);
        if (mill_arena_new(&a) == MILL_OK) {
            void *small = mill_arena_alloc(a, 3, 5), *large = mill_arena_alloc(a, 1000, 1000);
            done = small && large && mill_arena_strdup(a, "x");
        }
        if (!done) assert_string_not_equal(mill_error(), "");
        mill_mem_fail_at(0);
        mill_arena_free(a);
    }
    assert_true(n >= 4);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
}
