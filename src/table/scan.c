/* scan.c - see scan.h. */
#include "table/scan.h"
#include "base/text.h"

#include <math.h>

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The exponent at [s, s + n), which begins behind the e; false if that is not one. */
static bool scan_exponent(int *out, const char *s, size_t n)
{
    size_t at = n && (s[0] == '+' || s[0] == '-');
    int e = 0;

    if (at == n) return false;
    for (; at < n; at++) {
        if (!is_digit(s[at])) return false;
        if (e < 100000) e = e * 10 + (s[at] - '0');
    }
    *out = s[0] == '-' ? -e : e;
    return true;
}

/* m * 10^e, of which `all` digits stand in m; else, and where that is hard, from the text. */
static bool to_f64(double *out, uint64_t m, int e, bool all, const char *s, size_t n)
{
    double x;

    if (!all || !mill_decimal_f64(&x, m, e)) return mill_parse_f64(out, s, n) && isfinite(*out);
    *out = *s == '-' ? -x : x;
    return true;
}

static number_kind scan(number *out, const char *s, size_t n, bool zeros_count)
{
    const size_t sign = n && (s[0] == '-' || s[0] == '+');
    size_t at = sign;
    uint64_t m = 0;
    int significant = 0, exponent = 0;

    for (; at < n && is_digit(s[at]); at++)
        if (m || s[at] != '0') m = m * 10 + (uint64_t)(s[at] - '0'), significant++;
    const size_t whole = at - sign;
    if (zeros_count && whole > 1 && s[sign] == '0') return NUMBER_NOT;
    if (whole && at == n) {
        out->decimals = 0;
        if (significant <= 18) {
            out->i64 = *s == '-' ? -(int64_t)m : (int64_t)m;
            out->f64 = (double)out->i64;
            return NUMBER_INT;
        }
        if (mill_parse_i64(&out->i64, s + (*s == '+'), n - (*s == '+'))) {
            out->f64 = (double)out->i64;
            return NUMBER_INT;
        }
    }
    size_t fraction = 0;
    if (at < n && s[at] == '.') {
        const size_t from = ++at;
        for (; at < n && is_digit(s[at]); at++)
            if (m || s[at] != '0') m = m * 10 + (uint64_t)(s[at] - '0'), significant++;
        fraction = at - from;
    }
    if (!whole && !fraction) return NUMBER_NOT;
    if (at < n) {
        if (s[at] != 'e' && s[at] != 'E') return NUMBER_NOT;
        if (!scan_exponent(&exponent, s + at + 1, n - at - 1)) return NUMBER_NOT;
    }
    if (fraction > 100000) return NUMBER_NOT;
    const int scale = (int)fraction - exponent;
    if (!to_f64(&out->f64, m, -scale, significant <= 19, s, n)) return NUMBER_HUGE;
    out->decimals = scale < 0 ? 0 : scale > NUMBER_MAX_DECIMALS ? NUMBER_MAX_DECIMALS : scale;
    return NUMBER_REAL;
}

number_kind number_scan(number *out, const char *s, size_t n)
{
    return scan(out, s, n, true);
}

number_kind number_scan_given(number *out, const char *s, size_t n)
{
    return scan(out, s, n, false);
}

bool number_has_comma(const char *s, size_t n)
{
    size_t at = n && (s[0] == '-' || s[0] == '+'), digits = 0, commas = 0;

    for (; at < n && (is_digit(s[at]) || s[at] == ','); at++) {
        if (s[at] != ',') {
            digits++;
            continue;
        }
        if (!digits) return false;
        commas++;
        digits = 0;
    }
    if (!commas || !digits) return false;
    if (at < n && s[at] == '.')
        for (at++; at < n && is_digit(s[at]); at++) {
        }
    return at == n;
}
