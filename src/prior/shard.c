/*
 * shard.c - writing and reading shards (shard.h).
 *
 * x goes to the file as it comes; what is small waits in memory for the end.  A shard has so many
 * data sets that at the largest size that the configuration can draw x comes to 64 MiB and what
 * waits takes 48 MiB at most: a power of two, 128 at 1,024 rows and 100 columns.
 */
#include "prior/shard.h"

#include "base/mem.h"
#include "table/store_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 16 /* floats */, META_ROOM = 16 << 10 };
static const int64_t most_x_bytes = 64 << 20, most_held_bytes = 48 << 20;

/* ORDER COLUMN */
static const char *const column_names[SHARD_N_COLUMN] = {"index",
                                                         "rows",
                                                         "train_rows",
                                                         "features",
                                                         "width",
                                                         "classes",
                                                         "attempts",
                                                         "rejected_empty",
                                                         "rejected_labels",
                                                         "rejected_filter",
                                                         "rejected_trivial",
                                                         "x_at",
                                                         "y_at",
                                                         "levels_at",
                                                         "text_at",
                                                         "text_bytes"};

typedef struct {
    store_stream file;
    mill_text y, levels, sets, imbalance, text; /* raw bytes of these tensors */
    int64_t n_y, n_levels, n_sets;
} shard_writer;

/* Of a data set: all but x. */
static int64_t held_bytes(const prior_config *c)
{
    const int64_t n = 4 * (prior_most_rows(c) + prior_most_width(c)) + 8L * (SHARD_N_COLUMN + 1) +
                      prior_text_bytes(c);

    return 2 * n; /* a growing text doubles */
}

static int64_t shard_size(const prior_config *c)
{
    const int64_t x = 4 * prior_most_cells(c), held = held_bytes(c);
    int64_t n = 1;

    while (2 * n * x <= most_x_bytes && 2 * n * held <= most_held_bytes) n *= 2;
    return n;
}

static int64_t shard_memory(const prior_config *c)
{
    return shard_size(c) * held_bytes(c);
}

static bool shard_path(char *path, const prior_sink *s, const prior_unit *u, int64_t k)
{
    return !k && snprintf(path, PRIOR_PATH, "%s/shard_%06lld.mill", s->dir, (long long)u->unit) <
                     PRIOR_PATH;
}

static mill_err begin(prior_sink *s)
{
    char path[PRIOR_PATH];
    shard_writer *w = s->state = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    if (!shard_path(path, s, &s->unit, 0))
        return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", s->dir);
    return store_stream_open(&w->file, path, "x", STORE_F32, META_ROOM);
}

static mill_err add(prior_sink *s, const prior_set *set)
{
    static const float zeros[LINE];
    shard_writer *w = s->state;
    const int64_t n = set->rows * set->features;
    int64_t row[SHARD_N_COLUMN] = {[SHARD_INDEX] = set->index,
                                   [SHARD_ROWS] = set->rows,
                                   [SHARD_TRAIN_ROWS] = set->train_rows,
                                   [SHARD_FEATURES] = set->features,
                                   [SHARD_WIDTH] = set->width,
                                   [SHARD_CLASSES] = set->classes,
                                   [SHARD_ATTEMPTS] = set->attempts,
                                   [SHARD_X_AT] = w->file.count,
                                   [SHARD_Y_AT] = w->n_y,
                                   [SHARD_LEVELS_AT] = w->n_levels,
                                   [SHARD_TEXT_AT] = (int64_t)w->text.len};

    for (int k = 0; k < PRIOR_N_REJECT; k++) row[SHARD_REJECTED + k] = set->rejected[k];
    text_add(&w->text, "{\"kind\":\"%s\",\"structure\":", set->kind);
    text_add_bytes(&w->text, set->structure, set->structure_len);
    text_add(&w->text, "}");
    row[SHARD_TEXT_BYTES] = (int64_t)w->text.len - row[SHARD_TEXT_AT];
    text_add_bytes(&w->y, set->y, (size_t)set->rows * sizeof *set->y);
    text_add_bytes(&w->levels, set->levels, (size_t)set->features * sizeof *set->levels);
    text_add_bytes(&w->imbalance, &set->imbalance, sizeof set->imbalance);
    text_add_bytes(&w->sets, row, sizeof row);
    w->n_y += set->rows;
    w->n_levels += set->features;
    w->n_sets++;
    TRY(store_stream_add(&w->file, set->x, n));
    return store_stream_add(&w->file, zeros, (LINE - n % LINE) % LINE);
}

static json_t *make_meta(const prior_sink *s)
{
    json_t *names = json_array();

    for (int k = 0; k < SHARD_N_COLUMN; k++)
        json_array_append_new(names, json_string(column_names[k]));
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:O}", "kind", "prior-shard", "unit",
                     (json_int_t)s->unit.unit, "first", (json_int_t)s->unit.first, "count",
                     (json_int_t)s->unit.count, "columns", names, "config", s->config_json);
}

static mill_err end(prior_sink *s)
{
    shard_writer *w = s->state;
    const store_tensor rest[] = {
        {"y", STORE_F32, 1, {w->n_y}, w->y.s, w->y.len},
        {"levels", STORE_I32, 1, {w->n_levels}, w->levels.s, w->levels.len},
        {"sets", STORE_I64, 2, {w->n_sets, SHARD_N_COLUMN}, w->sets.s, w->sets.len},
        {"imbalance", STORE_F64, 1, {w->n_sets}, w->imbalance.s, w->imbalance.len},
        {"text", STORE_U8, 1, {(int64_t)w->text.len}, w->text.s, w->text.len},
    };
    mill_err err = text_check(&w->y);

    if (!err) err = text_check(&w->levels);
    if (!err) err = text_check(&w->sets);
    if (!err) err = text_check(&w->imbalance);
    if (!err) err = text_check(&w->text);
    if (err) return err;
    json_t *meta = make_meta(s);
    err = meta ? store_stream_commit(&w->file, rest, (int)(sizeof rest / sizeof *rest), meta,
                                     &s->unit.bytes, &s->unit.crc)
               : mill_fail(MILL_ENOMEM, "out of memory for a shard's header");
    json_decref(meta);
    return err;
}

static void abandon(prior_sink *s)
{
    shard_writer *w = s->state;

    store_stream_close(&w->file);
    text_free(&w->y);
    text_free(&w->levels);
    text_free(&w->sets);
    text_free(&w->imbalance);
    text_free(&w->text);
}

const prior_format prior_shards = {
    .name = "shards",
    .tail = 8, /* the checksum, "LLIM" */
    .unit_size = shard_size,
    .memory = shard_memory,
    .begin = begin,
    .add = add,
    .end = end,
    .abandon = abandon,
    .path = shard_path,
};

/* ---- reading ---- */

static mill_err bad(const char *path, int64_t k, const char *why)
{
    return mill_fail(MILL_EINPUT, "%s: data set %lld of the shard: %s", path, (long long)k, why);
}

/* [at, at + n) within [0, total) */
static bool lies_in(int64_t at, int64_t n, int64_t total)
{
    return at >= 0 && n >= 0 && at <= total && n <= total - at;
}

static mill_err check_sets(const shard *s, const char *path, const int64_t total[4])
{
    for (int64_t k = 0; k < s->count; k++) {
        const int64_t *r = s->sets + k * SHARD_N_COLUMN;
        int64_t cells;

        if (r[SHARD_INDEX] != s->first + k) return bad(path, k, "its index is not the next one");
        if (r[SHARD_ROWS] < 2 || r[SHARD_FEATURES] < 1 || r[SHARD_FEATURES] > INT32_MAX ||
            r[SHARD_TRAIN_ROWS] < 1 || r[SHARD_TRAIN_ROWS] >= r[SHARD_ROWS] ||
            r[SHARD_WIDTH] < r[SHARD_FEATURES] || r[SHARD_WIDTH] > INT32_MAX ||
            r[SHARD_CLASSES] < 0 || r[SHARD_CLASSES] > INT32_MAX)
            return bad(path, k, "its sizes are impossible");
        if (__builtin_mul_overflow(r[SHARD_ROWS], r[SHARD_FEATURES], &cells) ||
            !lies_in(r[SHARD_X_AT], cells, total[0]) ||
            !lies_in(r[SHARD_Y_AT], r[SHARD_ROWS], total[1]) ||
            !lies_in(r[SHARD_LEVELS_AT], r[SHARD_FEATURES], total[2]) ||
            !lies_in(r[SHARD_TEXT_AT], r[SHARD_TEXT_BYTES], total[3]))
            return bad(path, k, "it lies outside of the file");
    }
    return MILL_OK;
}

static mill_err find_tensors(shard *s, const char *path)
{
    static const struct {
        const char *name;
        store_dtype dtype;
        int rank;
    } want[] = {{"x", STORE_F32, 1},   {"y", STORE_F32, 1},    {"levels", STORE_I32, 1},
                {"text", STORE_U8, 1}, {"sets", STORE_I64, 2}, {"imbalance", STORE_F64, 1}};
    const json_t *meta = store_meta(s->file), *columns = json_object_get(meta, "columns");
    const char *kind = json_string_value(json_object_get(meta, "kind"));
    const int64_t any[2] = {-1, SHARD_N_COLUMN}, vector[1] = {-1};
    const store_tensor *t[6];
    int64_t total[4];

    if (!kind || strcmp(kind, "prior-shard") != 0)
        return mill_fail(MILL_EINPUT, "%s: holds no data sets of a prior", path);
    for (int k = 0; k < SHARD_N_COLUMN; k++) {
        const char *name = json_string_value(json_array_get(columns, (size_t)k));
        if (!name || strcmp(name, column_names[k]) != 0)
            return mill_fail(MILL_EINPUT, "%s: another version of tabmill wrote this shard", path);
    }
    for (int k = 0; k < 6; k++)
        TRY(store_get(&t[k], s->file, want[k].name, want[k].dtype, want[k].rank,
                      want[k].rank == 2 ? any : vector));
    for (int k = 0; k < 4; k++) total[k] = t[k]->dim[0];
    s->x = t[0]->data;
    s->y = t[1]->data;
    s->levels = t[2]->data;
    s->text = t[3]->data;
    s->sets = t[4]->data;
    s->imbalance = t[5]->data;
    s->count = t[4]->dim[0];
    s->first = json_integer_value(json_object_get(meta, "first"));
    if (s->count < 1 || t[5]->dim[0] != s->count ||
        json_integer_value(json_object_get(meta, "count")) != s->count)
        return mill_fail(MILL_EINPUT, "%s: its tables have different lengths", path);
    return check_sets(s, path, total);
}

mill_err shard_open(shard *s, const char *path)
{
    *s = (shard){0};
    TRY(store_open(&s->file, path));
    const mill_err err = find_tensors(s, path);
    if (err) shard_close(s);
    return err;
}

mill_err shard_read(prior_set *out, shard *s, int64_t k)
{
    static const char head[] = "{\"kind\":\"", middle[] = "\",\"structure\":";
    const int64_t *r = s->sets + k * SHARD_N_COLUMN;
    const char *text = s->text + r[SHARD_TEXT_AT];
    const size_t n = (size_t)r[SHARD_TEXT_BYTES];
    const size_t name_at = sizeof head - 1;
    const char *name_end = n > name_at ? memchr(text + name_at, '"', n - name_at) : NULL;
    const size_t name = name_end ? (size_t)(name_end - text) - name_at : 0;

    if (!name || name >= sizeof s->kind || memcmp(text, head, name_at) != 0 ||
        n < name_at + name + sizeof middle || memcmp(name_end, middle, sizeof middle - 1) != 0)
        return mill_fail(MILL_EINPUT, "data set %lld of a shard: its text is damaged",
                         (long long)r[SHARD_INDEX]);
    memcpy(s->kind, text + name_at, name);
    s->kind[name] = 0;
    *out = (prior_set){
        .index = r[SHARD_INDEX],
        .rows = r[SHARD_ROWS],
        .train_rows = r[SHARD_TRAIN_ROWS],
        .features = (int)r[SHARD_FEATURES],
        .width = (int)r[SHARD_WIDTH],
        .classes = (int)r[SHARD_CLASSES],
        .categorical_y = r[SHARD_CLASSES] > 0,
        .x = (float *)(s->x + r[SHARD_X_AT]),
        .y = (float *)(s->y + r[SHARD_Y_AT]),
        .levels = (int32_t *)(s->levels + r[SHARD_LEVELS_AT]),
        .imbalance = s->imbalance[k],
        .attempts = (int)r[SHARD_ATTEMPTS],
        .kind = s->kind,
        .structure = name_end + sizeof middle - 1,
        .structure_len = n - name_at - name - (sizeof middle - 1) - 1,
    };
    for (int j = 0; j < PRIOR_N_REJECT; j++) out->rejected[j] = (int)r[SHARD_REJECTED + j];
    return MILL_OK;
}

const json_t *shard_config(const shard *s)
{
    return json_object_get(store_meta(s->file), "config");
}

void shard_close(shard *s)
{
    store_close(s->file);
    s->file = NULL;
}
