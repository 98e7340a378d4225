/*
 * answer_value.c - do two expressions have the same value?
 *
 * Exactly, where both are rational: numbers, variables, + - * /, whole powers, factorials and
 * binomials of small integers, roots of squares.  Each is evaluated in the fields of two primes
 * near 2^61, its variables at fixed numbers that look random: two different rational functions of
 * degree d agree in one with a chance of d / 2^61 (Schwartz 1980, Zippel 1979).  pi and e count as
 * variables: no rational expression ties them to anything.
 *
 * Otherwise at 16 points, in complex long double, each variable at a number of its own: positive,
 * negative and complex ones, so that |x| is not x and the root of a square is not its base.
 * Relative differences up to 1e-13 at all points are equal, above 1e-9 at a positive one different;
 * between them nobody can say.  Neither can anybody where a number has more digits than long double
 * resolves, where a decimal fraction meets an irrational number that it might round, or where the
 * two agree at positive points only (ln xy and ln x + ln y).
 */
#include "reason/expression.h"

#include "base/text.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#ifndef CMPLXL /* clang 14 with glibc's header */
#define CMPLXL(x, y) __builtin_complex((long double)(x), (long double)(y))
#endif

typedef long double complex number;
enum { N_POINTS = 16, N_POSITIVE = 6, MAX_DIGITS = 15, MAX_POWER = 1 << 20, MAX_FACTORIAL = 5000 };

static const long double PI = 3.14159265358979323846264338327950288L;
static const long double EULER = 2.71828182845904523536028747135266250L;

static bool is_text(answer_span s, const char *name)
{
    return s.n == strlen(name) && !memcmp(s.s, name, s.n);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_name(answer_span s, uint64_t salt)
{
    uint64_t h = mix(salt + 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < s.n; i++) h = mix(h ^ (unsigned char)s.s[i]);
    return h;
}

static const node *node_at(value_of v)
{
    return &v.e->at[v.at];
}

static value_of child(value_of v, int which)
{
    int at = node_at(v)->first;
    while (which-- > 0 && at >= 0) at = v.e->at[at].next;
    return (value_of){v.e, at, v.sign};
}

bool answer_has(const expression *e, int at, node_kind kind)
{
    if (e->at[at].kind == kind) return true;
    for (int c = e->at[at].first; c >= 0; c = e->at[c].next)
        if (answer_has(e, c, kind)) return true;
    return false;
}

/* ---- small integers ---- */

/* The node as an integer, if it plainly is one of at most 18 digits. */
static bool small_integer(int64_t *out, value_of v)
{
    const node *n = node_at(v);

    if (n->kind == E_NEGATE) {
        if (!small_integer(out, child(v, 0))) return false;
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

/* ---- exact: in the field of a prime ---- */

static const uint64_t primes[] = {2305843009213693951u, 2305843009213693921u}; /* 2^61 - 1, - 31 */
enum { N_PRIMES = sizeof primes / sizeof *primes };

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

    switch (node_at(v)->function) {
    case F_FACTORIAL:
        if (!small_integer(&n, child(v, 0)) || n < 0 || n > MAX_FACTORIAL) return false;
        for (*out = 1; n > 1; n--) *out = times(*out, (uint64_t)n, p);
        return true;
    case F_BINOM:
        if (!small_integer(&n, child(v, 0)) || !small_integer(&k, child(v, 1)) || n < 0 ||
            n > MAX_FACTORIAL || k < 0)
            return false;
        *out = k <= n;
        for (int64_t i = 1; i <= k && k <= n; i++) {
            uint64_t below;
            if (!inverse(&below, (uint64_t)i, p)) return false;
            *out = times(times(*out, (uint64_t)(n - i + 1), p), below, p);
        }
        return true;
    case F_SQRT:
        if (child(v, 1).at >= 0 || !small_integer(&n, child(v, 0)) || (r = root_of(n)) < 0)
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

    if (!small_integer(&n, child(v, 1)) || n > MAX_POWER || n < -MAX_POWER ||
        !field_value(&base, child(v, 0), p))
        return false;
    if (base == 0 && n <= 0) return false;
    *out = power(base, (uint64_t)(n < 0 ? -n : n), p);
    return n >= 0 || inverse(out, *out, p);
}

static bool field_two(uint64_t *out, value_of v, uint64_t p)
{
    uint64_t a, b;
    node_kind kind = node_at(v)->kind;

    if (!field_value(&a, child(v, 0), p) || !field_value(&b, child(v, 1), p)) return false;
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
    const node *n = node_at(v);

    switch (n->kind) {
    case E_NUMBER:
        return field_number(out, n->text, p);
    case E_SYMBOL:
        if (is_text(n->text, "infty") || is_text(n->text, "i")) return false;
        *out = hash_name(n->text, p) % p;
        return true;
    case E_NEGATE:
        if (!field_value(out, child(v, 0), p)) return false;
        *out = (p - *out) % p;
        return true;
    case E_PERCENT: {
        uint64_t hundredth;
        if (!field_value(out, child(v, 0), p) || !inverse(&hundredth, 100, p)) return false;
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

static bool field_values(uint64_t out[N_PRIMES], value_of v)
{
    for (int i = 0; i < N_PRIMES; i++)
        if (!field_value(&out[i], v, primes[i])) return false;
    return true;
}

/* ---- at points ---- */

/* Digits with at most one point, to within a unit of long double for what compare_points() may
 * call equal (MAX_DIGITS). */
static long double decimal(answer_span s)
{
    long double y = 0, scale = 1;
    bool point = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] == '.') {
            point = true;
            continue;
        }
        y = 10 * y + (s.s[i] - '0');
        if (point) scale *= 10;
    }
    return y / scale;
}

/* A variable's value at a point: between .3 and 2.7; behind the positive points negative, then
 * complex. */
static number symbol_value(answer_span name, int point)
{
    const uint64_t h = hash_name(name, (uint64_t)point + 1);
    const long double re = .3L + 2.4L * (long double)(h >> 40) / 16777216.L;
    const long double im = -1 + 2 * (long double)(h & 0xffffff) / 16777216.L;

    if (is_text(name, "pi")) return PI;
    if (is_text(name, "e")) return EULER;
    if (is_text(name, "i")) return I;
    if (is_text(name, "infty")) return (long double)NAN;
    if (point < N_POSITIVE) return re;
    return point < 2 * N_POSITIVE - 1 ? -re : re + I * im;
}

static number point_value(value_of v, int point);

static number point_factorial(number x)
{
    const long double n = creall(x);
    number y = 1;

    if (cimagl(x) != 0 || n < 0 || n > 1000 || n != floorl(n)) return (long double)NAN;
    for (int i = 2; i <= (int)n; i++) y *= i;
    return y;
}

static number point_root(value_of v, number x, int point)
{
    const value_of index = child(v, 1);

    if (index.at < 0) return csqrtl(x);
    const number n = point_value(index, point);
    /* The odd root of a negative number is negative. */
    if (cimagl(x) == 0 && creall(x) < 0 && cimagl(n) == 0 && fmodl(creall(n), 2) == 1)
        return -cpowl(-x, 1 / n);
    return cpowl(x, 1 / n);
}

static number point_call(value_of v, int point)
{
    const number x = point_value(child(v, 0), point);

    switch (node_at(v)->function) {
    case F_SIN:
        return csinl(x);
    case F_COS:
        return ccosl(x);
    case F_TAN:
        return ctanl(x);
    case F_COT:
        return 1 / ctanl(x);
    case F_SEC:
        return 1 / ccosl(x);
    case F_CSC:
        return 1 / csinl(x);
    case F_ASIN:
        return casinl(x);
    case F_ACOS:
        return cacosl(x);
    case F_ATAN:
        return catanl(x);
    case F_SINH:
        return csinhl(x);
    case F_COSH:
        return ccoshl(x);
    case F_TANH:
        return ctanhl(x);
    case F_LN:
        return clogl(x);
    case F_LOG: /* of whatever base: its logarithm is a number like no other */
        return clogl(x) / 2.113355779L;
    case F_EXP:
        return cexpl(x);
    case F_ABS:
        return cabsl(x);
    case F_SQRT:
        return point_root(v, x, point);
    case F_FACTORIAL:
        return point_factorial(x);
    case F_BINOM: {
        const number k = point_value(child(v, 1), point);
        return point_factorial(x) / point_factorial(k) / point_factorial(x - k);
    }
    default:
        return (long double)NAN;
    }
}

static number point_power(number a, number b)
{
    if (cimagl(b) == 0 && creall(b) == floorl(creall(b)) && fabsl(creall(b)) <= 64) {
        number y = 1;
        for (int i = (int)fabsl(creall(b)); i > 0; i--) y *= a;
        return creall(b) < 0 ? 1 / y : y;
    }
    return cpowl(a, b);
}

static number point_value(value_of v, int point)
{
    const node *n = node_at(v);

    if (n->kind == E_NUMBER) return decimal(n->text);
    if (n->kind == E_SYMBOL) return symbol_value(n->text, point);
    if (n->kind == E_CALL) return point_call(v, point);
    if (n->first < 0 || n->kind >= E_TUPLE) return (long double)NAN;

    const number a = point_value(child(v, 0), point);
    if (n->kind == E_NEGATE) /* not -0 i: that is the other side of a root's cut */
        return CMPLXL(-creall(a), cimagl(a) == 0 ? 0 : -cimagl(a));
    if (n->kind == E_PERCENT) return a / 100;
    if (n->kind == E_DEGREE) return a * PI / 180;
    const number b = point_value(child(v, 1), point);
    switch (n->kind) {
    case E_ADD:
        return a + b;
    case E_SUBTRACT:
        return a - b;
    case E_PLUS_MINUS:
        return v.sign > 0 ? a + b : a - b;
    case E_MINUS_PLUS:
        return v.sign > 0 ? a - b : a + b;
    case E_MULTIPLY:
        return a * b;
    case E_DIVIDE:
        return a / b;
    default:
        return point_power(a, b);
    }
}

/* The most digits of a number in a tree. */
static size_t most_digits(const expression *e, int at)
{
    size_t most = e->at[at].kind == E_NUMBER ? e->at[at].text.n : 0;

    for (int c = e->at[at].first; c >= 0; c = e->at[c].next) {
        const size_t n = most_digits(e, c);
        if (n > most) most = n;
    }
    return most;
}

static bool is_finite(number x)
{
    return isfinite(creall(x)) && isfinite(cimagl(x));
}

typedef enum { SAME, APART, UNSURE } closeness;

static closeness compare_at(value_of a, value_of b, int point)
{
    const number x = point_value(a, point), y = point_value(b, point);

    if (!is_finite(x) || !is_finite(y)) return is_finite(x) == is_finite(y) ? UNSURE : APART;
    const long double size = fmaxl(cabsl(x), cabsl(y)), gap = cabsl(x - y);
    if (gap <= 1e-13L * size) return SAME;
    return size < 1e-12L || gap <= 1e-9L * size ? UNSURE : APART; /* sin(pi) is 1e-20 here */
}

static answer_verdict compare_points(value_of a, value_of b)
{
    int same = 0, apart = 0, positive_apart = 0;

    for (int i = 0; i < N_POINTS; i++) {
        const closeness c = compare_at(a, b, i);
        same += c == SAME;
        apart += c == APART;
        positive_apart += c == APART && i < N_POSITIVE;
    }
    if (same == N_POINTS) return ANSWER_EQUAL;
    if (positive_apart) return ANSWER_DIFFERENT;
    if (apart && !same) return ANSWER_DIFFERENT;
    return ANSWER_UNSUPPORTED;
}

answer_verdict answer_same_value(value_of a, value_of b)
{
    uint64_t x[N_PRIMES], y[N_PRIMES];
    const bool a_exact = field_values(x, a), b_exact = field_values(y, b);

    if (a_exact && b_exact) {
        for (int i = 0; i < N_PRIMES; i++)
            if (x[i] != y[i]) return ANSWER_DIFFERENT;
        return ANSWER_EQUAL;
    }
    answer_verdict v = compare_points(a, b);
    if (v != ANSWER_EQUAL) return v;
    const size_t p = most_digits(a.e, a.at), q = most_digits(b.e, b.at);
    if (p > MAX_DIGITS || q > MAX_DIGITS) return ANSWER_UNSUPPORTED;
    /* One exact, the other not: long digits may be a rounded value. */
    if (a_exact != b_exact && (a_exact ? p : q) > 9) return ANSWER_UNSUPPORTED;
    return v;
}

answer_verdict answer_same_equation(value_of a, value_of b)
{
    uint64_t ratio[N_PRIMES];

    for (int i = 0; i < N_PRIMES; i++) {
        uint64_t l, r, s, t;
        const uint64_t p = primes[i];

        if (!field_value(&l, child(a, 0), p) || !field_value(&r, child(a, 1), p) ||
            !field_value(&s, child(b, 0), p) || !field_value(&t, child(b, 1), p))
            return ANSWER_UNSUPPORTED;
        const uint64_t d = (l + p - r) % p, f = (s + p - t) % p;
        if (!inverse(&ratio[i], f, p)) return ANSWER_UNSUPPORTED;
        ratio[i] = times(d, ratio[i], p);
        if (ratio[i] != 1 && ratio[i] != p - 1) return ANSWER_UNSUPPORTED;
    }
    return ANSWER_EQUAL;
}
