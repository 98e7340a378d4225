/*
 * t_number.c - numbers and texts against strtod and snprintf, which are correctly rounded in glibc
 * (any length, any exponent).  The C locale is in force, as nobody calls setlocale.
 */
#include "lib/test.h"

#include "base/philox.h"
#include "base/power10.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

static uint64_t rng_u64(mill_rng *r)
{
    return (uint64_t)mill_rng_u32(r) << 32 | mill_rng_u32(r);
}

static void check_parse(const char *s)
{
    double y = -77;
    const double want = strtod(s, NULL);
    const bool is_number = mill_parse_f64(&y, s, strlen(s));

    if (is_number != isfinite(want) || (is_number && bits_of(y) != bits_of(want)))
        fail_msg("%s: %d %a, not %a", s, is_number, y, want);
}

void test_parse__agrees_with_strtod_on_any_double(void **state)
{
    mill_rng r = mill_rng_init(3, 0, 0);
    char s[64];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        const double x = from_bits(rng_u64(&r));
        if (!isfinite(x)) continue;
        snprintf(s, sizeof s, "%.*e", (int)mill_rng_below(&r, 21), x);
        check_parse(s);
        snprintf(s, sizeof s, "%.*f", (int)mill_rng_below(&r, 12),
                 from_bits((bits_of(x) & ~(0x7ffull << 52)) | 1040ull << 52));
        check_parse(s);
    }
}

void test_parse__agrees_with_strtod_on_digits_and_exponents(void **state)
{
    mill_rng r = mill_rng_init(4, 0, 0);
    char s[1200];

    (void)state;
    for (int i = 0; i < 60000; i++) {
        const int digits = 1 + (int)mill_rng_below(&r, i % 100 ? 24 : 1100);
        const int point = (int)mill_rng_below(&r, (uint32_t)digits + 2) - 1;
        const bool zeros = i % 7 == 0;
        int n = 0;
        if (mill_rng_below(&r, 4) == 0) s[n++] = "+-"[mill_rng_below(&r, 2)];
        for (int k = 0; k < digits; k++) {
            if (k == point) s[n++] = '.';
            s[n++] = (char)('0' + (zeros && k > 3 ? 0 : mill_rng_below(&r, 10)));
        }
        if (point == digits) s[n++] = '.';
        if (mill_rng_below(&r, 2)) n += sprintf(s + n, "e%+d", (int)mill_rng_below(&r, 700) - 350);
        s[n] = '\0';
        check_parse(s);
    }
}

void test_parse__rounds_the_hard_cases(void **state)
{
    static const char *const hard[] = {
        "9007199254740993",                        /* 2^53 + 1: a tie */
        "9007199254740993.0000000000000000000001", /* just above it */
        "9007199254740992.9999999999999999999999",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e-400",
        "0e99999999",
        "0.0e-5",
        "-0",
        "1e22",
        "1e23",
        "8.5e22",
        "123456789012345678901234567890",
        "0.000000000000000000000000000000000123456789012345678901",
        "6.631236846766476e-316",
        "00000000000000000000000000000000000000000000000012.5",
        "1e0000000000000000000005",
        "179769313486231580793e289"};
    char s[1200];

    (void)state;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) check_parse(hard[i]);
    memset(s, '7', 1100);
    s[0] = '0';
    s[1] = '.';
    s[1100] = '\0';
    check_parse(s);
}

/* The exact decimal of an odd number of half units of the last place, then one digit more and one
 * less. */
void test_parse__tells_the_sides_of_a_tie_apart(void **state)
{
    mill_rng r = mill_rng_init(5, 0, 0);

    (void)state;
    for (int i = 0; i < 200; i++) {
        const uint64_t m =
            2 * (rng_u64(&r) >> 13) + 1; /* odd, below 2^52: half units of the last place */
        const int e = -1075 + (int)mill_rng_below(&r, 3);
        char s[1200] = "0.";
        unsigned char big[1200] = {0}; /* m 2^e = m 5^-e / 10^-e: the digits of m 5^-e, lowest
                                          first, of which -e are decimals */
        int n = 0;
        for (uint64_t x = m; x; x /= 10) big[n++] = (unsigned char)(x % 10);
        for (int q = 0; q < -e; q++) {
            int carry = 0;
            for (int k = 0; k < n; k++) {
                const int v = 5 * big[k] + carry;
                big[k] = (unsigned char)(v % 10);
                carry = v / 10;
            }
            if (carry) big[n++] = (unsigned char)carry;
        }
        for (int k = 0; k < -e; k++) s[2 + k] = (char)('0' + big[-e - 1 - k]);
        s[2 - e] = '\0';
        check_parse(s);
        s[2 - e] = '1'; /* just above */
        s[3 - e] = '\0';
        check_parse(s);
        s[2 - e] = '\0';
        s[1 - e]--; /* just below: the last digit of a multiple of 5 that is odd is 5 */
        check_parse(s);
    }
}

void test_parse__takes_the_whole_text_or_nothing(void **state)
{
    static const char *const bad[] = {
        "",    " 1",  "1 ",  "+",     "-",     ".",     "e5",   "1e", "1e+", "12,5", "0x10",
        "nan", "inf", "--1", "1.2.3", "1e5.0", "1_000", "1e5 ", "1f", "١",   "-.e1", "1e400"};
    static const char *const good[] = {"1.", ".5", "+.5", "-0.0", "1E5", "1e+05", "007"};
    double y = 5;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (mill_parse_f64(&y, bad[i], strlen(bad[i])))
            fail_msg("\"%s\" was taken for %g", bad[i], y);
    assert_true(y == 5);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_parse(good[i]);
    assert_true(mill_parse_f64(&y, "12345", 3) && y == 123); /* no terminator is needed */
}

void test_parse__integers_up_to_the_ends_of_their_range(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "1.0",
                                      " 1",
                                      "1 ",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e3",
                                      "99999999999999999999999"};
    mill_rng r = mill_rng_init(6, 0, 0);
    int64_t y = 5;
    char s[32];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (mill_parse_i64(&y, bad[i], strlen(bad[i])))
            fail_msg("\"%s\" was taken for %" PRId64, bad[i], y);
    assert_int_equal(y, 5);
    assert_true(mill_parse_i64(&y, "-9223372036854775808", 20) && y == INT64_MIN);
    assert_true(mill_parse_i64(&y, "+9223372036854775807", 20) && y == INT64_MAX);
    for (int i = 0; i < 20000; i++) {
        const int64_t x = (int64_t)rng_u64(&r) >> mill_rng_below(&r, 64);
        const int n = mill_format_i64(s, x);
        char want[32];
        snprintf(want, sizeof want, "%" PRId64, x);
        assert_string_equal(s, want);
        assert_int_equal(n, strlen(want));
        assert_true(mill_parse_i64(&y, s, (size_t)n) && y == x);
    }
    mill_format_i64(s, INT64_MIN);
    assert_string_equal(s, "-9223372036854775808");
}

/* Against strtold, whose 64 bits are correctly rounded. */
void test_power10__is_ten_to_the_e(void **state)
{
    char s[16];

    (void)state;
    for (int e = POWER10_MIN; e <= POWER10_MAX; e++) {
        int exponent;
        snprintf(s, sizeof s, "1e%d", e);
        const uint64_t want = (uint64_t)ldexpl(frexpl(strtold(s, NULL), &exponent), 64);
        const uint64_t got = (uint64_t)(power10_get(e) >> 64);
        assert_int_equal(power10_log2(e), exponent - 1);
        assert_true(got == want || got + 1 == want); /* rounded, and cut off */
    }
    /* Exact where it claims to be: 5^27 < 2^64 fits, and times 10 is times 10. */
    assert_true(power10_get(27) << 64 == 0 && power10_get(POWER10_LAST_EXACT) % 2 == 1);
}

/* The fewest digits of %.*e that read back as x: the definition, tried from one upwards. */
static int fewest_digits(double x)
{
    char s[64];

    for (int n = 1; n < 17; n++) {
        snprintf(s, sizeof s, "%.*e", n - 1, x);
        if (strtod(s, NULL) == x) return n;
    }
    return 17;
}

static int digits_in(const char *s)
{
    int n = 0, zeros = 0;
    bool seen = false;

    for (; *s && *s != 'e'; s++) {
        if (*s < '0' || *s > '9') continue;
        seen = seen || *s != '0';
        if (!seen) continue;
        n++;
        zeros = *s == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void check_shortest(double x)
{
    char s[40];
    const int n = mill_format_f64(s, x);

    if ((size_t)n != strlen(s) || n > 31) fail_msg("%a: length %d of \"%s\"", x, n, s);
    if (bits_of(strtod(s, NULL)) != bits_of(x))
        fail_msg("%a: \"%s\" reads back as %a", x, s, strtod(s, NULL));
    if (x != 0 && digits_in(s) != fewest_digits(x))
        fail_msg("%a: \"%s\", but %d digits do", x, s, fewest_digits(x));
}

void test_format__shortest_text_reads_back(void **state)
{
    mill_rng r = mill_rng_init(7, 0, 0);

    (void)state;
    for (int i = 0; i < 30000; i++) {
        const uint64_t bits = rng_u64(&r);
        const double x = from_bits(bits),
                     decimal = (double)(bits % 10000000) / (i % 2 ? 1000 : 1e5);
        if (isfinite(x)) check_shortest(x);
        check_shortest(from_bits(bits >> (12 + i % 50))); /* denormals */
        check_shortest(decimal);
        check_shortest(-decimal);
        check_shortest((double)(int64_t)(bits >> i % 60));
        check_shortest((double)(float)decimal);
    }
    for (int e = -324; e <= 308; e++) {
        char s[16];
        snprintf(s, sizeof s, "1e%d", e);
        check_shortest(strtod(s, NULL));
        check_shortest(nextafter(strtod(s, NULL), 0));
        check_shortest(nextafter(strtod(s, NULL), INFINITY));
    }
}

void test_format__shortest_looks_as_people_write(void **state)
{
    static const struct {
        double x;
        const char *s;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1, "1"},
                 {-1.5, "-1.5"},
                 {0.1, "0.1"},
                 {100, "100"},
                 {1e15, "1000000000000000"},
                 {1e20, "100000000000000000000"},
                 {1e21, "1e21"},
                 {1.5e300, "1.5e300"},
                 {1e-4, "0.0001"},
                 {1e-5, "0.00001"},
                 {1.5e-6, "1.5e-6"},
                 {5e-324, "5e-324"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {INFINITY, "inf"},
                 {-INFINITY, "-inf"},
                 {NAN, "nan"},
                 {39.1, "39.1"},
                 {3750, "3750"}};
    char s[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mill_format_f64(s, cases[i].x);
        assert_string_equal(s, cases[i].s);
    }
}

void test_format__fixed_agrees_with_printf(void **state)
{
    mill_rng r = mill_rng_init(8, 0, 0);
    char s[40], want[64];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        const int decimals = (int)mill_rng_below(&r, 16);
        double x =
            ldexp((double)(int64_t)rng_u64(&r), -(int)mill_rng_below(&r, i % 3 ? 80 : 1100) - 14);
        if (i % 5 == 0) x = (double)mill_rng_below(&r, 100000) / 8; /* ties */
        const int n = mill_format_fixed(s, x, decimals);
        snprintf(want, sizeof want, "%.*f", decimals, x);
        if (strspn(want, "-0.") == strlen(want))
            memmove(want, want + (want[0] == '-'), strlen(want) + 1); /* no "-0.00" */
        if (strcmp(s, want) != 0 || n != (int)strlen(want))
            fail_msg("%a to %d: \"%s\", not \"%s\"", x, decimals, s, want);
    }
}

void test_format__fixed_at_its_edges(void **state)
{
    static const struct {
        double x;
        int decimals;
        const char *s;
    } cases[] = {{0.5, 0, "0"},
                 {1.5, 0, "2"},
                 {2.5, 0, "2"},
                 {0.125, 2, "0.12"},
                 {0.375, 2, "0.38"},
                 {9.995, 2, "9.99"},
                 {9.999, 2, "10.00"},
                 {-0.001, 2, "0.00"},
                 {-0.0, 1, "0.0"},
                 {1e15, 2, "1000000000000000"},
                 {-999999999999999.9, 0, "-1000000000000000"},
                 {0.1, 15, "0.100000000000000"},
                 {NAN, 2, "nan"}};
    char s[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mill_format_fixed(s, cases[i].x, cases[i].decimals);
        assert_string_equal(s, cases[i].s);
    }
}
