/*
 * where.c - conditions: COLUMN=VALUE and its kin.
 *
 * The column's name is the longest one of the schema that the text begins with and that an operator
 * follows, so names with = or < in them work.  The value is verbatim: spaces count, as they do in
 * the table.  An empty value means missing, for = and != only.  A missing cell meets no comparison
 * but "=" (missing) and "!=" with a value.
 */
#include "synth/schema.h"

#include "base/mem.h"
#include "base/text.h"
#include "table/datetime.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    where_op op;
} operators[] = {{">=", WHERE_GE}, {"<=", WHERE_LE}, {"!=", WHERE_NE},
                 {"=", WHERE_EQ},  {">", WHERE_GT},  {"<", WHERE_LT}};
enum { N_OPERATORS = sizeof operators / sizeof *operators, NEAREST = 3 };

static int find_operator(const char *s)
{
    for (int i = 0; i < N_OPERATORS; i++) {
        if (!strncmp(s, operators[i].text, strlen(operators[i].text))) return i;
    }
    return -1;
}

/* The nearest known values, quoted, into a message. */
static mill_err unknown_value(const synth_column *s, const char *value)
{
    int32_t best[NEAREST];
    int distance[NEAREST], n = 0;
    char known[256];
    size_t at = 0;

    for (int32_t v = 0; v < s->n_values; v++) {
        const int d = text_edits(value, strlen(value), s->text + s->offset[v],
                                 (size_t)(s->offset[v + 1] - s->offset[v]));
        int i = n < NEAREST ? n++ : NEAREST - 1;
        if (i == NEAREST - 1 && n == NEAREST && v >= NEAREST && d >= distance[i]) continue;
        for (; i > 0 && distance[i - 1] > d; i--) {
            distance[i] = distance[i - 1];
            best[i] = best[i - 1];
        }
        distance[i] = d;
        best[i] = v;
    }
    known[0] = 0;
    for (int i = 0; i < n; i++) {
        const int all = s->offset[best[i] + 1] - s->offset[best[i]], len = all < 60 ? all : 60;
        at += (size_t)snprintf(known + at, sizeof known - at, "%s\"%.*s\"", i ? ", " : "", len,
                               s->text + s->offset[best[i]]);
    }
    if (!n) return mill_fail(MILL_EINPUT, "column \"%s\" has no values but missing", s->name);
    return mill_fail(MILL_EINPUT, "column \"%s\": there is no value \"%s\"; the nearest: %s",
                     s->name, value, known);
}

static mill_err parse_code(synth_where *w, const synth_column *s, const char *value)
{
    const size_t len = strlen(value);

    if (w->op != WHERE_EQ && w->op != WHERE_NE) {
        return mill_fail(MILL_EINPUT,
                         "column \"%s\" is of type %s: only = and != can be asked of it", s->name,
                         mill_coltype_name(s->type));
    }
    for (int32_t v = 0; v < s->n_values; v++) {
        if ((size_t)(s->offset[v + 1] - s->offset[v]) != len) continue;
        if (memcmp(s->text + s->offset[v], value, len) != 0) continue;
        w->code = v;
        return MILL_OK;
    }
    return unknown_value(s, value);
}

static mill_err parse_number(synth_where *w, const synth_column *s, const char *value)
{
    if (s->type == MILL_DATETIME) {
        int64_t seconds;
        if (!datetime_parse(&seconds, s->format, value, strlen(value))) {
            return mill_fail(MILL_EINPUT, "column \"%s\": \"%s\" is not a time like %s", s->name,
                             value, s->format);
        }
        w->number = (double)seconds;
        return MILL_OK;
    }
    if (mill_parse_f64(&w->number, value, strlen(value))) return MILL_OK;
    return mill_fail(MILL_EINPUT, "column \"%s\": \"%s\" is not a number", s->name, value);
}

static mill_err unknown_column(const synth_schema *s, const char *text)
{
    int best = 0, least = TEXT_MAX_EDITS + 1;
    const int len = (int)strcspn(text, "=<>!");

    if (!text[len]) {
        return mill_fail(MILL_EINPUT,
                         "\"%s\": a condition is COLUMN=VALUE, or with one of != < <= "
                         "> >=",
                         text);
    }
    for (int j = 0; j < s->n; j++) {
        const int d = text_edits(text, (size_t)len, s->col[j].name, strlen(s->col[j].name));
        if (d >= least) continue;
        least = d;
        best = j;
    }
    return mill_fail(MILL_EINPUT, "\"%s\": there is no column \"%.*s\"; the nearest: \"%s\"", text,
                     len, text, s->col[best].name);
}

mill_err synth_where_parse(synth_where *out, const synth_schema *s, const char *text)
{
    synth_where w = {.col = -1, .code = -1};
    size_t longest = 0;
    const char *value = NULL;

    for (int j = 0; j < s->n; j++) {
        const size_t len = strlen(s->col[j].name);
        if (strncmp(text, s->col[j].name, len) != 0 || (w.col >= 0 && len <= longest)) continue;
        const int op = find_operator(text + len);
        if (op < 0) continue;
        w.col = j;
        w.op = operators[op].op;
        longest = len;
        value = text + len + strlen(operators[op].text);
    }
    if (w.col < 0) return unknown_column(s, text);

    const synth_column *c = &s->col[w.col];
    if (c->type == MILL_IDENTIFIER) {
        return mill_fail(MILL_EINPUT,
                         "column \"%s\" holds identifiers: they are made anew and "
                         "cannot be asked for",
                         c->name);
    }
    w.missing = !*value;
    if (w.missing && w.op != WHERE_EQ && w.op != WHERE_NE) {
        return mill_fail(MILL_EINPUT, "\"%s\": a value is missing", text);
    }
    if (w.missing) {
        if (!c->n_missing && w.op == WHERE_EQ) {
            return mill_fail(MILL_EINPUT, "column \"%s\" is never missing", c->name);
        }
    } else if (c->type == MILL_BOOLEAN || c->type == MILL_CATEGORY) {
        TRY(parse_code(&w, c, value));
    } else {
        TRY(parse_number(&w, c, value));
    }
    *out = w;
    return MILL_OK;
}

bool synth_number_holds(const synth_where *w, double x)
{
    switch (w->op) {
    case WHERE_EQ:
        return x == w->number;
    case WHERE_NE:
        return x != w->number;
    case WHERE_LT:
        return x < w->number;
    case WHERE_LE:
        return x <= w->number;
    case WHERE_GT:
        return x > w->number;
    case WHERE_GE:
        return x >= w->number;
    }
    return false;
}

bool synth_where_holds(const synth_where *w, const mill_table *t, int64_t row)
{
    const mill_column *c = &t->col[w->col];
    const bool present = column_is_valid(c, row);

    if (w->missing) return present == (w->op == WHERE_NE);
    if (!present) return w->op == WHERE_NE;
    if (column_has_codes(c)) return (c->code[row] == w->code) == (w->op == WHERE_EQ);
    return synth_number_holds(w, synth_raw_number(c, row));
}
