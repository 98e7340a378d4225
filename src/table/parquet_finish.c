/*
 * parquet_finish.c - the type of each column, once all of its values are known.
 *
 * What CSV would have found in the same values: consecutive integers and texts that all differ are
 * identifiers, two texts of a pair are booleans, dates of one ISO form are times.  Texts that look
 * like numbers stay texts: who wrote the file knew numbers.  A file of ours says what it was.
 */
#include "table/parquet_reader.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/datetime.h"
#include "table/retype.h"

#include <stdio.h>

enum { MANY_VALUES = 65536 };

/* What the file says of its column, where it is ours. */
static const char *own_word(const parquet_column *c, const char *key)
{
    return json_string_value(json_object_get(c->ours, key));
}

static bool own_type(mill_coltype *type, const parquet_column *c)
{
    const char *word = own_word(c, "type");
    return word && mill_coltype_parse(type, word);
}

/* False, True in order of appearance, or as our file spells them (no, then yes). */
static mill_err name_booleans(mill_column *out, const parquet_column *c)
{
    const json_t *own = json_object_get(c->ours, "values");
    const char *no = json_string_value(json_array_get(own, 0));
    const char *yes = json_string_value(json_array_get(own, 1));
    const bool is_yes_first = c->present && c->first_boolean;
    const char *word[2] = {no && yes ? no : "False", no && yes ? yes : "True"};
    char text[256];
    int32_t offset[3] = {0};

    if (strlen(word[0]) + strlen(word[1]) >= sizeof text) {
        word[0] = "False";
        word[1] = "True";
    }
    for (int k = 0; k < 2; k++) {
        const char *s = word[is_yes_first ? 1 - k : k];
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): offsets say where it ends */
        memcpy(text + offset[k], s, strlen(s));
        offset[k + 1] = offset[k] + (int32_t)strlen(s);
    }
    return column_set_dictionary(out, 2, offset, text);
}

static mill_err name_format(mill_column *out, const parquet_column *c)
{
    const char *own = own_word(c, "format");
    const char *found = c->type.kind == ARROW_DATE ? "%Y-%m-%d"
                        : c->type.has_zone         ? "%Y-%m-%d %H:%M:%S+00:00"
                        : c->has_time              ? "%Y-%m-%d %H:%M:%S"
                                                   : "%Y-%m-%d";

    out->format = mill_strdup(own && datetime_pattern_ok(own) ? own : found);
    return out->format ? MILL_OK : MILL_ENOMEM;
}

static bool are_dates(const dict *d)
{
    int form = 0;

    for (int32_t k = 0; k < d->n; k++) {
        int64_t seconds;
        int found;
        size_t n;
        const char *s = dict_text(d, k, &n);
        if (!datetime_parse_iso(&seconds, &found, s, n) || (form && found != form)) return false;
        form = found;
    }
    return d->n > 0;
}

static mill_err finish_texts(parquet_reader *r, int j, bool is_forced)
{
    parquet_column *c = &r->col[j];
    mill_column *out = &r->t->col[j];
    const char *path = r->csv.src.path;
    const dict *d = &c->values;
    mill_coltype type;

    TRY(column_set_values(out, d));
    const bool all_differ = d->n == c->present && d->n > DICT_KEYS;
    const bool dates = !is_forced && !c->ours && are_dates(d);
    if (is_forced) return MILL_OK;
    if (own_type(&type, c) && (type == MILL_CATEGORY || type == MILL_IDENTIFIER))
        out->type = type;
    else if (dict_is_boolean(d))
        out->type = MILL_BOOLEAN;
    else if (dates)
        return column_retype(out, &(column_wish){.type = MILL_DATETIME, .path = path});
    else if (all_differ)
        out->type = MILL_IDENTIFIER;
    if (out->type == MILL_CATEGORY && d->n > MANY_VALUES)
        mill_log(MILL_LOG_WARN, "%s: column \"%s\" has %d different values in %lld rows", path,
                 out->name, d->n, (long long)out->rows);
    return MILL_OK;
}

static void announce(const parquet_reader *r, int j)
{
    const parquet_column *c = &r->col[j];
    const mill_column *out = &r->t->col[j];

    if (c->n_fractions)
        mill_log(MILL_LOG_WARN,
                 "%s: column \"%s\": fractions of a second are cut off in %lld time%s",
                 r->csv.src.path, out->name, (long long)c->n_fractions, mill_s(c->n_fractions));
    if (c->n_infinite)
        mill_log(MILL_LOG_WARN, "%s: column \"%s\": %lld infinite value%s taken for missing",
                 r->csv.src.path, out->name, (long long)c->n_infinite, mill_s(c->n_infinite));
}

/* What another table or an option asks for. */
static mill_err obey(parquet_reader *r, int j)
{
    const csv_column *given = &r->csv.col[j];
    const column_wish wish = {
        .type = given->type, .format = given->format, .like = given->like, .path = r->csv.src.path};

    return column_retype(&r->t->col[j], &wish);
}

mill_err parquet_finish_column(parquet_reader *r, int j)
{
    parquet_column *c = &r->col[j];
    mill_column *out = &r->t->col[j];
    const csv_column *given = &r->csv.col[j];
    const bool is_text = parquet_natural_type(c) == MILL_CATEGORY;
    mill_coltype own;

    announce(r, j);
    if (is_text) {
        TRY(finish_texts(r, j, given->is_forced));
    } else if (out->type == MILL_BOOLEAN) {
        TRY(name_booleans(out, c));
    } else if (out->type == MILL_DATETIME) {
        TRY(name_format(out, c));
    } else if (out->type == MILL_REAL) {
        const json_int_t own_decimals = json_integer_value(json_object_get(c->ours, "decimals"));
        if (own_decimals > out->decimals && own_decimals <= 15) out->decimals = (int)own_decimals;
        if (!c->ours && c->type.kind == ARROW_FLOAT && !out->decimals) out->decimals = 1;
    }
    if (given->is_forced) return obey(r, j);
    if (out->type != MILL_INTEGER || !c->is_run || out->rows != c->present ||
        out->rows <= DICT_KEYS || own_type(&own, c))
        return MILL_OK;
    return column_retype(out, &(column_wish){.type = MILL_IDENTIFIER, .path = r->csv.src.path});
}
