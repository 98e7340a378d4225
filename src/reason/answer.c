/*
 * answer.c - are two answers the same?  Boxes, and the structure around values.
 *
 * Tuples and intervals: the same brackets and equal parts in order.  Lists: as many parts, each
 * with an equal one in the other, in any order.  Sets and unions: each part of one has an equal one
 * in the other, both ways.  A list against a set or a tuple, unions cut differently, a percentage
 * against a bare number, a word that is not the same word: nobody can say.  A known unit may be
 * missing on one side; two units must be the same.
 */
#include "reason/expression.h"

#include <string.h>
#include <strings.h>

enum { MAX_PARTS = 32 };

const char *answer_verdict_name(answer_verdict v)
{
    static const char *const name[ANSWER_N_VERDICT] = {"equal", "different", "unsupported",
                                                       "missing"};
    return name[v];
}

/* ---- boxes ---- */

/* `at` is behind "\boxed": the inside of its braces, escaped ones not counted. */
static bool inside(answer_span *out, const char *at, const char *end)
{
    int depth = 0;

    while (at < end && (*at == ' ' || *at == '\n')) at++;
    if (at == end || *at != '{') return false;
    for (const char *s = at; s < end; s++) {
        if (*s == '\\') {
            s++;
            continue;
        }
        depth += (*s == '{') - (*s == '}');
        if (depth) continue;
        *out = (answer_span){at + 1, (size_t)(s - at - 1)};
        return true;
    }
    return false;
}

bool answer_boxed(answer_span *out, const char *text, size_t n)
{
    static const char *const box[] = {"\\boxed", "\\fbox"};
    const char *const end = text + n;

    for (const char *s = end; s-- > text;) {
        if (*s != '\\') continue;
        for (int i = 0; i < 2; i++) {
            const size_t len = strlen(box[i]);
            if ((size_t)(end - s) > len && !memcmp(s, box[i], len) && inside(out, s + len, end))
                return true;
        }
    }
    return false;
}

static answer_span trim(answer_span s)
{
    while (s.n && strchr(" \t\r\n", *s.s)) s.s++, s.n--;
    while (s.n && strchr(" \t\r\n", s.s[s.n - 1])) s.n--;
    return s;
}

static bool same_text(answer_span a, answer_span b)
{
    return a.n == b.n && (!a.n || !memcmp(a.s, b.s, a.n));
}

bool answer_is_gold(answer_span gold)
{
    static const char *const none[] = {"proof", "notfound"};

    gold = trim(gold);
    for (int i = 0; i < 2; i++)
        if (gold.n == strlen(none[i]) && !strncasecmp(gold.s, none[i], gold.n)) return false;
    return gold.n > 0;
}

/* ---- structure ---- */

static answer_verdict compare(value_of a, value_of b);

/* How often \pm and \mp stand in it where none of their signs is taken yet. */
static int free_signs(value_of v, node_kind kind)
{
    int n = v.sign == 0 && answer_node(v)->kind == kind;

    for (value_of c = answer_child(v, 0); v.sign == 0 && c.at >= 0; c.at = answer_node(c)->next)
        n += free_signs(c, kind);
    return n;
}

static bool has_free_sign(value_of v)
{
    return free_signs(v, E_PLUS_MINUS) || free_signs(v, E_MINUS_PLUS);
}

/* a \pm b is two parts; whether a \pm b \pm c is two or four, nobody can say: -1. */
static int add_part(value_of part[MAX_PARTS], int count, value_of v)
{
    const bool two = has_free_sign(v);

    if (count < 0 || count + two >= MAX_PARTS) return -1;
    if (free_signs(v, E_PLUS_MINUS) > 1 && !free_signs(v, E_MINUS_PLUS)) return -1;
    part[count] = v;
    if (!two) return count + 1;
    part[count].sign = +1;
    part[count + 1] = v;
    part[count + 1].sign = -1;
    return count + 2;
}

static bool has_parts(value_of v)
{
    const node_kind k = answer_node(v)->kind;
    return k == E_SET || k == E_LIST || k == E_UNION || (k == E_TUPLE && !has_free_sign(v));
}

/* The parts of a list, set, union or tuple; (\pm 1, 2) is a list of two. */
static int parts_of(value_of part[MAX_PARTS], value_of v)
{
    int count = 0;

    if (!has_parts(v)) return add_part(part, 0, v);
    for (value_of c = answer_child(v, 0); c.at >= 0; c.at = answer_node(c)->next)
        count = add_part(part, count, c);
    return count;
}

static answer_verdict worse(answer_verdict a, answer_verdict b)
{
    if (a == ANSWER_DIFFERENT || b == ANSWER_DIFFERENT) return ANSWER_DIFFERENT;
    return a == ANSWER_EQUAL ? b : a;
}

static answer_verdict compare_in_order(const value_of *a, const value_of *b, int n)
{
    answer_verdict v = ANSWER_EQUAL;
    for (int i = 0; i < n; i++) v = worse(v, compare(a[i], b[i]));
    return v;
}

/* Every part of a has an equal part in b; with `once` each of b serves once. */
static answer_verdict all_found(const value_of *a, int n, const value_of *b, int m, bool once)
{
    bool used[MAX_PARTS] = {false};
    answer_verdict all = ANSWER_EQUAL;

    for (int i = 0; i < n; i++) {
        answer_verdict best = ANSWER_DIFFERENT;
        for (int j = 0; j < m && best != ANSWER_EQUAL; j++) {
            if (once && used[j]) continue;
            const answer_verdict v = compare(a[i], b[j]);
            if (v == ANSWER_EQUAL) used[j] = true;
            if (v != ANSWER_DIFFERENT) best = v;
        }
        all = worse(all, best);
    }
    return all;
}

static bool is_value(value_of v)
{
    return answer_node(v)->kind < E_TUPLE && !has_free_sign(v);
}

static answer_verdict both_found(const value_of *a, int n, const value_of *b, int m)
{
    return worse(all_found(a, n, b, m, false), all_found(b, m, a, n, false));
}

static answer_verdict compare_parts(value_of a, value_of b)
{
    const node *x = answer_node(a), *y = answer_node(b);
    const node_kind p = has_parts(a) ? x->kind : E_LIST, q = has_parts(b) ? y->kind : E_LIST;
    value_of part[2][MAX_PARTS];
    const int n = parts_of(part[0], a), m = parts_of(part[1], b);

    if (p != q || n < 0 || m < 0) return ANSWER_UNSUPPORTED;
    if (p == E_SET) return both_found(part[0], n, part[1], m);
    if (p == E_TUPLE) {
        if (n != m) return ANSWER_DIFFERENT;
        const answer_verdict v = compare_in_order(part[0], part[1], n);
        if (v == ANSWER_DIFFERENT || (x->open == y->open && x->close == y->close)) return v;
        return n == 2 ? ANSWER_DIFFERENT : ANSWER_UNSUPPORTED; /* [1,2] is an interval */
    }
    if (p == E_LIST && n == m) return all_found(part[0], n, part[1], m, true);
    const answer_verdict v = both_found(part[0], n, part[1], m);
    /* A double root may be named once, and a union be cut elsewhere. */
    if (p == E_LIST) return v == ANSWER_DIFFERENT ? v : ANSWER_UNSUPPORTED;
    return v == ANSWER_EQUAL ? v : ANSWER_UNSUPPORTED;
}

/* 45 degrees are a quarter of pi; "45" may mean them too. */
static answer_verdict compare_values(value_of a, value_of b)
{
    const node *x = answer_node(a), *y = answer_node(b);

    const bool degrees[2] = {x->kind == E_DEGREE, y->kind == E_DEGREE};

    if (degrees[0] != degrees[1] && answer_same_value(a, b) == ANSWER_EQUAL) return ANSWER_EQUAL;
    if (degrees[0]) a.at = x->first;
    if (degrees[1]) b.at = y->first;
    return answer_same_value(a, b);
}

/* +1, -1: plus or minus infinity; 0: neither. */
static int infinity_of(value_of v)
{
    const bool minus = answer_node(v)->kind == E_NEGATE;
    const node *n = answer_node(minus ? answer_child(v, 0) : v);

    if (n->kind != E_SYMBOL || !answer_is_named(n->text, "infty")) return 0;
    return minus ? -1 : 1;
}

/* One of them is infinite; 3/0 or twice infinity is no value that differs. */
static answer_verdict compare_infinities(value_of a, value_of b)
{
    const int s = infinity_of(a), t = infinity_of(b);

    if (s && t) return s == t ? ANSWER_EQUAL : ANSWER_DIFFERENT;
    const value_of finite = s ? b : a;
    return is_value(finite) && answer_same_value(finite, finite) == ANSWER_EQUAL
               ? ANSWER_DIFFERENT
               : ANSWER_UNSUPPORTED;
}

static answer_verdict compare(value_of a, value_of b)
{
    const node *x = answer_node(a), *y = answer_node(b);

    if (x->kind == E_LETTERS || y->kind == E_LETTERS)
        return x->kind == y->kind && same_text(x->text, y->text) ? ANSWER_EQUAL
                                                                 : ANSWER_UNSUPPORTED;
    if (infinity_of(a) || infinity_of(b)) return compare_infinities(a, b);
    if (is_value(a) && is_value(b)) return compare_values(a, b);
    if (is_value(a) || is_value(b)) return ANSWER_UNSUPPORTED;
    return compare_parts(a, b);
}

static answer_verdict compare_words(const node *a, const node *b)
{
    static const char *const pairs[][2] = {{"yes", "no"}, {"true", "false"}, {"even", "odd"}};

    if (a->kind == E_CHOICE && b->kind == E_CHOICE)
        return same_text(a->text, b->text) ? ANSWER_EQUAL : ANSWER_DIFFERENT;
    if (a->kind != E_WORDS || b->kind != E_WORDS) return ANSWER_UNSUPPORTED;
    if (a->text.n == b->text.n && !strncasecmp(a->text.s, b->text.s, a->text.n))
        return ANSWER_EQUAL;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int k = 0; k < 2; k++) {
            const char *p = pairs[i][k], *q = pairs[i][1 - k];
            if (a->text.n == strlen(p) && b->text.n == strlen(q) &&
                !strncasecmp(a->text.s, p, a->text.n) && !strncasecmp(b->text.s, q, b->text.n))
                return ANSWER_DIFFERENT;
        }
    return ANSWER_UNSUPPORTED;
}

static answer_verdict compare_answers(const expression *a, const expression *b)
{
    const node *x = &a->at[a->root], *y = &b->at[b->root];
    const value_of u = {a, a->root, 0}, v = {b, b->root, 0};

    if (x->kind == E_CHOICE || x->kind == E_WORDS || y->kind == E_CHOICE || y->kind == E_WORDS)
        return compare_words(x, y);
    if (a->name.n && b->name.n && !same_text(a->name, b->name)) return ANSWER_UNSUPPORTED;
    if (x->kind == E_EQUATION || y->kind == E_EQUATION)
        return x->kind == y->kind && !has_free_sign(u) && !has_free_sign(v)
                   ? answer_same_equation(u, v)
                   : ANSWER_UNSUPPORTED;
    const answer_verdict is = compare(u, v);
    /* 90 degrees in the words of one and the sign of the other, 5 cm and 50 mm: who knows. */
    if (a->unit.n && b->unit.n) return same_text(a->unit, b->unit) ? is : ANSWER_UNSUPPORTED;
    /* 5 million is not 5, nor other than 5000000. */
    return a->unit_known && b->unit_known ? is : ANSWER_UNSUPPORTED;
}

static answer_verdict compare_as_read(expression both[2], answer_span gold, answer_span given,
                                      unsigned reading)
{
    both[0].reading = both[1].reading = reading;
    if (!answer_lex(&both[0], gold) || !answer_lex(&both[1], given)) return ANSWER_UNSUPPORTED;
    if (answer_same_tokens(&both[0].tokens, &both[1].tokens)) return ANSWER_EQUAL;
    if (!answer_parse(&both[0]) || !answer_parse(&both[1])) return ANSWER_UNSUPPORTED;
    return compare_answers(&both[0], &both[1]);
}

answer_verdict answer_compare(answer_span gold, answer_span given)
{
    if (!answer_is_gold(gold)) return ANSWER_MISSING;
    gold = trim(gold);
    given = trim(given);
    if (!given.n) return ANSWER_MISSING;
    if (same_text(gold, given)) return ANSWER_EQUAL;
    expression both[2] = {0}; /* 78 KB: without memory a verdict would be another one */
    answer_verdict v = compare_as_read(both, gold, given, 0);
    const unsigned all = both[0].choices | both[1].choices;
    for (unsigned r = all; v == ANSWER_DIFFERENT && r; r = (r - 1) & all) {
        if ((r & READ_LOG_NATURAL) && (r & READ_LOG_TEN)) continue;
        const answer_verdict other = compare_as_read(both, gold, given, r);
        /* Two units: whether 5 m are 500 cm is not known here. */
        if (other == ANSWER_EQUAL || (other == ANSWER_UNSUPPORTED && (r & READ_UNIT)))
            v = ANSWER_UNSUPPORTED;
    }
    return v;
}

answer_verdict answer_verify(answer_span gold, const char *response, size_t n)
{
    answer_span given;

    if (!answer_is_gold(gold)) return ANSWER_MISSING;
    return answer_boxed(&given, response, n) ? answer_compare(gold, given) : ANSWER_MISSING;
}
