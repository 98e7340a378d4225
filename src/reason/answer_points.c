/*
 * answer_points.c - do two expressions have the same values at 16 points?
 *
 * In complex long double, each variable at a number of its own: positive, negative and complex
 * ones, so that |x| is not x and the root of a square is not its base.  Relative differences up to
 * 1e-16 at all points are equal; above 1e-9 at a positive one, and for whole variables too,
 * different.  Between them nobody can say, nor where the two agree at positive points only (ln xy
 * and ln x + ln y) or at whole ones (cos(n pi) and (-1)^n), nor where one of them has no value, or
 * a part of it hardly matters (10^20 + sqrt 2, tanh 50) or is only rounding (sin pi).
 */
#include "reason/expression.h"

#include <complex.h>
#include <math.h>

#ifndef CMPLXL /* clang 14 with glibc's header */
#define CMPLXL(x, y) __builtin_complex((long double)(x), (long double)(y))
#endif

typedef long double complex number;
enum { N_WHOLE = 4, N_POSITIVE = 6, N_POINTS = 16 }; /* points: those that are not whole */

static const long double FAINT = 1e-8L; /* a change that is less might not be seen */
static const long double PI = 3.14159265358979323846264338327950288L;
static const long double EULER = 2.71828182845904523536028747135266250L;

/* Digits with at most one point, to within a unit of long double for as many as answer_value.c
 * trusts (MAX_DIGITS). */
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

/* A variable's value at a point: whole at the first ones, then between .3 and 2.7, then negative,
 * then complex. */
static number symbol_value(answer_span name, int point)
{
    const uint64_t h = answer_name_hash(name, (uint64_t)point + 1);
    const long double re = .3L + 2.4L * (long double)(h >> 40) / 16777216.L;
    const long double im = -1 + 2 * (long double)(h & 0xffffff) / 16777216.L;

    if (answer_is_named(name, "pi")) return PI;
    if (answer_is_named(name, "e")) return EULER;
    if (answer_is_named(name, "i")) return I;
    if (answer_is_named(name, "infty")) return (long double)NAN;
    if (point < N_WHOLE) return 1 + h % 6;
    if (point < N_WHOLE + N_POSITIVE) return re;
    return point < N_WHOLE + 2 * N_POSITIVE - 1 ? -re : re + I * im;
}

static number point_value(value_of v, int point);

/* A part that is lost beside the other would make a sum equal to what lacks it; and where both
 * cancel out, what is left is rounding. */
static number sum(number a, number b)
{
    const long double x = cabsl(a), y = cabsl(b), z = cabsl(a + b), least = FAINT * fmaxl(x, y);
    const bool faint = (x != 0 && x < least) || (y != 0 && y < least) || (z != 0 && z < least);

    return faint ? (long double)NAN : a + b;
}

static number point_factorial(number x)
{
    const long double n = creall(x);
    number y = 1;

    if (cimagl(x) != 0 || n < 0 || n > 1000 || n != floorl(n)) return (long double)NAN;
    for (int i = 2; i <= (int)n; i++) y *= i;
    return y;
}

static number point_power(number a, number b)
{
    if (cimagl(b) == 0 && creall(b) == floorl(creall(b)) && fabsl(creall(b)) <= 64) {
        number y = a == 0 && b == 0 ? (long double)NAN : 1;
        for (int i = (int)fabsl(creall(b)); i > 0; i--) y *= a;
        return creall(b) < 0 ? 1 / y : y;
    }
    /* 2^{1/10^9} is nearly 1, whatever the base. */
    return a != 1 && cabsl(b * clogl(a)) < FAINT ? (long double)NAN : cpowl(a, b);
}

static number point_root(value_of v, number x, int point)
{
    const value_of index = answer_child(v, 1);

    if (index.at < 0) return csqrtl(x);
    const number n = point_value(index, point);
    /* The odd root of a negative number is negative. */
    if (cimagl(x) == 0 && creall(x) < 0 && cimagl(n) == 0 && fmodl(creall(n), 2) == 1)
        return -point_power(-x, 1 / n);
    return point_power(x, 1 / n);
}

static number function_value(function_id f, number x)
{
    switch (f) {
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
    case F_FACTORIAL:
        return point_factorial(x);
    default:
        return (long double)NAN;
    }
}

static number point_call(value_of v, int point)
{
    const function_id f = answer_node(v)->function;
    const number x = point_value(answer_child(v, 0), point);

    if (f == F_SQRT) return point_root(v, x, point);
    if (f == F_BINOM) {
        const number k = point_value(answer_child(v, 1), point);
        return point_factorial(x) / point_factorial(k) / point_factorial(x - k);
    }
    /* tanh 50 is nearly 1, and so is tanh of all that is near 50; sin pi is all rounding. */
    const number y = function_value(f, x), near = function_value(f, x + x / 64);
    const number rounded = function_value(f, x + x * 1e-18L);
    if (x == 0 || y == 0) return y;
    return cabsl(near - y) < FAINT * cabsl(y) || cabsl(rounded - y) > FAINT * cabsl(y)
               ? (long double)NAN
               : y;
}

static number node_value(value_of v, int point)
{
    const node *n = answer_node(v);

    if (n->kind == E_NUMBER) return decimal(n->text);
    if (n->kind == E_SYMBOL) return symbol_value(n->text, point);
    if (n->kind == E_CALL) return point_call(v, point);
    if (n->first < 0 || n->kind >= E_TUPLE) return (long double)NAN;

    const number a = point_value(answer_child(v, 0), point);
    if (n->kind == E_NEGATE) return -a;
    if (n->kind == E_PERCENT) return a / 100;
    if (n->kind == E_DEGREE) return a * PI / 180;
    const number b = point_value(answer_child(v, 1), point);
    switch (n->kind) {
    case E_ADD:
        return sum(a, b);
    case E_SUBTRACT:
        return sum(a, -b);
    case E_PLUS_MINUS:
        return sum(a, v.sign > 0 ? b : -b);
    case E_MINUS_PLUS:
        return sum(a, v.sign > 0 ? -b : b);
    case E_MULTIPLY:
        return a * b;
    case E_DIVIDE:
        return a / b;
    default:
        return point_power(a, b);
    }
}

/* A part that is only rounding would decide on which side of a root's cut the other lies. */
static number point_value(value_of v, int point)
{
    const number x = node_value(v, point);
    long double re = creall(x), im = cimagl(x);

    if (fabsl(im) <= 1e-17L * fabsl(re)) im = 0;
    if (fabsl(re) <= 1e-17L * fabsl(im)) re = 0;
    return CMPLXL(re, im);
}

static bool is_finite(number x)
{
    return isfinite(creall(x)) && isfinite(cimagl(x));
}

typedef enum { SAME, APART, UNSURE } closeness;

static closeness compare_at(value_of a, value_of b, int point)
{
    const number x = point_value(a, point), y = point_value(b, point);

    if (!is_finite(x) || !is_finite(y)) return UNSURE;
    const long double size = fmaxl(cabsl(x), cabsl(y)), gap = cabsl(x - y);
    if (gap <= 1e-16L * size) return SAME;
    return size < 1e-12L || gap <= 1e-9L * size ? UNSURE : APART; /* sin(pi) is 1e-20 here */
}

answer_verdict answer_same_at_points(value_of a, value_of b)
{
    int same = 0, positive_same = 0, positive_apart = 0, whole_apart = 0;

    for (int i = 0; i < N_WHOLE + N_POINTS; i++) {
        const closeness c = compare_at(a, b, i);
        const bool whole = i < N_WHOLE, positive = !whole && i < N_WHOLE + N_POSITIVE;
        same += c == SAME && !whole;
        positive_same += c == SAME && positive;
        positive_apart += c == APART && positive;
        whole_apart += c == APART && whole;
        if (whole_apart && positive_apart) return ANSWER_DIFFERENT;
    }
    if (same == N_POINTS) return ANSWER_EQUAL;
    return whole_apart && !positive_same ? ANSWER_DIFFERENT : ANSWER_UNSUPPORTED;
}
