/*
 * csv_decide.c - the type of each column from what was seen in all of its values; docs/tables.md
 * tells it to users.
 *
 * Let "values" be the present ones that are not soft (blank, or quoted and empty or a word of
 * --na).
 *
 *     none at all                       category (of the soft ones, or of nothing)
 *     integers only                     integer; identifier if each is the one before plus one,
 *                                       none is missing and there are more than 50 rows
 *     integers and reals                real
 *     dates of one form                 datetime
 *     numbers and numbers with a comma  refused: decimal comma?
 *     numbers and huge ones             category, announced with the first of those
 *     two texts of a pair (yes, no)     boolean; of any pairs where another table has booleans
 *     else                              category; identifier if all are texts, all differ and
 *                                       there are more than 50
 *
 * A category nine tenths of which are numbers or dates is announced with the first value that is
 * not.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"
#include "table/datetime.h"
#include "table/retype.h"

#include <ctype.h>
#include <string.h>

enum { MANY_VALUES = 65536 };

/* Each block goes on where the one before it ended. */
static bool is_consecutive(const csv_reader *r, const csv_column *c)
{
    const int64_t rows = r->block_row[r->layout.n_blocks];
    int64_t start = RUN_BROKEN;

    if (!c->run || rows <= DICT_KEYS) return false;
    for (int64_t i = 0; i < r->layout.n_blocks; i++) {
        const int64_t row = r->block_row[i];
        if (r->block_row[i + 1] == row) continue;
        if (c->run[i] == RUN_BROKEN) return false;
        if (start == RUN_BROKEN) start = c->run[i];
        if ((uint64_t)c->run[i] - (uint64_t)start != (uint64_t)row) return false;
    }
    return start != RUN_BROKEN;
}

static bool is_soft(const csv_reader *r, const dict *d, int32_t code)
{
    csv_value v;
    size_t n;
    const char *s = dict_text(d, code, &n);
    return csv_classify(r, &v, (csv_field){s, (uint32_t)n}, true) == VALUE_SOFT;
}

/* Exactly two spellings, one of each side of one pair; soft values are left out. */
static bool is_boolean(const csv_reader *r, const dict *d)
{
    int n = 0, seen[2], pair[2] = {0};

    if (d->n > 3 + r->n_na) return false;
    for (int32_t k = 0; k < d->n; k++) {
        size_t len;
        const char *s = dict_text(d, k, &len);
        if (is_soft(r, d, k)) continue;
        if (n == 2 || !(seen[n] = column_truth(&pair[n], s, len))) return false;
        n++;
    }
    return n == 2 && pair[0] == pair[1] && seen[0] != seen[1];
}

/* Another table has booleans here: texts of any spelling, which csv_match_booleans() finds there.
 */
static bool are_truths(const csv_reader *r, const dict *d)
{
    int pair;

    for (int32_t k = 0; k < d->n; k++) {
        size_t len;
        const char *s = dict_text(d, k, &len);
        if (!is_soft(r, d, k) && !column_truth(&pair, s, len)) return false;
    }
    return true;
}

static mill_err refuse_comma(const csv_reader *r, const csv_column *c)
{
    const int64_t at = c->sum.first[VALUE_COMMA];
    char value[64];

    csv_quote_value(r, value, at);
    return mill_fail(MILL_EINPUT, "%s:%lld: column \"%s\": \"%s\" is not a number (decimal comma?)",
                     r->src.path, (long long)csv_line_of(r, at), c->name, value);
}

/* A number would be, but for values that no double holds. */
static void announce_huge(const csv_reader *r, const csv_column *c)
{
    const int64_t at = c->sum.first[VALUE_HUGE];
    char value[64];

    csv_quote_value(r, value, at);
    mill_log(MILL_LOG_WARN,
             "%s:%lld: column \"%s\" is read as category: \"%s\" is too large for a number of 64 "
             "bits (--na makes it a missing one)",
             r->src.path, (long long)csv_line_of(r, at), c->name, value);
}

static void announce_mixed(const csv_reader *r, const csv_column *c)
{
    const int64_t *n = c->sum.n;
    const int64_t numbers = n[VALUE_INT] + n[VALUE_REAL];
    const int64_t odd = n[VALUE_TEXT] + n[VALUE_HUGE] + n[VALUE_COMMA];
    const bool dates = n[VALUE_DATE] > numbers;
    const int64_t regular = dates ? n[VALUE_DATE] : numbers;
    const int64_t others = odd + (dates ? numbers : n[VALUE_DATE]);
    char value[64];

    if (!others || others > regular / 9) return;
    int64_t at = c->sum.first[VALUE_TEXT];
    if (c->sum.first[VALUE_COMMA] < at) at = c->sum.first[VALUE_COMMA];
    if (c->sum.first[VALUE_HUGE] < at) at = c->sum.first[VALUE_HUGE];
    if (c->sum.first[dates ? VALUE_INT : VALUE_DATE] < at)
        at = c->sum.first[dates ? VALUE_INT : VALUE_DATE];
    if (dates && c->sum.first[VALUE_REAL] < at) at = c->sum.first[VALUE_REAL];
    csv_quote_value(r, value, at);
    mill_log(MILL_LOG_WARN,
             "%s: column \"%s\" is read as category: %lld of %lld values %s no %s%s, the first is "
             "\"%s\" in line %lld",
             r->src.path, c->name, (long long)others, (long long)others + regular,
             others == 1 ? "is" : "are", dates ? "date" : "number", mill_s(others), value,
             (long long)csv_line_of(r, at));
}

static mill_err infer_type(const csv_reader *r, csv_column *c)
{
    const int64_t *n = c->sum.n;
    const int64_t numbers = n[VALUE_INT] + n[VALUE_REAL];
    const bool only_dates =
        n[VALUE_DATE] && !numbers && !n[VALUE_TEXT] && !n[VALUE_HUGE] && !n[VALUE_COMMA];
    const bool only_numbers = numbers && !n[VALUE_DATE] && !n[VALUE_TEXT];

    c->type = MILL_CATEGORY;
    if (!n[VALUE_TEXT] && !n[VALUE_DATE] && n[VALUE_COMMA]) return refuse_comma(r, c);
    if (only_numbers && n[VALUE_HUGE]) {
        announce_huge(r, c);
    } else if (only_numbers) {
        c->is_run = !n[VALUE_REAL] && is_consecutive(r, c);
        c->type = n[VALUE_REAL] ? MILL_REAL : c->is_run ? MILL_IDENTIFIER : MILL_INTEGER;
    } else if (only_dates && c->sum.form > 0) {
        c->type = MILL_DATETIME;
    } else {
        announce_mixed(r, c);
    }
    return MILL_OK;
}

/* A type that another table suggests is given up for the nearest that holds. */
static void relax_like(csv_column *c)
{
    const int64_t *n = c->sum.n;
    if (!c->like) return;
    if (c->type == MILL_INTEGER && n[VALUE_REAL]) c->type = MILL_REAL;
    if (c->type == MILL_REAL && c->like->decimals > c->sum.decimals)
        c->sum.decimals = c->like->decimals;
}

static mill_err decide_format(csv_column *c)
{
    char pattern[DATETIME_PATTERN_MAX] = "%Y-%m-%d %H:%M:%S";

    if (c->type != MILL_DATETIME || c->format) return MILL_OK;
    if (c->sum.form > 0) datetime_form_pattern(pattern, c->sum.form);
    c->format = mill_strdup(pattern);
    return c->format ? MILL_OK : MILL_ENOMEM;
}

static bool wants_values(const csv_column *c)
{
    return !c->is_run &&
           (c->type == MILL_CATEGORY || c->type == MILL_BOOLEAN || c->type == MILL_IDENTIFIER);
}

/* Values of `like` come first, in its order, seen or not. */
static mill_err seed_values(csv_column *c)
{
    const mill_column *like = c->like;

    if (!like || !column_has_codes(like) || like->type == MILL_BOOLEAN) return MILL_OK;
    for (int32_t k = 0; k < like->n_values; k++) {
        int n;
        const char *s = column_value(like, k, &n);
        TRY(dict_merge(&c->sum.values, s, (size_t)n, (int64_t)k - like->n_values, 0));
    }
    return MILL_OK;
}

/* In order of first appearance; the codes that were kept follow. */
static mill_err order_values(const csv_reader *r, csv_column *c)
{
    dict *d = &c->sum.values;
    int32_t *moved = NULL;

    if (c->keep == KEEP_CODES && !(moved = mill_alloc((size_t)d->n + 1, sizeof *moved)))
        return MILL_ENOMEM;
    const mill_err err = dict_order(d, moved);
    if (!err && moved) csv_keep_moved(r, c, moved);
    mill_free(moved);
    return err;
}

static mill_err refine_texts(const csv_reader *r, csv_column *c)
{
    dict *d = &c->sum.values;
    const int64_t *n = c->sum.n;

    if (!c->is_forced && c->type == MILL_CATEGORY) {
        const int64_t texts = n[VALUE_TEXT] + n[VALUE_HUGE];
        const bool only_text = texts && d->n == texts;
        if (is_boolean(r, d))
            c->type = MILL_BOOLEAN;
        else if (only_text && dict_has_keys(d))
            c->type = MILL_IDENTIFIER;
    } else if (c->type == MILL_BOOLEAN && c->like) {
        if (!are_truths(r, d)) c->type = MILL_CATEGORY;
    } else if (c->type == MILL_BOOLEAN && !is_boolean(r, d)) {
        return mill_fail(MILL_EINPUT,
                         "%s: column \"%s\" is not boolean: it holds other values than one of "
                         "true/false, yes/no, t/f, y/n in one spelling",
                         r->src.path, c->name);
    }
    if (c->type == MILL_CATEGORY && d->n > MANY_VALUES)
        mill_log(MILL_LOG_WARN, "%s: column \"%s\" has %d different values in %lld rows",
                 r->src.path, c->name, d->n, (long long)r->block_row[r->layout.n_blocks]);
    TRY(seed_values(c));
    c->n_values = d->n;
    for (int32_t k = 0; c->type == MILL_BOOLEAN && k < d->n; k++) {
        if (!is_soft(r, d, k)) continue;
        d->first[k] = INT64_MAX;
        c->n_values--;
    }
    return order_values(r, c);
}

mill_err csv_decide(csv_reader *r)
{
    bool again = false;

    if (!r->block_row[r->layout.n_blocks])
        return mill_fail(MILL_EINPUT, "%s: the table has no rows", r->src.path);
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        if (c->is_forced)
            relax_like(c);
        else
            TRY(infer_type(r, c));
        TRY(decide_format(c));
        if (wants_values(c) && c->sum.n_unlisted) {
            c->expect = EXPECT_ANY;
            again = true;
        } else {
            c->expect = EXPECT_NUMBER;
        }
    }
    csv_keep_decide(r);
    if (again) TRY(csv_list_again(r));
    for (int j = 0; j < r->n_cols; j++)
        if (wants_values(&r->col[j])) TRY(refine_texts(r, &r->col[j]));
    return MILL_OK;
}
