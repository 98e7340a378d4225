/*
 * number.c - numbers to and from text, correctly rounded, without locale.
 *
 * Reading: at most 19 significant digits w and a power of ten e give w * 10^e; where w <= 2^53 and
 * |e| <= 22 both are exact in double, so one multiplication or division rounds once and is right
 * (Clinger, PLDI 1990).  Else 10^e to 128 bits (power10.h) gives the product to within 2 units of
 * its 128 bits, and unless a half lies in that gap this decides the rounding (the idea is in
 * Lemire, "Number parsing at a gigabyte per second", 2021).  Else strtod.
 *
 * Writing the shortest text: for k = 0, 1, ... decimals, m = rint(x * 10^k) is the only candidate
 * of up to 15 digits, as any decimal of 15 digits is closer to x than half a unit of m; m / 10^k is
 * rounded once, so comparing it with x decides.  What needs more digits or other exponents goes by
 * Schubfach (Giulietti, "The Schubfach way to render doubles", 2020).
 *
 * Writing fixed decimals: the fraction is m / 2^s exactly, and m * 10^d < 2^103 is rounded as an
 * integer, half to even.
 */
#include "base/text.h"

#include "base/digits.h"
#include "base/power10.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_locale(void)
{
    c_locale =
        newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's own object: nothing is allocated */
}

/* ---- reading ---- */

/* A number taken apart: (-1)^negative * digits * 10^exponent. */
typedef struct {
    const char *digits, *end; /* with at most one point among them */
    uint64_t first;           /* the first 19 significant digits as a number */
    int64_t exponent;         /* of `first`, if nothing was dropped */
    bool negative, dropped;   /* dropped: there were more than 19 */
} number;

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* [eE][+-]?digits up to the end, added to *exponent; false if it is something else. */
static bool scan_exponent(int64_t *exponent, const char *s, const char *end)
{
    int64_t e = 0;

    if (s < end && (*s | 32) != 'e') return false;
    s++;
    const bool negative = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+')) s++;
    if (s >= end) return false;
    for (; s < end && is_digit(*s); s++)
        if (e < 1000000) e = 10 * e + (*s - '0');
    *exponent += negative ? -e : e;
    return s == end;
}

static bool scan(number *x, const char *s, const char *end)
{
    int64_t point = -1, n_digits = 0;
    int kept = 0;

    *x = (number){0};
    if (s < end && (*s == '-' || *s == '+')) x->negative = *s++ == '-';
    x->digits = s;
    for (; s < end; s++) {
        if (is_digit(*s)) {
            n_digits++;
            if (kept < 19) {
                x->first = 10 * x->first + (uint64_t)(*s - '0');
                kept += x->first != 0; /* leading zeros do not count */
                x->exponent -= point >= 0;
            } else {
                x->dropped = true;
                x->exponent += point < 0;
            }
        } else if (*s == '.' && point < 0) {
            point = s - x->digits;
        } else {
            break;
        }
    }
    x->end = s;
    if (!n_digits) return false;
    return s == end || scan_exponent(&x->exponent, s, end);
}

/*
 * The hard cases by strtod, from a text of our own: 780 digits decide any double (768 are the most
 * that a half-way case has), one more that is not zero stands for all the rest.
 */
static double read_slow(const number *x)
{
    char text[820];
    size_t n = 0;
    int64_t exponent = x->exponent;
    int kept = 0;
    bool more = false, seen = false;

    /* x->exponent belongs to 19 digits; each further digit moves it down by one. */
    for (const char *s = x->digits; s < x->end; s++) {
        if (*s == '.') continue;
        seen = seen || *s != '0';
        if (!seen) continue;
        if (kept < 780) {
            text[n++] = *s;
            exponent -= kept++ >= 19;
        } else {
            more = more || *s != '0';
        }
    }
    if (more) {
        text[n++] = '1';
        exponent--;
    }
    if (!n) text[n++] = '0';
    snprintf(text + n, sizeof text - n, "e%lld", (long long)exponent);
    pthread_once(&once, make_locale);
    return strtod_l(text, NULL, c_locale);
}

/* w * 10^e, correctly rounded; false: too close to a half, no normal number, or not in the table.
 */
static bool scale_by_power10(double *y, uint64_t w, int64_t e)
{
    if (w == 0 || e < POWER10_MIN || e > POWER10_MAX) return false;
    const mill_u128 m = power10_get((int)e);
    const int zeros = __builtin_clzll(w);
    const mill_u128 low = (mill_u128)(uint64_t)m * (w << zeros);
    /* The product is in [p, p + 2) * 2^64: one for what is cut off here, one for what m lacks. */
    const mill_u128 p = (mill_u128)(uint64_t)(m >> 64) * (w << zeros) + (uint64_t)(low >> 64);
    const int top = (int)(p >> 127), cut = 74 + top; /* p >= 2^126; 53 bits of it stay */
    const mill_u128 half = (mill_u128)1 << (cut - 1), rest = p & ((half << 1) - 1);
    if (rest + 2 >= half && rest <= half) return false;
    uint64_t c = (uint64_t)(p >> cut) + (rest > half);
    int exponent = 63 - zeros + power10_log2((int)e) + top; /* 2^exponent <= y */
    if (c == UINT64_C(1) << 53) {
        c >>= 1;
        exponent++;
    }
    if (exponent < -1022 || exponent > 1023) return false;
    const uint64_t bits = (c & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(exponent + 1023) << 52;
    memcpy(y, &bits, 8);
    return true;
}

bool mill_decimal_f64(double *out, uint64_t w, int64_t e)
{
    if (w > UINT64_C(1) << 53 || e < -22 || e > 22) return scale_by_power10(out, w, e);
    *out = e < 0 ? (double)w / power10_f64[-e] : (double)w * power10_f64[e];
    return true;
}

bool mill_parse_f64(double *out, const char *s, size_t n)
{
    number x;
    double y;

    if (!scan(&x, s, s + n)) return false;
    if (x.dropped || !mill_decimal_f64(&y, x.first, x.exponent)) y = read_slow(&x);
    if (!isfinite(y)) return false; /* larger than any double: not a number that we could keep */
    *out = x.negative ? -y : y;
    return true;
}

bool mill_parse_i64(int64_t *out, const char *s, size_t n)
{
    const char *end = s + n;
    const bool negative = n && *s == '-';
    int64_t y = 0;

    if (n && (*s == '-' || *s == '+')) s++;
    if (s == end) return false;
    for (; s < end; s++) {
        if (!is_digit(*s)) return false;
        const int d = *s - '0';
        if (__builtin_mul_overflow(y, 10, &y) || __builtin_sub_overflow(y, d, &y)) return false;
    }
    if (!negative && y == INT64_MIN)
        return false; /* counted downwards, where there is room for one more */
    *out = negative ? y : -y;
    return true;
}

/* ---- writing ---- */

const char digit_pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static int count_digits(uint64_t x)
{
    int n = 1;

    for (; x >= 10000; x /= 10000) n += 4;
    return n + (x >= 10) + (x >= 100) + (x >= 1000);
}

int mill_format_i64(char *buf, int64_t x)
{
    char *at = buf;

    if (x < 0) *at++ = '-';
    at += digits_put(at, x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
    *at = '\0';
    return (int)(at - buf);
}

/* round(frac * 10^d), half to even, for 0 <= frac < 1 */
static uint64_t scale_fraction(double frac, int d)
{
    uint64_t bits;

    memcpy(&bits, &frac, 8);
    const int biased = (int)(bits >> 52 & 0x7ff);
    const uint64_t m = (bits & ((UINT64_C(1) << 52) - 1)) | (biased ? UINT64_C(1) << 52 : 0);
    const int s = 1075 - (biased ? biased : 1); /* frac = m / 2^s, s >= 53 */
    if (s > 127) return 0;                      /* m * 10^d < 2^103 <= half of 2^s */
    const unsigned __int128 v = (unsigned __int128)m * power10_u64[d];
    const unsigned __int128 half = (unsigned __int128)1 << (s - 1), rest = v & ((half << 1) - 1);
    const uint64_t q = (uint64_t)(v >> s);
    return q + (rest > half || (rest == half && (q & 1)));
}

int mill_format_fixed(char *buf, double x, int decimals)
{
    char *at = buf;

    if (!(fabs(x) < 1e15)) return mill_format_f64(buf, x);
    uint64_t whole = (uint64_t)fabs(x), frac = 0;
    if (decimals) {
        frac = scale_fraction(fabs(x) - (double)whole, decimals);
        if (frac == power10_u64[decimals]) {
            frac = 0;
            whole++;
        }
    } else {
        whole = (uint64_t)rint(fabs(x));
    }
    if (x < 0 && (whole || frac)) *at++ = '-';
    at += digits_put(at, whole);
    if (decimals) {
        *at++ = '.';
        digits_put_n(at, frac, decimals);
        at += decimals;
    }
    *at = '\0';
    return (int)(at - buf);
}

/* digits * 10^exponent with the point where a reader wants it: as it stands for 1e-5 <= |x| < 1e21,
 * else d.ddde-7. */
static char *put_decimal(char *at, uint64_t digits, int exponent)
{
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    const int n = count_digits(digits), point = n + exponent; /* digits before the point */
    if (point > 21 || point < -4) {
        char d[20];
        digits_put_n(d, digits, n);
        *at++ = d[0];
        if (n > 1) *at++ = '.';
        memcpy(at, d + 1, (size_t)n - 1);
        at += n - 1;
        *at++ = 'e';
        if (point - 1 < 0) *at++ = '-';
        return at + digits_put(at, (uint64_t)abs(point - 1));
    }
    if (exponent >= 0) {
        digits_put_n(at, digits, n);
        memset(at + n, '0', (size_t)exponent);
        return at + n + exponent;
    }
    if (point <= 0) {
        memset(at, '0', (size_t)(2 - point));
        at[1] = '.';
        digits_put_n(at + 2 - point, digits, n);
        return at + 2 - point + n;
    }
    digits_put_n(at, digits, n); /* then move what is behind the point by one */
    memmove(at + point + 1, at + point, (size_t)(n - point));
    at[point] = '.';
    return at + n + 1;
}

/* floor(g * c / 2^128), with the last bit set if anything was cut off ("round to odd"); g may be
 * too large by less than one unit, which shows as a one where an exact product has a zero. */
static uint64_t times_rounded_to_odd(mill_u128 g, uint64_t c)
{
    const mill_u128 low = (mill_u128)(uint64_t)g * c;
    const mill_u128 y = (mill_u128)(uint64_t)(g >> 64) * c + (uint64_t)(low >> 64);

    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/*
 * Schubfach.  x = c 2^q; 10^k is the largest power of ten that fits into the interval of what
 * rounds to x.  So that interval has at least one multiple of 10^k and at most one of 10^(k+1).
 * `lower`, `value`, `upper`: the ends of the interval and x, in quarters of 10^k.
 */
static char *put_shortest(char *at, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, 8);
    const int biased = (int)(bits >> 52);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    const uint64_t c = biased ? fraction | UINT64_C(1) << 52 : fraction;
    const int q = (biased ? biased : 1) - 1075;
    const bool is_power = fraction == 0 && biased > 1; /* the neighbour below is half as far away */
    /* floor(log10(2^q)), or of 3/4 2^q */
    const int k = (q * 1262611 - (is_power ? 524031 : 0)) >> 22;
    const int h = q + power10_log2(-k) + 1;
    const bool is_exact = -k >= POWER10_FIRST_EXACT && -k <= POWER10_LAST_EXACT;
    const mill_u128 g = power10_get(-k) + !is_exact;
    const uint64_t odd = c & 1; /* an odd c does not own the ends of its interval */
    const uint64_t lower = times_rounded_to_odd(g, (4 * c - (is_power ? 1 : 2)) << h) + odd;
    const uint64_t value = times_rounded_to_odd(g, (4 * c) << h);
    const uint64_t upper = times_rounded_to_odd(g, (4 * c + 2) << h) - odd;
    const uint64_t s = value / 4, tens = s / 10;

    if (s >= 10) {
        const bool has_below = lower <= 40 * tens, has_above = 40 * tens + 40 <= upper;
        if (has_below != has_above) return put_decimal(at, tens + has_above, k + 1);
    }
    const bool has_below = lower <= 4 * s, has_above = 4 * s + 4 <= upper;
    if (has_below != has_above) return put_decimal(at, s + has_above, k);
    return put_decimal(at, s + (value > 4 * s + 2 || (value == 4 * s + 2 && (s & 1))), k);
}

int mill_format_f64(char *buf, double x)
{
    char *at = buf;

    if (isnan(x)) {
        memcpy(buf, "nan", sizeof "nan");
        return 3;
    }
    if (signbit(x)) {
        *at++ = '-';
        x = -x;
    }
    if (isinf(x)) {
        at = stpcpy(at, "inf");
    } else if (x < 1e15 && x == (double)(uint64_t)x) {
        at += digits_put(at, (uint64_t)x);
    } else {
        int k = 0;
        double m = 0;
        for (; k <= 22; k++) {
            m = rint(x * power10_f64[k]);
            if (m >= 1e15 || m / power10_f64[k] == x) break;
        }
        const bool exact = k <= 22 && m > 0 && m < 1e15;
        at = exact ? put_decimal(at, (uint64_t)m, -k) : put_shortest(at, x);
    }
    *at = '\0';
    return (int)(at - buf);
}
