/* t_philox.c - Random123's known answers, and that the derived numbers are uniform and in range. */
#include "lib/test.h"

#include "base/philox.h"

/* kat_vectors of Random123 1.14, "philox4x32 10": counter, key, result. */
void test_philox__gives_the_known_answers(void **state)
{
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = kat[i];
        uint32_t out[4];
        mill_philox(out, (uint64_t)k[5] << 32 | k[4], k[3], k[2], (uint64_t)k[1] << 32 | k[0]);
        assert_memory_equal(out, k + 6, sizeof out);
    }
}

void test_philox__uniforms_stay_inside_and_fill_the_interval(void **state)
{
    (void)state;
    assert_true(mill_u01(0) > 0 && mill_u01(~0u) < 1);
    assert_true(mill_u01_f64(0, 0) > 0 && mill_u01_f64(~0u, ~0u) < 1);
    assert_true(mill_u01(0x80000000u) > 0.5f && mill_u01(0x7fffffffu) < 0.5f);
    assert_true(mill_u01_f64(0, 0x80000000u) > 0.5 && mill_u01_f64(~0u, 0x7fffffffu) < 0.5);
    /* The lowest bit that counts moves the number by one step. */
    assert_true(mill_u01(0x200) - mill_u01(0) == 0x1p-23f);
    assert_true(mill_u01_f64(0x40, 0) - mill_u01_f64(0, 0) == 0x1p-52);
    assert_true(mill_u01_f64(0, 0x40) - mill_u01_f64(0, 0) == 0x1p-26);
}

void test_rng__walks_its_stream_word_by_word(void **state)
{
    mill_rng r = mill_rng_init(42, 7, 3);
    uint32_t want[4];

    (void)state;
    for (uint64_t block = 0; block < 5; block++) {
        mill_philox(want, 42, 3, 7, block);
        for (int i = 0; i < 4; i++) assert_int_equal(mill_rng_u32(&r), want[i]);
    }
}

/* Chi-square over n cells, 6 sigma: n + 6 sqrt(2 n).  The seed is fixed, so this passes always or
 * never. */
void test_rng__below_is_uniform_and_in_range(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 10, 97, 1000};
    mill_rng r = mill_rng_init(5, 0, 0);
    static int count[1000];

    (void)state;
    for (int k = 0; k < 6; k++) {
        const uint32_t n = sizes[k];
        const int draws = 2000 * (int)n > 200000 ? 200000 : 2000 * (int)n;
        double chi = 0;
        memset(count, 0, sizeof count);
        for (int i = 0; i < draws; i++) {
            const uint32_t x = mill_rng_below(&r, n);
            assert_true(x < n);
            count[x]++;
        }
        for (uint32_t i = 0; i < n; i++) {
            const double expected = (double)draws / n;
            chi += (count[i] - expected) * (count[i] - expected) / expected;
        }
        assert_true((chi - n) * (chi - n) <= 36.0 * 2 * n);
    }
    /* Just above 2^31 a plain multiplication without rejection prefers every second value. */
    int odd = 0;
    for (int i = 0; i < 100000; i++) odd += (int)(mill_rng_below(&r, 0x80000001u) & 1);
    assert_true(odd > 49000 && odd < 51000);
}
