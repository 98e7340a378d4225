/*
 * answer_exact.c - the value of a rational expression: numbers, variables, + - * /, whole powers,
 * factorials and binomials of small integers, roots of squares.
 *
 * It is evaluated in the fields of two primes near 2^61, its variables at fixed numbers that look
 * random: two different rational functions of degree d agree in one with a chance of d / 2^61
 * (Schwartz 1980, Zippel 1979).  pi and e count as variables: no rational expression ties them to
 * anything.
 */
#include "reason/expression.h"

#include "base/text.h"

#include <math.h>

enum { MAX_POWER = 1 << 20, MAX_FACTORIAL = 5000 };

static const uint64_t primes[EXACT_PRIMES] = {2305843009213693951u,
                                              2305843009213693921u}; /* 2^61 - 1, - 31 */

/* The node as an integer, if it plainly is one of at most 18 digits. */
static bool small_integer(int64_t *out, value_of v)
{
    const node *n = answer_node(v);

    if (n->kind == E_NEGATE) {
        if (!small_integer(out, answer_child(v, 0))) return false;
        *out = -*out;
        return true;
    }
    return n->kind == E_NUMBER && n->text.n <= 18 && mill_parse_i64(out, n->text.s, n->text.n);
}

static int64_t root_of(int64_t n) /* exact square root, or -1 */
{
    if (n < 0) return -1;
    int64_t r = (int64_t)sqrtl((long double)n);
    while (r * r > n) r--;
    while ((r + 1) * (r + 1) <= n) r++;
    return r * r == n ? r : -1;
}

static uint64_t times(uint64_t a, uint64_t b, uint64_t p)
{
    return (uint64_t)((unsigned __int128)a * b % p);
}

static uint64_t power(uint64_t a, uint64_t n, uint64_t p)
{
    uint64_t y = 1;
    for (; n; n >>= 1, a = times(a, a, p))
        if (n & 1) y = times(y, a, p);
    return y;
}

static bool inverse(uint64_t *out, uint64_t a, uint64_t p)
{
    if (a == 0) return false;
    *out = power(a, p - 2, p);
    return true;
}

static bool field_number(uint64_t *out, answer_span s, uint64_t p)
{
    uint64_t y = 0, scale = 1;
    bool point = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] == '.') {
            point = true;
            continue;
        }
        y = (times(y, 10, p) + (uint64_t)(s.s[i] - '0')) % p;
        if (point) scale = times(scale, 10, p);
    }
    if (!inverse(&scale, scale, p)) return false;
    *out = times(y, scale, p);
    return true;
}

static bool field_value(uint64_t *out, value_of v, uint64_t p);

static bool field_call(uint64_t *out, value_of v, uint64_t p)
{
    int64_t n, k, r;

    switch (answer_node(v)->function) {
    case F_FACTORIAL:
        if (!small_integer(&n, answer_child(v, 0)) || n < 0 || n > MAX_FACTORIAL) return false;
        for (*out = 1; n > 1; n--) *out = times(*out, (uint64_t)n, p);
        return true;
    case F_BINOM:
        if (!small_integer(&n, answer_child(v, 0)) || !small_integer(&k, answer_child(v, 1)) ||
            n < 0 || n > MAX_FACTORIAL || k < 0)
            return false;
        *out = k <= n;
        for (int64_t i = 1; i <= k && k <= n; i++) {
            uint64_t below;
            if (!inverse(&below, (uint64_t)i, p)) return false;
            *out = times(times(*out, (uint64_t)(n - i + 1), p), below, p);
        }
        return true;
    case F_SQRT:
        if (answer_child(v, 1).at >= 0 || !small_integer(&n, answer_child(v, 0)) ||
            (r = root_of(n)) < 0)
            return false;
        *out = (uint64_t)r % p;
        return true;
    default:
        return false;
    }
}

static bool field_power(uint64_t *out, value_of v, uint64_t p)
{
    uint64_t base;
    int64_t n;

    if (!small_integer(&n, answer_child(v, 1)) || n > MAX_POWER || n < -MAX_POWER ||
        !field_value(&base, answer_child(v, 0), p))
        return false;
    if (base == 0 && n <= 0) return false;
    *out = power(base, (uint64_t)(n < 0 ? -n : n), p);
    return n >= 0 || inverse(out, *out, p);
}

static bool field_two(uint64_t *out, value_of v, uint64_t p)
{
    uint64_t a, b;
    node_kind kind = answer_node(v)->kind;

    if (!field_value(&a, answer_child(v, 0), p) || !field_value(&b, answer_child(v, 1), p))
        return false;
    if (kind == E_PLUS_MINUS) kind = v.sign > 0 ? E_ADD : E_SUBTRACT;
    if (kind == E_MINUS_PLUS) kind = v.sign > 0 ? E_SUBTRACT : E_ADD;
    switch (kind) {
    case E_ADD:
        *out = (a + b) % p;
        return true;
    case E_SUBTRACT:
        *out = (a + p - b) % p;
        return true;
    case E_MULTIPLY:
        *out = times(a, b, p);
        return true;
    default: /* E_DIVIDE */
        if (!inverse(&b, b, p)) return false;
        *out = times(a, b, p);
        return true;
    }
}

static bool field_value(uint64_t *out, value_of v, uint64_t p)
{
    const node *n = answer_node(v);

    switch (n->kind) {
    case E_NUMBER:
        return field_number(out, n->text, p);
    case E_SYMBOL:
        if (answer_is_named(n->text, "infty") || answer_is_named(n->text, "i")) return false;
        *out = answer_name_hash(n->text, p) % p;
        return true;
    case E_NEGATE:
        if (!field_value(out, answer_child(v, 0), p)) return false;
        *out = (p - *out) % p;
        return true;
    case E_PERCENT: {
        uint64_t hundredth;
        if (!field_value(out, answer_child(v, 0), p) || !inverse(&hundredth, 100, p)) return false;
        *out = times(*out, hundredth, p);
        return true;
    }
    case E_ADD:
    case E_SUBTRACT:
    case E_MULTIPLY:
    case E_DIVIDE:
    case E_PLUS_MINUS:
    case E_MINUS_PLUS:
        return field_two(out, v, p);
    case E_POWER:
        return field_power(out, v, p);
    case E_CALL:
        return field_call(out, v, p);
    default:
        return false;
    }
}

bool answer_exact_value(uint64_t out[EXACT_PRIMES], value_of v)
{
    for (int i = 0; i < EXACT_PRIMES; i++)
        if (!field_value(&out[i], v, primes[i])) return false;
    return true;
}

answer_verdict answer_same_equation(value_of a, value_of b)
{
    uint64_t ratio[EXACT_PRIMES];

    for (int i = 0; i < EXACT_PRIMES; i++) {
        uint64_t l, r, s, t;
        const uint64_t p = primes[i];

        if (!field_value(&l, answer_child(a, 0), p) || !field_value(&r, answer_child(a, 1), p) ||
            !field_value(&s, answer_child(b, 0), p) || !field_value(&t, answer_child(b, 1), p))
            return ANSWER_UNSUPPORTED;
        const uint64_t d = (l + p - r) % p, f = (s + p - t) % p;
        if (!inverse(&ratio[i], f, p)) return ANSWER_UNSUPPORTED;
        ratio[i] = times(d, ratio[i], p);
        if (ratio[i] != 1 && ratio[i] != p - 1) return ANSWER_UNSUPPORTED;
    }
    return ANSWER_EQUAL;
}
