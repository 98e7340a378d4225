/*
 * answer_term.c - tokens as the tree of a value.
 *
 *     value    := [+ | -] term { (+ | - | \pm | \mp) term }
 *     term     := factor { [* | /] factor }              no sign between two factors: a product
 *     factor   := base [^ exponent] { ! | % | \degree }
 *     base     := NUMBER | mixed | SYMBOL | \frac | \sqrt | \binom | FUNCTION factors | |value|
 *                 | ( list ) | [ list ] | { value } | \{ list \}
 *
 * (a) is a in brackets; (a, b), [a, b) and the like are tuples or intervals, which look the same.
 * 3\frac{1}{2} and 3 1/2 are mixed numbers; two numbers side by side are otherwise not understood,
 * nor is what would be read one way by some and another way by others: 1/2x, sin x/2, 7!!, 2^3!.
 */
#include "reason/answer_parse_inner.h"

#include "base/text.h"

#include <ctype.h>

static int parse_factor(parser *p);
static int parse_operator(parser *p);

/* ---- nodes and tokens ---- */

static int call(parser *p, function_id f, int a, int b)
{
    if (p->ok && b >= 0) p->e->at[a].next = b;
    const int at = new_node(p, E_CALL, a);
    if (p->ok) p->e->at[at].function = f;
    return at;
}

/* What is left of a number. */
static int take_number(parser *p)
{
    const answer_span s = {p->t->text.s + p->taken, p->t->text.n - p->taken};

    p->taken = 0;
    p->t++;
    return leaf(p, E_NUMBER, s);
}

/* Its next digit; one of a number with a point is not understood. */
static int take_digit(parser *p)
{
    if (memchr(p->t->text.s, '.', p->t->text.n)) return fail(p);
    if (p->taken + 1 == p->t->text.n) return take_number(p);
    return leaf(p, E_NUMBER, (answer_span){p->t->text.s + p->taken++, 1});
}

static int take_symbol(parser *p)
{
    static const char other[] = "abcdefghijnlnnopqrstuvwxyz"; /* how a letter may be named */
    const answer_span s = (p->t++)->text;
    const char *name = s.n == 1 ? other + (tolower((unsigned char)*s.s) - 'a') : s.s;

    if (*name != *s.s && answer_reads(p->e, READ_NAMES))
        return leaf(p, E_SYMBOL, (answer_span){name, 1});
    if (answer_is_named(s, "pi") && answer_reads(p->e, READ_DEGREES))
        return leaf(p, E_NUMBER, (answer_span){"180", 3});
    return leaf(p, E_SYMBOL, s);
}

/* ---- values ---- */

/* {value}, or one token: \frac12 is a half, x^23 in plain text is x^23. */
static int parse_group(parser *p, bool one_digit)
{
    if (take(p, '{')) {
        const int at = answer_parse_value(p);
        return take(p, '}') ? at : fail(p);
    }
    if (p->t->kind == T_NUMBER) return one_digit ? take_digit(p) : take_number(p);
    if (p->t->kind == T_SYMBOL) return take_symbol(p);
    return parse_factor(p);
}

static int parse_exponent(parser *p)
{
    if (take(p, '-')) return new_node(p, E_NEGATE, parse_exponent(p));
    return parse_group(p, false);
}

static bool begins_factor(const parser *p)
{
    const token *t = p->t;

    if (t->kind == T_NUMBER || t->kind == T_SYMBOL || t->kind == T_FUNCTION) return true;
    if (t->kind != T_OP) return false;
    return t->op == '(' || t->op == '[' || t->op == '{' || t->op == OP_FRAC || t->op == OP_SQRT ||
           t->op == OP_BINOM || (t->op == '|' && !p->in_bars);
}

/* sin 2x takes numbers and symbols up to the next sign or function; sin(2x) its brackets. */
static int parse_argument(parser *p)
{
    if (is_op(p, '(') || is_op(p, '{') || is_op(p, '[')) return parse_factor(p);
    int at = parse_factor(p);
    while (p->ok && (p->t->kind == T_SYMBOL || p->t->kind == T_NUMBER || is_op(p, OP_FRAC) ||
                     is_op(p, OP_SQRT)))
        at = binary(p, E_MULTIPLY, at, parse_factor(p));
    return is_op(p, '/') ? fail(p) : at; /* sin x/2: of x, or of x/2? */
}

/* \circ, ^\circ, ^{\circ} */
static const token *behind_degree(const token *t)
{
    if (is_sign(t, OP_DEGREE)) return t + 1;
    if (is_sign(t, '^') && is_sign(t + 1, OP_DEGREE)) return t + 2;
    const bool braces = is_sign(t, '^') && is_sign(t + 1, '{') && is_sign(t + 2, OP_DEGREE);
    return braces && is_sign(t + 3, '}') ? t + 4 : NULL;
}

static bool take_degree(parser *p)
{
    const token *t = behind_degree(p->t);

    if (t) p->t = t;
    return t != NULL;
}

static bool is_power(const parser *p)
{
    return is_op(p, '^') && !behind_degree(p->t);
}

/* A sign of percent or degrees, unless it is left out: a unit too, as 5% is no 0.05 cm. */
static int sign_behind(parser *p, node_kind kind, int at)
{
    const bool percent = kind == E_PERCENT;

    if (answer_reads(p->e, percent ? READ_NO_PERCENT : READ_DEGREES)) return at;
    if (!p->e->unit.n) p->e->unit = (answer_span){percent ? "%" : "^o", percent ? 1 : 2};
    return new_node(p, kind, at);
}

/* f of an argument, in the units and to the base that are meant. */
static int call_as_read(parser *p, function_id f, int argument, int base)
{
    if (f <= F_CSC && answer_reads(p->e, READ_DEGREES)) argument = new_node(p, E_DEGREE, argument);
    if (f == F_LOG && base < 0) {
        if (answer_reads(p->e, READ_LOG_NATURAL)) return call(p, F_LN, argument, -1);
        if (answer_reads(p->e, READ_LOG_TEN)) base = leaf(p, E_NUMBER, (answer_span){"10", 2});
    }
    if (base >= 0) return binary(p, E_DIVIDE, call(p, F_LN, argument, -1), call(p, F_LN, base, -1));
    const int at = call(p, f, argument, -1);
    if (f < F_ASIN || f > F_ATAN || !answer_reads(p->e, READ_DEGREES)) return at;
    const int degree = new_node(p, E_DEGREE, leaf(p, E_NUMBER, (answer_span){"1", 1}));
    return binary(p, E_DIVIDE, at, degree);
}

/* \sin^2 x is (sin x)^2; \log_2 x is ln x / ln 2; \sin^{-1} may mean two things. */
static int parse_function(parser *p)
{
    const function_id f = (p->t++)->function;
    int power = -1, base = -1;

    if (f == F_LOG && take(p, OP_LOG_BASE)) base = parse_group(p, true);
    if (take(p, '^')) {
        if (is_op(p, '-') || (is_op(p, '{') && p->t[1].kind == T_OP && p->t[1].op == '-'))
            return fail(p);
        power = parse_exponent(p);
    }
    const int at = call_as_read(p, f, parse_argument(p), base);
    return power < 0 ? at : binary(p, E_POWER, at, power);
}

static bool is_below(const token *a, const token *b)
{
    int64_t x, y;
    return mill_parse_i64(&x, a->text.s, a->text.n) && mill_parse_i64(&y, b->text.s, b->text.n) &&
           x < y;
}

/* Behind \frac: 1, a proper fraction of integers; 0, one that is not proper; -1, something else. */
static int proper_top(const token *t)
{
    if (t->kind == T_NUMBER) /* \frac12 */
        return t->text.n == 2 ? t->text.s[0] < t->text.s[1] : 0;
    if (!is_sign(t, '{') || t[1].kind != T_NUMBER || !is_sign(t + 2, '}') || !is_sign(t + 3, '{') ||
        t[4].kind != T_NUMBER || !is_sign(t + 5, '}'))
        return -1;
    return is_below(t + 1, t + 4);
}

/* An integer, and behind it a proper fraction of integers: 3\frac{1}{2}, 3 1/2. */
static int parse_number(parser *p)
{
    const token *t = p->t;
    const int at = take_number(p);

    if (memchr(t->text.s, '.', t->text.n)) return at;
    if (is_op(p, OP_FRAC)) {
        const int top = proper_top(p->t + 1);
        if (top < 0) return at;
        const int part = top ? parse_operator(p) : fail(p);
        return is_power(p) ? fail(p) : binary(p, E_ADD, at, part);
    }
    if (p->t->kind != T_NUMBER) return at;
    if (!p->t->after_space || !is_sign(p->t + 1, '/') || p->t[2].kind != T_NUMBER ||
        !is_below(p->t, p->t + 2))
        return fail(p);
    const int top = take_number(p);
    p->t++;
    const int bottom = take_number(p);
    if (is_op(p, '/') || is_power(p)) return fail(p); /* of what? */
    return binary(p, E_ADD, at, binary(p, E_DIVIDE, top, bottom));
}

static int parse_brackets(parser *p, int open)
{
    static const char closing[] = ")]";
    const bool in_bars = p->in_bars;

    p->t++;
    p->in_bars = false;
    const int in = answer_parse_list(p);
    p->in_bars = in_bars;
    const char *close = p->t->kind == T_OP && p->t->op < 128 ? strchr(closing, p->t->op) : NULL;
    if (!p->ok || !close || !*close) return fail(p);
    p->t++;
    node *n = &p->e->at[in];
    if (n->kind != E_LIST) return open == '(' && *close == ')' ? in : fail(p);
    n->kind = E_TUPLE;
    n->open = (char)open;
    n->close = *close;
    return in;
}

static int parse_set(parser *p)
{
    p->t++;
    const int in = answer_parse_list(p);
    if (!take(p, OP_SET_CLOSE)) return fail(p);
    if (p->ok && p->e->at[in].kind == E_LIST) {
        p->e->at[in].kind = E_SET;
        return in;
    }
    return new_node(p, E_SET, in);
}

static int parse_operator(parser *p)
{
    int root = -1, at;

    switch (p->t->op) {
    case OP_FRAC:
        p->t++;
        at = parse_group(p, true);
        return binary(p, E_DIVIDE, at, parse_group(p, true));
    case OP_BINOM:
        p->t++;
        at = parse_group(p, true);
        return call(p, F_BINOM, at, parse_group(p, true));
    case OP_SQRT:
        p->t++;
        if (take(p, '[')) {
            root = answer_parse_value(p);
            if (!take(p, ']')) return fail(p);
        }
        return call(p, F_SQRT, parse_group(p, true), root);
    case '|': {
        p->t++;
        p->in_bars = true;
        at = answer_parse_value(p);
        p->in_bars = false;
        return take(p, '|') ? call(p, F_ABS, at, -1) : fail(p);
    }
    case '{':
        return parse_group(p, false);
    case OP_SET_OPEN:
        return parse_set(p);
    case '(':
    case '[':
        return parse_brackets(p, p->t->op);
    default:
        return fail(p);
    }
}

static int parse_base(parser *p)
{
    switch (p->t->kind) {
    case T_NUMBER:
        return parse_number(p);
    case T_SYMBOL:
        return take_symbol(p);
    case T_FUNCTION:
        return parse_function(p);
    case T_OP:
        return parse_operator(p);
    default:
        return fail(p);
    }
}

/* x^1/2 may be a root, and 2^3! the factorial of either. */
static int parse_power(parser *p, int base)
{
    const bool one = p->t->kind == T_NUMBER && answer_is_named(p->t->text, "1");
    const int at = binary(p, E_POWER, base, parse_exponent(p));

    return is_op(p, '!') || (one && is_op(p, '/')) ? fail(p) : at;
}

/* 7!! is no factorial of a factorial. */
static bool take_factorial(parser *p)
{
    if (!take(p, '!')) return false;
    if (is_op(p, '!')) p->ok = false;
    return p->ok;
}

static int parse_factor(parser *p)
{
    if (!p->ok || ++p->depth > MAX_DEPTH) return fail(p);
    int at = parse_base(p);
    if (p->ok && take_degree(p)) at = sign_behind(p, E_DEGREE, at);
    if (p->ok && take_factorial(p)) at = call(p, F_FACTORIAL, at, -1);
    if (p->ok && take(p, '^')) at = parse_power(p, at);
    while (p->ok) {
        if (take_factorial(p))
            at = call(p, F_FACTORIAL, at, -1);
        else if (take(p, '%'))
            at = sign_behind(p, E_PERCENT, at);
        else if (take_degree(p))
            at = sign_behind(p, E_DEGREE, at);
        else
            break;
    }
    p->depth--;
    return at;
}

/* Behind m, m^2, V, mol: letters that may be a unit; NULL, if they are something else. */
static const token *behind_unit(const token *t)
{
    static const char single[] = "mgshdtlLVANJWKCFTkMB";
    const token *const begin = t;

    while (t->kind == T_SYMBOL && t->text.n == 1 && (t == begin || !t->after_space)) t++;
    if (t == begin || (t == begin + 1 && !strchr(single, *begin->text.s))) return NULL;
    if (is_sign(t, '^') && t[1].kind == T_NUMBER) return t + 2;
    if (is_sign(t, '^') && is_sign(t + 1, '{') && t[2].kind == T_NUMBER && is_sign(t + 3, '}'))
        return t + 4;
    return t;
}

/* m, kg/m^3: all that is left of a value, where it is read as a unit. */
static bool take_letters(parser *p)
{
    const token *t = behind_unit(p->t);

    if (t && is_sign(t, '/')) t = behind_unit(t + 1);
    if (!t || !(t->kind == T_END || t->kind == T_WORD || is_sign(t, ','))) return false;
    if (!answer_reads(p->e, READ_UNIT)) return false;
    p->e->unit = p->t->text;
    p->e->unit_known = false;
    for (; p->t < t; p->t++) /* their texts lie one behind the other */
        if (p->t->text.n) p->e->unit.n = (size_t)(p->t->text.s + p->t->text.n - p->e->unit.s);
    return true;
}

static int parse_term(parser *p)
{
    int at = parse_factor(p);

    while (p->ok && !take_letters(p)) {
        if (take(p, '*')) {
            at = binary(p, E_MULTIPLY, at,
                        take(p, '-') ? new_node(p, E_NEGATE, parse_factor(p)) : parse_factor(p));
        } else if (take(p, '/')) {
            at = binary(p, E_DIVIDE, at, parse_factor(p));
            /* 1/2x: a half of x, or one over 2x? */
            if (begins_factor(p)) return fail(p);
        } else if (begins_factor(p)) {
            if (p->t->kind == T_NUMBER) return fail(p);
            at = binary(p, E_MULTIPLY, at, parse_factor(p));
        } else {
            break;
        }
    }
    return at;
}

/* -45 degrees are the degrees of -45. */
static int negate(parser *p, int at)
{
    if (!p->ok || p->e->at[at].kind != E_DEGREE) return new_node(p, E_NEGATE, at);
    const int in = new_node(p, E_NEGATE, p->e->at[at].first);
    if (p->ok) p->e->at[at].first = in;
    return at;
}

/* + C at the end, where it is left out. */
static bool take_constant(parser *p)
{
    const token *t = p->t + 1;

    if (!is_op(p, '+') || t->kind != T_SYMBOL || !strchr("CcKk", *t->text.s)) return false;
    if (t[1].kind != T_END || !answer_reads(p->e, READ_NO_CONSTANT)) return false;
    p->t += 2;
    return true;
}

int answer_parse_value(parser *p)
{
    if (!p->ok || ++p->depth > MAX_DEPTH) return fail(p);
    int at;
    if (take(p, '-')) {
        at = negate(p, parse_term(p));
    } else if (take(p, OP_PM)) {
        const int zero = leaf(p, E_NUMBER, (answer_span){"0", 1});
        at = binary(p, E_PLUS_MINUS, zero, parse_term(p));
    } else {
        take(p, '+');
        at = parse_term(p);
    }
    for (node_kind kind; p->ok && p->t->kind == T_OP && !take_constant(p);) {
        if (p->t->op == '+')
            kind = E_ADD;
        else if (p->t->op == '-')
            kind = E_SUBTRACT;
        else if (p->t->op == OP_PM)
            kind = E_PLUS_MINUS;
        else if (p->t->op == OP_MP)
            kind = E_MINUS_PLUS;
        else
            break;
        p->t++;
        at = binary(p, kind, at, parse_term(p));
    }
    p->depth--;
    return at;
}
