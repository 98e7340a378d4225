/*
 * t_answer_grammar.c - answers compared that a grammar writes, which knows what each may mean.
 *
 * Every text comes with its readings, the usual one first: a number, maybe with a unit.  A pair is
 * equal if the usual readings are; it may be equal if any two are.  Never "equal" for what is not,
 * never "different" for what may be equal; and enough of either for the test to mean something.
 */
#include "lib/near.h"

#include "base/philox.h"
#include "reason/answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { NO_UNIT, LENGTH, MASS, ANGLE, MONEY, LIST } unit;

typedef struct {
    double value, scale; /* scale: of its unit, "cm" .01 */
    unit of;
} reading;

typedef struct {
    char text[600];
    int n;
    reading as[4];
    bool percent; /* its second reading leaves the sign out: on both sides or none */
} written;

static int below(mill_rng *r, int n)
{
    return (int)mill_rng_below(r, (uint32_t)n);
}

static void may_mean(written *w, double value, double scale, unit of)
{
    w->as[w->n++] = (reading){value, scale, of};
}

static bool near(double x, double y)
{
    return fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y));
}

static bool same_reading(reading a, reading b)
{
    if (a.of == b.of) return near(a.value * a.scale, b.value * b.scale);
    /* A unit may be missing, but a list is no number. */
    return (a.of == NO_UNIT || b.of == NO_UNIT) && a.of != LIST && b.of != LIST &&
           near(a.value, b.value);
}

static bool may_be_equal(const written *a, const written *b)
{
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            if (!(a->percent && b->percent && i != j) && same_reading(a->as[i], b->as[j]))
                return true;
    return false;
}

/* ---- surds: a / b + c sqrt(d), the same value in many forms ---- */

/* With b > 0 and d 0, 2, 3 or 5: the parts are its value, and nothing else is. */
typedef struct {
    int a, b, c, d;
} surd;

static surd random_surd(mill_rng *r)
{
    static const int roots[] = {0, 0, 2, 3, 5};
    surd s = {below(r, 41) - 20, 1 + below(r, 12), 0, roots[below(r, 5)]};
    if (s.d) s.c = 1 + below(r, 5);
    return s;
}

static int write_rational(char *to, surd s, mill_rng *r)
{
    const int k = 1 + below(r, 4), n = s.a * k, m = s.b * k, p = s.a < 0 ? -n : n;
    const char *sign = s.a < 0 ? "-" : "";
    const int x = below(r, 9) - 4;

    switch (below(r, 7)) {
    case 0:
        return sprintf(to, "%s\\frac{%d}{%d}", sign, p, m);
    case 1:
        return sprintf(to, "%d/%d", n, m);
    case 2: /* a sum of two */
        return sprintf(to, "\\frac{%d}{%d}%+d", s.a - x * s.b, s.b, x);
    case 3:
        return sprintf(to, "\\left(\\dfrac{%d}{%d}\\right)", n, m);
    case 4: /* mixed */
        if (p > m && p % m) return sprintf(to, "%s%d\\frac{%d}{%d}", sign, p / m, p % m, m);
        return sprintf(to, "%d \\div %d", n, m);
    case 5: /* thousandths, where they are whole */
        if (1000 * s.a % s.b == 0 && s.a >= 0)
            return sprintf(to, "%d.%03d", 1000 * s.a / s.b / 1000, 1000 * s.a / s.b % 1000);
        return sprintf(to, "%d \\cdot \\frac{1}{%d}", n, m);
    default:
        return sprintf(to, "\\frac{%d \\times %d^2}{%d}", s.a, k, s.b * k * k);
    }
}

static void write_surd(char *to, surd s, mill_rng *r)
{
    to += write_rational(to, s, r);
    if (!s.c) return;
    switch (below(r, 3)) {
    case 0:
        sprintf(to, "+%d\\sqrt{%d}", s.c, s.d);
        break;
    case 1:
        sprintf(to, "+\\sqrt{%d}", s.c * s.c * s.d);
        break;
    default:
        sprintf(to, "+\\frac{%d}{\\sqrt{%d}}", s.c * s.d, s.d);
    }
}

/* Wrapped so that the value stays or its place matters. */
static void surds(written *w, mill_rng *value, mill_rng *style, int form)
{
    char in[256], other[256];
    const surd s = random_surd(value), seven = {7, 1, 0, 0};

    write_surd(in, s, style);
    write_surd(other, seven, style);
    switch (form) {
    case 0:
        sprintf(w->text, "%s", in);
        break;
    case 1:
        sprintf(w->text, below(style, 2) ? "x = %s" : "%s", in);
        break;
    case 2:
        sprintf(w->text, "\\left(%s, %s\\right)", in, other);
        break;
    case 3:
        if (below(style, 2))
            sprintf(w->text, "\\{%s, %s\\}", in, other);
        else
            sprintf(w->text, "\\{%s, %s\\}", other, in);
        break;
    case 4:
        sprintf(w->text, "[%s, \\infty)", in);
        break;
    default:
        sprintf(w->text, below(style, 2) ? "(%s) x + y" : "y + x (%s)", in);
    }
    may_mean(w, (double)s.a / s.b + s.c * sqrt(s.d), 1, NO_UNIT);
}

/* ---- relations of x and a number, by all of their names ---- */

static void relations(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const char *const name[][3] = {{"\\le", "\\leq", "\\leqslant"},
                                          {"\\ge", "\\geq", "\\geqslant"},
                                          {"\\ne", "\\neq", "\\neq"},
                                          {"<", "\\lt", "<"},
                                          {">", "\\gt", ">"},
                                          {"\\approx", "\\approx", "\\approx"},
                                          {"\\in", "\\in", "\\in"}};
    const int which = below(value, 7), number = form % 2 ? 3 : below(value, 4);

    sprintf(w->text, "x %s %d", name[which][below(style, 3)], number);
    may_mean(w, 10 * which + number, 1, NO_UNIT);
}

/* ---- arguments with braces and without ---- */

static int write_digit(char *to, int digit, mill_rng *style)
{
    return sprintf(to, below(style, 2) ? "{%d}" : "%d", digit);
}

static double choose(int n, int k)
{
    double y = 1;
    for (int i = 1; i <= k; i++) y = y * (n - i + 1) / i;
    return y;
}

static void arguments(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const char *const command[] = {"\\frac", "\\binom", "\\log_", "\\sqrt"};
    const int a = 2 + below(value, 4), b = 1 + below(value, 5);
    const double is[] = {(double)a / b, choose(a, b), log(b) / log(a)};
    char *to = w->text + sprintf(w->text, "%s", command[form % 4]);

    if (form % 4 < 3) {
        to += write_digit(to, a, style);
        write_digit(to, b, style);
        may_mean(w, is[form % 4], 1, NO_UNIT);
    } else if (below(style, 2)) {
        sprintf(to, "{%d%d}", a, b);
        may_mean(w, sqrt(10 * a + b), 1, NO_UNIT);
    } else { /* \sqrt12 is twice the root of 1, and not meant */
        sprintf(to, "%d%d", a, b);
        may_mean(w, sqrt(a) * b, 1, NO_UNIT);
        may_mean(w, sqrt(10 * a + b), 1, NO_UNIT);
    }
}

/* ---- words, units and signs behind a number ---- */

static void words(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const struct {
        const char *before, *behind;
        reading as[2]; /* of 1; scale 0: there is none */
    } c[] = {
        {"", "", {{1, 1, NO_UNIT}}},
        {"", " cm", {{1, .01, LENGTH}}},
        {"", "\\text{ m}", {{1, 1, LENGTH}}},
        {"", " \\mathrm{~kg}", {{1, 1000, MASS}}},
        {"", " m", {{7919.1, 1, NO_UNIT}, {1, 1, LENGTH}}}, /* a variable first */
        {"", "g", {{7907.3, 1, NO_UNIT}, {1, 1, MASS}}},
        {"", " rad", {{7901.7, 1, NO_UNIT}, {1, 57.29577951308232, ANGLE}}},
        {"", "^\\circ", {{1, 1, ANGLE}, {.017453292519943295, 1, NO_UNIT}}},
        {"", " degrees", {{1, 1, ANGLE}, {.017453292519943295, 1, NO_UNIT}}},
        {"", "\\%", {{.01, 1, NO_UNIT}, {1, 1, NO_UNIT}}},
        {"", " percent", {{.01, 1, NO_UNIT}, {1, 1, NO_UNIT}}},
        {"\\$", "", {{1, 1, MONEY}}},
        {"", " cents", {{1, .01, MONEY}}},
        {"", " million", {{1e6, 1, NO_UNIT}}},
        {"", "\\text{ thousand}", {{1e3, 1, NO_UNIT}}},
        {"", " halves", {{.5, 1, NO_UNIT}}},
        {"", " dozen", {{12, 1, NO_UNIT}}},
        {"", "e-3", {{.001, 1, NO_UNIT}}},
    };
    static const int numbers[] = {1, 5, 30, 500, 5000, 1000000, -5, -30};
    const int n = numbers[below(value, 8)];
    const int i = below(style, (int)(sizeof c / sizeof *c));

    sprintf(w->text, form % 2 ? "%s%d%s" : "x = %s%d%s", c[i].before, n, c[i].behind);
    w->percent = c[i].as[0].value == .01;
    for (int k = 0; k < 2; k++)
        if (c[i].as[k].scale != 0)
            may_mean(w, n * c[i].as[k].value, c[i].as[k].scale, c[i].as[k].of);
}

/* ---- commas: of thousands, of decimals, and between two numbers ---- */

static void commas(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const char *const behind[] = {"5", "50", "500", "125", "25", "250"};
    const char *f = behind[below(value, 3) + 3 * (form % 2)];
    const int i = below(value, 3), n = (int)strlen(f), digits = (int)strtol(f, NULL, 10);
    const double decimal = i + digits / pow(10, n);
    const bool thousands = n == 3 && i > 0;

    switch (below(style, 4)) {
    case 0:
        sprintf(w->text, "%d.%s", i, f);
        may_mean(w, decimal, 1, NO_UNIT);
        return;
    case 1:
        sprintf(w->text, "%d,%s", i, f);
        break;
    case 2:
        sprintf(w->text, "%d{,}%s", i, f);
        break;
    default:
        sprintf(w->text, "%d%s", i, f);
        may_mean(w, i * pow(10, n) + digits, 1, NO_UNIT);
        return;
    }
    if (thousands)
        may_mean(w, 1000 * i + digits, 1, NO_UNIT);
    else if (w->text[1] == ',')
        may_mean(w, fmin(i, digits) * 1e4 + fmax(i, digits), 1, LIST);
    may_mean(w, decimal, 1, NO_UNIT);
}

/* ---- something small beside something large ---- */

static void sums(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const char *const large[] = {"10^{20}", "(2+\\sqrt3)^{100}", "2^{70}", "\\pi^{50}",
                                        "e^{40}"};
    static const char *const small[] = {
        "0", "\\sqrt2", "\\sqrt3", "(2-\\sqrt3)^{100}", "\\frac{1}{7}", "\\ln 2", "e^{-40}"};
    const int l = below(value, 5), m = below(value, 7);

    if (below(style, 2))
        sprintf(w->text, form % 2 ? "%s+%s" : "(%s+%s, 1)", large[l], small[m]);
    else
        sprintf(w->text, form % 2 ? "%s + %s" : "(%s + %s, 1)", small[m], large[l]);
    may_mean(w, 10 * l + m, 1, NO_UNIT);
}

/* ---- letters: a product, which has no order, or a word, which has one ---- */

static void letters(written *w, mill_rng *value, mill_rng *style, int form)
{
    static const char *const order[] = {"ABC", "ACB", "BAC", "BCA", "CAB", "CBA", "ABD"};
    const int i = below(value, 7);

    for (int k = 0; k < 3; k++) w->text[k] = (char)(order[i][k] + (form % 2 ? 'a' - 'A' : 0));
    if (below(style, 2)) memcpy(w->text + 3, " ", 2);
    may_mean(w, 100 + i, 1, NO_UNIT);
    may_mean(w, i < 6, 1, NO_UNIT);
}

/* ---- signs of plus and minus ---- */

static void signs(written *w, mill_rng *value, mill_rng *style, int form)
{
    const int a = 1 + below(value, 3), b = 4 + below(value, 3);
    const bool list = form % 2;

    switch (below(style, 3)) {
    case 0:
        sprintf(w->text, list ? "\\pm %d, \\pm %d" : "\\{\\pm %d, \\pm %d\\}", a, b);
        break;
    case 1:
        sprintf(w->text, list ? "%d, -%d, -%d, %d" : "\\{%d, -%d, -%d, %d\\}", b, a, b, a);
        break;
    default:
        sprintf(w->text, list ? "-%d, \\pm %d, %d" : "\\{-%d, \\pm %d, %d\\}", a, b, a);
    }
    may_mean(w, 10 * a + b, 1, LIST);
}

/* ---- the test ---- */

typedef struct {
    const char *name;
    void (*write)(written *, mill_rng *value, mill_rng *style, int form);
    int pairs, forms;
    int accepted, rejected; /* percent at least, of what is equal and of what cannot be */
} rule;

static const rule grammar[] = {
    {"surds", surds, 20000, 6, 95, 95},        {"relations", relations, 2000, 2, 100, 0},
    {"arguments", arguments, 3000, 4, 95, 75}, {"words", words, 6000, 2, 90, 5},
    {"commas", commas, 3000, 2, 75, 45},       {"sums", sums, 2000, 2, 60, 5},
    {"letters", letters, 1000, 2, 100, 0},     {"signs", signs, 2000, 2, 95, 95},
};

/* A pair of the same value, or of another one, each in a style of its own. */
static void write_pair(written pair[2], const rule *g, int i, mill_rng *r)
{
    const uint32_t step[2] = {(uint32_t)i, (uint32_t)i + (below(r, 2) ? 1u << 30 : 0)};
    const int form = below(r, g->forms);

    for (int k = 0; k < 2; k++) {
        mill_rng value = mill_rng_init(7, 2, step[k]);
        pair[k].n = 0;
        pair[k].percent = false;
        g->write(&pair[k], &value, r, form);
    }
}

void test_answer_grammar__is_never_called_equal_or_different_wrongly(void **state)
{
    mill_rng r = mill_rng_init(7, 1, 0);
    int all_wrong = 0;

    (void)state;
    for (size_t k = 0; k < sizeof grammar / sizeof *grammar; k++) {
        const rule *g = &grammar[k];
        int equal = 0, accepted = 0, unlike = 0, rejected = 0, wrong = 0;

        for (int i = 0; i < g->pairs; i++) {
            written w[2];

            write_pair(w, g, i, &r);
            const bool is = same_reading(w[0].as[0], w[1].as[0]), may = may_be_equal(&w[0], &w[1]);
            const answer_verdict v = answer_compare((answer_span){w[0].text, strlen(w[0].text)},
                                                    (answer_span){w[1].text, strlen(w[1].text)});
            equal += is;
            unlike += !may;
            accepted += v == ANSWER_EQUAL;
            rejected += v == ANSWER_DIFFERENT;
            if (!((v == ANSWER_EQUAL && !is) || (v == ANSWER_DIFFERENT && may))) continue;
            if (wrong++ < 5)
                print_error("%s | %s: %s\n", w[0].text, w[1].text, answer_verdict_name(v));
        }
        if (wrong || 100 * accepted < g->accepted * equal || 100 * rejected < g->rejected * unlike)
            print_error("%s: %d of %d equal, %d of %d different, %d wrong\n", g->name, accepted,
                        equal, rejected, unlike, wrong);
        all_wrong += wrong;
        assert_true(wrong || 100 * accepted >= g->accepted * equal);
        assert_true(wrong || 100 * rejected >= g->rejected * unlike);
    }
    assert_int_equal(all_wrong, 0);
}
