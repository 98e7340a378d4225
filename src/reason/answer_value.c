/*
 * answer_value.c - do two expressions have the same value?
 *
 * Exactly, where both are rational (answer_exact.c), else at points (answer_points.c).  Nobody can
 * say where a number has more digits than long double resolves, or where a decimal fraction meets
 * an irrational number that it might round.
 */
#include "reason/expression.h"

#include <string.h>

enum { MAX_DIGITS = 15 };

/* ---- nodes ---- */

const node *answer_node(value_of v)
{
    return &v.e->at[v.at];
}

value_of answer_child(value_of v, int which)
{
    int at = answer_node(v)->first;
    while (which-- > 0 && at >= 0) at = v.e->at[at].next;
    return (value_of){v.e, at, v.sign};
}

bool answer_is_named(answer_span s, const char *name)
{
    return s.n == strlen(name) && !memcmp(s.s, name, s.n);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t answer_name_hash(answer_span s, uint64_t salt)
{
    uint64_t h = mix(salt + 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < s.n; i++) h = mix(h ^ (unsigned char)s.s[i]);
    return h;
}

/* ---- values ---- */

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

answer_verdict answer_same_value(value_of a, value_of b)
{
    uint64_t x[EXACT_PRIMES], y[EXACT_PRIMES];
    const bool a_exact = answer_exact_value(x, a), b_exact = answer_exact_value(y, b);

    if (a_exact && b_exact) {
        for (int i = 0; i < EXACT_PRIMES; i++)
            if (x[i] != y[i]) return ANSWER_DIFFERENT;
        return ANSWER_EQUAL;
    }
    answer_verdict v = answer_same_at_points(a, b);
    if (v != ANSWER_EQUAL) return v;
    const size_t p = most_digits(a.e, a.at), q = most_digits(b.e, b.at);
    if (p > MAX_DIGITS || q > MAX_DIGITS) return ANSWER_UNSUPPORTED;
    /* One exact, the other not: long digits may be a rounded value. */
    if (a_exact != b_exact && (a_exact ? p : q) > 9) return ANSWER_UNSUPPORTED;
    return v;
}
