/*
 * answer_lex.c - an answer as tokens: LaTeX and plain text alike.
 *
 * Left out: spacing (\, \! \quad ~), \left and \right, $ and \( \), \displaystyle, final stops.
 * Numbers lose their separators of thousands: {,} and \, between digits, and a comma before exactly
 * three digits that stands in no bracket, behind no leading 0.  1e-5 is not understood: it may be
 * e - 5.  A run of letters is a function, a symbol's name, a known unit, up to three variables, or
 * a word.
 */
#include "reason/expression.h"

#include <string.h>

typedef struct {
    const char *begin, *s, *end;
    expression *e;
    token_list *out;
    int depth; /* of brackets: a comma in one separates */
    bool after_space, ok;
} lexer;

typedef struct {
    const char *name;
    token_kind kind;
    int what; /* operator or function; symbols: none */
} word;

/* Commands of LaTeX, and words of plain text where `plain`. */
static const word commands[] = {
    {"frac", T_OP, OP_FRAC},
    {"dfrac", T_OP, OP_FRAC},
    {"tfrac", T_OP, OP_FRAC},
    {"cfrac", T_OP, OP_FRAC},
    {"sqrt", T_OP, OP_SQRT},
    {"binom", T_OP, OP_BINOM},
    {"dbinom", T_OP, OP_BINOM},
    {"pm", T_OP, OP_PM},
    {"mp", T_OP, OP_MP},
    {"cdot", T_OP, '*'},
    {"times", T_OP, '*'},
    {"ast", T_OP, '*'},
    {"div", T_OP, '/'},
    {"circ", T_OP, OP_DEGREE},
    {"degree", T_OP, OP_DEGREE},
    {"degrees", T_OP, OP_DEGREE},
    {"percent", T_OP, '%'},
    {"cup", T_OP, OP_UNION},
    {"lbrace", T_OP, OP_SET_OPEN},
    {"rbrace", T_OP, OP_SET_CLOSE},
    {"lvert", T_OP, '|'},
    {"rvert", T_OP, '|'},
    {"vert", T_OP, '|'},
    {"lt", T_OP, '<'},
    {"gt", T_OP, '>'},
    {"le", T_OP, OP_AT_MOST},
    {"leq", T_OP, OP_AT_MOST},
    {"leqslant", T_OP, OP_AT_MOST},
    {"ge", T_OP, OP_AT_LEAST},
    {"geq", T_OP, OP_AT_LEAST},
    {"geqslant", T_OP, OP_AT_LEAST},
    {"ne", T_OP, OP_NOT_EQUAL},
    {"neq", T_OP, OP_NOT_EQUAL},
    {"in", T_OP, OP_IN},
    {"approx", T_OP, OP_APPROX},
    {"sin", T_FUNCTION, F_SIN},
    {"cos", T_FUNCTION, F_COS},
    {"tan", T_FUNCTION, F_TAN},
    {"cot", T_FUNCTION, F_COT},
    {"sec", T_FUNCTION, F_SEC},
    {"csc", T_FUNCTION, F_CSC},
    {"arcsin", T_FUNCTION, F_ASIN},
    {"arccos", T_FUNCTION, F_ACOS},
    {"arctan", T_FUNCTION, F_ATAN},
    {"sinh", T_FUNCTION, F_SINH},
    {"cosh", T_FUNCTION, F_COSH},
    {"tanh", T_FUNCTION, F_TANH},
    {"ln", T_FUNCTION, F_LN},
    {"log", T_FUNCTION, F_LOG},
    {"exp", T_FUNCTION, F_EXP},
};
static const char *const symbols[] = {
    "pi",  "alpha", "beta",   "gamma", "delta", "epsilon", "theta", "lambda", "mu",  "rho", "sigma",
    "tau", "phi",   "varphi", "omega", "infty", "eta",     "kappa", "nu",     "psi", "zeta"};
/* Words of plain text that are symbols under another name. */
static const word plain[] = {{"infinity", T_SYMBOL, 0}, {"inf", T_SYMBOL, 0}, {"oo", T_SYMBOL, 0}};
static const char *const spacing[] = {"left",      "right", "quad",   "qquad", "displaystyle",
                                      "textstyle", "big",   "Big",    "bigl",  "bigr",
                                      "Bigl",      "Bigr",  "limits", "bigg",  "Bigg"};
static const char *const texts[] = {"text", "mathrm", "textbf",       "mathbf", "textit",
                                    "mbox", "rm",     "operatorname", "textrm", "textsf"};
/* Only these may be missing on one side: 5 cm is 5, and 5 million is not.  A single letter is a
 * unit in \text{} only. */
static const char *const units[] = {
    "mm",      "cm",     "km",    "kg",    "mg",     "ml",     "sec",    "min",     "hr",
    "hrs",     "ft",     "in",    "inch",  "inches", "feet",   "foot",   "yard",    "yards",
    "mile",    "miles",  "mph",   "kmh",   "meter",  "meters", "metres", "hour",    "hours",
    "day",     "days",   "week",  "weeks", "year",   "years",  "cents",  "dollars", "units",
    "unit",    "points", "lb",    "lbs",   "oz",     "liters", "litres", "people",  "seconds",
    "minutes", "square", "cubic", "sq",    "$",      "m",      "g",      "s",       "h",
    "L",       "V",      "N",     "J",     "W"};

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_named(const char *name, const char *s, size_t n)
{
    return strlen(name) == n && !memcmp(name, s, n);
}

static bool is_among(const char *const *list, int count, const char *s, size_t n)
{
    for (int i = 0; i < count; i++)
        if (is_named(list[i], s, n)) return true;
    return false;
}

bool answer_is_unit(answer_span s)
{
    for (size_t n; s.n; s.s += n, s.n -= n) {
        const char *space = memchr(s.s, ' ', s.n);
        n = space ? (size_t)(space - s.s) : s.n;
        if (!is_among(units, COUNT(units), s.s, n)) return false;
        n += space != NULL;
    }
    return true;
}

static const word *find(const word *list, int count, const char *s, size_t n)
{
    for (int i = 0; i < count; i++)
        if (is_named(list[i].name, s, n)) return &list[i];
    return NULL;
}

static void keep(lexer *x, char c)
{
    token_list *o = x->out;
    if (o->used < sizeof o->text)
        o->text[o->used++] = c;
    else
        x->ok = false;
}

static token *push(lexer *x, token_kind kind, int op)
{
    token_list *o = x->out;

    if (o->n == MAX_TOKENS) {
        x->ok = false;
        return &o->t[o->n];
    }
    o->t[o->n] = (token){.kind = kind, .op = op, .after_space = x->after_space};
    x->after_space = false;
    return &o->t[o->n++];
}

static void push_text(lexer *x, token_kind kind, const char *s, size_t n)
{
    const size_t at = x->out->used;

    for (size_t i = 0; i < n; i++) keep(x, s[i]);
    push(x, kind, 0)->text = (answer_span){x->out->text + at, n};
}

static void push_word(lexer *x, const word *w)
{
    token *t = push(x, w->kind, w->kind == T_OP ? w->what : 0);
    if (w->kind == T_FUNCTION) t->function = (function_id)w->what;
}

static bool at(const lexer *x, const char *s)
{
    const size_t n = strlen(s);
    return (size_t)(x->end - x->s) >= n && !memcmp(x->s, s, n);
}

/* How many characters separate thousands here: {,}  \,  \!  or a comma before three digits. */
static int separator(const lexer *x)
{
    const char *s = x->s;
    int n = at(x, "{,}") ? 3 : at(x, "\\,") || at(x, "\\!") ? 2 : 0;

    if (!n && x->depth == 0 && *s == ',') n = 1;
    if (!n || x->end - s < n + 3) return 0;
    for (int i = 0; i < 3; i++)
        if (!is_digit(s[n + i])) return 0;
    return x->end - s > n + 3 && is_digit(s[n + 3]) ? 0 : n;
}

/* 1e-5: a hundred thousandth, or e - 5? */
static bool is_exponent(const lexer *x)
{
    const char *s = x->s;

    if (s == x->end || (*s != 'e' && *s != 'E')) return false;
    s++;
    if (s < x->end && (*s == '-' || *s == '+')) s++;
    return s < x->end && is_digit(*s);
}

/* "2,5": how long the comma is.  Not in brackets, where it separates, nor beside
 * another such comma. */
static int decimal_comma(const lexer *x, const char *number)
{
    const int n = at(x, "{,}") ? 3 : at(x, ",") ? 1 : 0;
    const char *s = x->s + n;

    if (!n || x->depth || (number > x->begin && strchr(",.}", number[-1]))) return 0;
    if (s == x->end || !is_digit(*s)) return 0;
    while (s < x->end && is_digit(*s)) s++;
    return x->end - s > 1 && strchr(",.{", *s) && s[1] != ' ' ? 0 : n;
}

static void lex_number(lexer *x)
{
    const char *const number = x->s;
    const size_t begin = x->out->used;
    int digits = 0, groups = 0, skip; /* since the last separator; separators */
    bool point = false;

    while (x->s < x->end) {
        if (is_digit(*x->s)) {
            keep(x, *x->s++);
            digits++;
        } else if (*x->s == '.' && !point && x->end - x->s > 1 && is_digit(x->s[1])) {
            point = true;
            keep(x, *x->s++);
        } else if (!point && digits && (skip = decimal_comma(x, number)) &&
                   answer_reads(x->e, READ_COMMA)) {
            x->s += skip;
            point = true;
            keep(x, '.');
        } else if (!point && digits &&
                   (groups ? digits == 3 : digits <= 3 && x->out->text[begin] != '0') &&
                   (skip = separator(x))) {
            x->s += skip;
            groups++;
            digits = 0;
        } else {
            break;
        }
    }
    if (is_exponent(x)) x->ok = false;
    const size_t n = x->out->used - begin;
    push(x, T_NUMBER, 0)->text = (answer_span){x->out->text + begin, n};
}

/* The inside of {...} behind the cursor, braces balanced; the cursor goes behind it. */
static bool group(lexer *x, answer_span *in)
{
    while (x->s < x->end && *x->s == ' ') x->s++;
    if (x->s == x->end || *x->s != '{') return false;
    int depth = 0;
    for (const char *s = x->s; s < x->end; s++) {
        depth += (*s == '{') - (*s == '}');
        if (depth) continue;
        *in = (answer_span){x->s + 1, (size_t)(s - x->s - 1)};
        x->s = s + 1;
        return true;
    }
    return false;
}

/* Words of \text{...}: without spaces at the ends, inner ones single. */
static void lex_text(lexer *x)
{
    answer_span in;

    if (!group(x, &in)) {
        x->ok = false;
        return;
    }
    while (in.n && strchr(" ~(", *in.s)) in.s++, in.n--;
    while (in.n && strchr(" ~).", in.s[in.n - 1])) in.n--;
    if (memchr(in.s, '\\', in.n) || memchr(in.s, '{', in.n)) x->ok = false;
    const word *w = find(commands, COUNT(commands), in.s, in.n);
    if (w && (w->what == OP_DEGREE || w->what == '%'))
        push_word(x, w);
    else if (in.n)
        push_text(x, T_WORD, in.s, in.n);
}

/* _ and what it takes: a part of the symbol's name. */
static void lex_subscript(lexer *x)
{
    answer_span in = {x->s + 1, 1};
    token_list *o = x->out;
    token *t = o->n ? &o->t[o->n - 1] : NULL;

    x->s++;
    if (t && t->kind == T_FUNCTION && t->function == F_LOG) {
        push(x, T_OP, OP_LOG_BASE);
        return;
    }
    if (!t || t->kind != T_SYMBOL || x->s == x->end) {
        x->ok = false;
        return;
    }
    if (*x->s == '{') {
        if (!group(x, &in)) x->ok = false;
    } else {
        x->s++;
    }
    /* The symbol is the last text that was kept, so its name can grow. */
    keep(x, '_');
    for (size_t i = 0; i < in.n && x->ok; i++) {
        if (!is_digit(in.s[i]) && !is_letter(in.s[i])) x->ok = false;
        keep(x, in.s[i]);
    }
    t->text.n += in.n + 1;
}

static void lex_command(lexer *x)
{
    const char *name = ++x->s;
    const word *w;

    if (x->s == x->end) {
        x->ok = false;
        return;
    }
    if (!is_letter(*name)) {
        const char c = *x->s++;
        if (c == '{' || c == '}') {
            push(x, T_OP, c == '{' ? OP_SET_OPEN : OP_SET_CLOSE);
            x->depth += c == '{' ? 1 : -1;
        } else if (c == '%') {
            push(x, T_OP, '%');
        } else if (c == '$') {
            push_text(x, T_WORD, "$", 1);
        } else if (strchr(",;:! ()[]\\", c)) {
            x->after_space = true;
        } else {
            x->ok = false;
        }
        return;
    }
    while (x->s < x->end && is_letter(*x->s)) x->s++;
    const size_t n = (size_t)(x->s - name);
    if (is_among(texts, COUNT(texts), name, n)) {
        lex_text(x);
    } else if ((w = find(commands, COUNT(commands), name, n))) {
        push_word(x, w);
        if (w->what == OP_SET_OPEN || w->what == OP_SET_CLOSE)
            x->depth += w->what == OP_SET_OPEN ? 1 : -1;
    } else if (is_among(symbols, COUNT(symbols), name, n)) {
        push_text(x, T_SYMBOL, name, n);
    } else if (!is_among(spacing, COUNT(spacing), name, n)) {
        x->ok = false; /* a command that is not known may mean anything */
    }
}

/* A run of letters of plain text. */
static void lex_letters(lexer *x)
{
    const char *s = x->s;
    const word *w;

    while (x->s < x->end && is_letter(*x->s)) x->s++;
    const size_t n = (size_t)(x->s - s);
    if (n > 1 && is_among(units, COUNT(units), s, n) && !is_named("in", s, n)) {
        push_text(x, T_WORD, s, n);
        return;
    }
    if (n == 1) {
        push_text(x, T_SYMBOL, s, 1);
    } else if ((w = find(commands, COUNT(commands), s, n)) && !is_named("in", s, n)) {
        push_word(x, w);
    } else if (is_among(symbols, COUNT(symbols), s, n)) {
        push_text(x, T_SYMBOL, s, n);
    } else if (find(plain, COUNT(plain), s, n)) {
        push_text(x, T_SYMBOL, "infty", 5);
    } else if (n <= 3 && !is_named("and", s, n) && !is_named("or", s, n) &&
               !is_named("yes", s, n) && !is_named("no", s, n) && !is_named("in", s, n)) {
        for (size_t i = 0; i < n; i++) push_text(x, T_SYMBOL, s + i, 1);
    } else {
        push_text(x, T_WORD, s, n);
    }
}

/* Signs beyond ASCII. */
static bool lex_unicode(lexer *x)
{
    static const struct {
        const char *bytes;
        int op;
        const char *symbol;
    } sign[] = {{"\u2212", '-', NULL},    {"\u00d7", '*', NULL},       {"\u00b7", '*', NULL},
                {"\u00f7", '/', NULL},    {"\u00b0", OP_DEGREE, NULL}, {"\u03c0", 0, "pi"},
                {"\u221e", 0, "infty"},   {"\u00b1", OP_PM, NULL},     {"\u222a", OP_UNION, NULL},
                {"\u221a", OP_SQRT, NULL}};

    for (int i = 0; i < COUNT(sign); i++) {
        if (!at(x, sign[i].bytes)) continue;
        x->s += strlen(sign[i].bytes);
        if (sign[i].symbol)
            push_text(x, T_SYMBOL, sign[i].symbol, strlen(sign[i].symbol));
        else
            push(x, T_OP, sign[i].op);
        return true;
    }
    return false;
}

static void lex_sign(lexer *x)
{
    const char c = *x->s;

    if (c == '_') {
        lex_subscript(x);
        return;
    }
    x->s++;
    if (strchr(" \t\r\n~$", c)) {
        x->after_space = true;
    } else if (strchr("+-*/^!%=<>,;|()[]{}:", c)) {
        if (c == '*' && x->s < x->end && *x->s == '*') {
            x->s++;
            push(x, T_OP, '^');
            return;
        }
        x->depth += strchr("([", c) ? 1 : strchr(")]", c) ? -1 : 0;
        push(x, T_OP, c);
    } else {
        x->ok = false;
    }
}

bool answer_reads(expression *e, unsigned how)
{
    e->choices |= how;
    return e->reading & how;
}

bool answer_lex(expression *e, answer_span s)
{
    token_list *out = &e->tokens;
    lexer x = {s.s, s.s, s.s + s.n, e, out, .ok = s.n <= MAX_ANSWER};
    int stops = 0;

    e->choices = 0;
    out->n = 0;
    out->used = 0;
    for (; x.end > x.s && strchr(" \t\r\n.", x.end[-1]); x.end--) stops += x.end[-1] == '.';
    if (stops > 1) x.ok = false; /* .333... is not .333 */
    while (x.ok && x.s < x.end) {
        const char c = *x.s;

        if (is_digit(c) || (c == '.' && x.end - x.s > 1 && is_digit(x.s[1])))
            lex_number(&x);
        else if (c == '\\')
            lex_command(&x);
        else if (is_letter(c))
            lex_letters(&x);
        else if (!((unsigned char)c >= 0x80 && lex_unicode(&x)))
            lex_sign(&x);
    }
    if (!x.ok) out->n = 0;
    out->t[out->n] = (token){.kind = T_END};
    return out->n > 0;
}

bool answer_same_tokens(const token_list *a, const token_list *b)
{
    if (a->n != b->n || a->n == 0) return false;
    for (int i = 0; i < a->n; i++) {
        const token *p = &a->t[i], *q = &b->t[i];
        if (p->kind != q->kind || p->op != q->op || p->text.n != q->text.n ||
            (p->kind == T_FUNCTION && p->function != q->function) ||
            (p->text.n && memcmp(p->text.s, q->text.s, p->text.n) != 0))
            return false;
    }
    return true;
}
