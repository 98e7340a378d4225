/* t_scan.c - the short ways to read a number agree with the long one, and that with strtod. */
#include "lib/test.h"

#include "base/philox.h"
#include "base/text.h"
#include "table/scan.h"

#include <math.h>

/* A number as people and programs write it, now and then broken; padded by 64 bytes that are no
 * part of it. */
static size_t some_text(char buf[128], mill_rng *r)
{
    static const char junk[] = "-+.eE, 0x:";
    size_t n = 0;

    memset(buf, (char)('0' + mill_rng_below(r, 10)), 128); /* the padding is digits: the worst */
    if (mill_rng_below(r, 3) == 0) buf[n++] = '-';
    const uint32_t whole = mill_rng_below(r, 5) ? mill_rng_below(r, 10) : mill_rng_below(r, 24);
    for (uint32_t i = 0; i < whole; i++) buf[n++] = (char)('0' + mill_rng_below(r, 10));
    if (mill_rng_below(r, 3)) {
        buf[n++] = '.';
        const uint32_t fraction = mill_rng_below(r, 20);
        for (uint32_t i = 0; i < fraction; i++) buf[n++] = (char)('0' + mill_rng_below(r, 10));
    }
    if (!n) buf[n++] = '7';
    if (mill_rng_below(r, 10) == 0)
        buf[mill_rng_below(r, (uint32_t)n)] = junk[mill_rng_below(r, sizeof junk - 1)];
    return n;
}

/* Whatever number_plain takes is what number_scan says that it is. */
void test_scan__plain_numbers_are_those_of_the_long_way(void **state)
{
    mill_rng r = mill_rng_init(5, 0, 0);
    int n_int = 0, n_real = 0;
    char s[128];

    (void)state;
    for (int i = 0; i < 400000; i++) {
        const size_t n = some_text(s, &r);
        number_shape p;
        number x;
        double y;
        if (!number_plain(&p, s, n)) continue;
        const number_kind kind = number_scan(&x, s, n);
        const uint64_t m = number_plain_digits(&p);
        if (p.fraction) {
            n_real++;
            assert_int_equal(kind, NUMBER_REAL);
            assert_int_equal(x.decimals,
                             p.fraction < NUMBER_MAX_DECIMALS ? p.fraction : NUMBER_MAX_DECIMALS);
            if (mill_decimal_f64(&y, m, -p.fraction)) assert_true(x.f64 == (p.negative ? -y : y));
        } else if (p.whole <= 18) {
            n_int++;
            assert_int_equal(kind, NUMBER_INT);
            assert_true(x.i64 == (p.negative ? -(int64_t)m : (int64_t)m));
        }
    }
    assert_true(n_int > 50000 && n_real > 100000);
}

/* None that is written plainly is missed: the fast way would be slow and nobody would notice. */
void test_scan__plain_numbers_are_found(void **state)
{
    static const char *const plain[] = {"0",
                                        "-5",
                                        "0.5",
                                        "-12.25",
                                        "123456789012345678",
                                        "100.0",
                                        "3.141592653589793",
                                        "-1.9538109663342933",
                                        "00.5" + 1};
    static const char *const not [] = {"",     "-",    ".5",    "5.", "007",
                                       "00.5", "1e5",  "1.2.3", "+5", "1,5",
                                       "--1",  "1.-5", " 1",    "1 ", "12345678901234567890"};

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        char s[128] = {0};
        number_shape p;
        snprintf(s, sizeof s, "%s", plain[i]);
        assert_true(number_plain(&p, s, strlen(s)));
        assert_int_equal(p.negative, *s == '-');
    }
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++) {
        char s[128] = {0};
        number_shape p;
        snprintf(s, sizeof s, "%s", not [i]);
        if (number_plain(&p, s, strlen(s))) fail_msg("\"%s\"", not [i]);
    }
}

/* Correctly rounded, as strtod is, also where the digits are more than a double holds. */
void test_scan__reals_are_what_strtod_reads(void **state)
{
    mill_rng r = mill_rng_init(6, 0, 0);
    int n = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char s[128] = {0};
        number_shape p;
        number x;
        double y;
        const int digits = 1 + (int)mill_rng_below(&r, 17);
        const int len = snprintf(s, 64, "%.*f", digits,
                                 (mill_rng_f64(&r) - 0.5) * pow(10, mill_rng_below(&r, 5)));
        assert_int_equal(number_scan(&x, s, (size_t)len), NUMBER_REAL);
        assert_true(x.f64 == strtod(s, NULL));
        if (!number_plain(&p, s, (size_t)len)) continue;
        n++;
        if (mill_decimal_f64(&y, number_plain_digits(&p), -p.fraction))
            assert_true(x.f64 == (p.negative ? -y : y));
    }
    assert_true(n > 150000);
}
