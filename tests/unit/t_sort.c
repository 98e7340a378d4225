/* t_sort.c - sorted numbers, against qsort. */
#include "base/mem.h"
#include "base/philox.h"
#include "base/sort.h"
#include "lib/test.h"

#include <float.h>
#include <math.h>

enum { N = 4000 };

static int by_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x != y ? (x > y) - (x < y) : !signbit(x) - !signbit(y); /* -0 before +0 */
}

static int by_integer(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t bits_of(int i, uint32_t stream)
{
    const uint64_t at = 2 * (uint64_t)i;
    return (uint64_t)mill_rand_bits(1, 0, stream, at) << 32 | mill_rand_bits(1, 0, stream, at + 1);
}

/* Bits of all kinds: every exponent and sign, then few values many times. */
static double some_double(int i)
{
    static const double ends[] = {-INFINITY, INFINITY, -0.0, 0.0,    DBL_MAX,
                                  -DBL_MAX,  DBL_MIN,  -1.0, 5e-324, -5e-324};
    const uint64_t bits = bits_of(i, 2);
    double x;

    if (i % 4 == 0) return ends[bits % 10];
    memcpy(&x, &bits, sizeof x);
    return isnan(x) ? (double)i : x;
}

static int64_t some_integer(int i)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, -1, 0, 1, INT64_MIN + 1};
    const uint64_t bits = bits_of(i, 3);

    return i % 4 == 0 ? ends[bits % 6] : (int64_t)bits >> i % 64;
}

void test_sort__puts_doubles_in_order(void **state)
{
    static const int64_t lengths[] = {0, 1, 2, 3, 100, N};
    static double x[N + 1], want[N + 1];

    (void)state;
    for (int k = 0; k < 6; k++) {
        for (int i = 0; i <= N; i++) x[i] = want[i] = some_double(i + k);
        qsort(want, (size_t)lengths[k], sizeof *want, by_double);
        assert_ok(sort_f64(x, lengths[k]));
        assert_memory_equal(x, want, sizeof x); /* bits, and nothing behind the end */
    }
}

void test_sort__puts_integers_in_order(void **state)
{
    static const int64_t lengths[] = {0, 1, 2, 3, 100, N};
    static int64_t x[N + 1], want[N + 1];

    (void)state;
    for (int k = 0; k < 6; k++) {
        for (int i = 0; i <= N; i++) x[i] = want[i] = some_integer(i + k);
        qsort(want, (size_t)lengths[k], sizeof *want, by_integer);
        assert_ok(sort_i64(x, lengths[k]));
        assert_memory_equal(x, want, sizeof x);
    }
}

void test_sort__turns_two_around(void **state)
{
    double x[] = {1, -1}, zero[] = {0.0, -0.0};
    int64_t i[] = {1, -1};

    (void)state;
    assert_ok(sort_f64(x, 2));
    assert_true(x[0] == -1 && x[1] == 1);
    assert_ok(sort_f64(zero, 2));
    assert_true(signbit(zero[0]) && !signbit(zero[1]));
    assert_ok(sort_i64(i, 2));
    assert_true(i[0] == -1 && i[1] == 1);
}

void test_sort__changes_nothing_without_memory(void **state)
{
    double x[] = {3, 2, 1};

    (void)state;
    for (int n = 1; n <= 2; n++) {
        mill_mem_fail_at(n);
        assert_int_equal(sort_f64(x, 3), MILL_ENOMEM);
        mill_mem_fail_at(0);
        assert_true(x[0] == 3 && x[1] == 2 && x[2] == 1);
    }
}
