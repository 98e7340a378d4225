/*
 * parquet_read.c - a Parquet file as a table (parquet_reader.h).
 *
 * The footer says how many rows there are, so columns are allocated once, in memory or in a spool
 * file.  Arrow decodes a batch on its threads; then our threads fill the columns with it, a column
 * each.  What is held besides the table is a batch, and of each column the chunk that it lies in.
 */
#include "table/parquet_reader.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "table/csv_write.h"
#include "table/spool.h"

#include <stdio.h>

enum { BATCH_ROWS = 1 << 16, PAGE = 4096, MAGIC = 4 };

bool parquet_is_name(const char *path)
{
    return path_has_suffix(path, ".parquet") || path_has_suffix(path, ".pq");
}

mill_err parquet_is_source(bool *is, const source *in)
{
    char head[MAGIC] = "", tail[MAGIC];
    size_t got;

    *is = false;
    if (in->bytes < MAGIC + MAGIC) return MILL_OK;
    TRY(source_read(in, head, MAGIC, 0, &got));
    TRY(source_read(in, tail, MAGIC, in->bytes - MAGIC, &got));
    *is = !memcmp(head, tail, MAGIC) &&
          (!memcmp(head, "PAR1", MAGIC) || !memcmp(head, "PARE", MAGIC));
    return MILL_OK;
}

/* ---- what is wanted ---- */

static mill_err read_names(parquet_reader *r)
{
    const struct ArrowSchema *s = &r->file.schema;
    csv_reader *csv = &r->csv;

    if (s->n_children > 1000000)
        return mill_fail(MILL_EINPUT, "%s: %lld columns", csv->src.path, (long long)s->n_children);
    csv->n_file_cols = (int)s->n_children;
    csv->file_name = mill_alloc((size_t)csv->n_file_cols, sizeof *csv->file_name);
    if (!csv->file_name) return MILL_ENOMEM;
    for (int j = 0; j < csv->n_file_cols; j++) {
        const char *name = s->children[j]->name;
        char made[24];
        if (!csv_utf8_ok(name, strlen(name)))
            return mill_fail(MILL_EINPUT, "%s: the name of column %d is not UTF-8", csv->src.path,
                             j + 1);
        snprintf(made, sizeof made, "c%d", j);
        if (!(csv->file_name[j] = mill_strdup(*name ? name : made))) return MILL_ENOMEM;
    }
    return MILL_OK;
}

static mill_err describe(parquet_reader *r, int j)
{
    parquet_column *c = &r->col[j];
    const csv_column *given = &r->csv.col[j];
    const struct ArrowSchema *schema = r->file.schema.children[given->file_col];
    size_t n;

    c->has_dictionary = schema->dictionary != NULL;
    if (c->has_dictionary) c->index = arrow_type_of(schema);
    c->type = arrow_type_of(c->has_dictionary ? schema->dictionary : schema);
    c->is_run = true;
    const bool is_text = c->type.kind == ARROW_TEXT || c->type.kind == ARROW_BINARY;
    if (parquet_natural_type(c) == MILL_N_COLTYPE || (c->has_dictionary && !is_text))
        return mill_fail(MILL_EINPUT,
                         "%s: column \"%s\" is of type %s%s, which a table does not hold (--drop "
                         "leaves it out)",
                         r->csv.src.path, given->name, c->has_dictionary ? "dictionary of " : "",
                         arrow_kind_name(c->type.kind));
    const char *own = arrow_metadata(&n, schema, PARQUET_KEY);
    if (own) c->ours = json_loadb(own, n, 0, NULL);
    /* Values of `like` come first, in its order, seen or not. */
    const mill_column *like = given->like;
    for (int32_t k = 0; is_text && like && column_has_codes(like) && k < like->n_values; k++) {
        int len;
        const char *s = column_value(like, k, &len);
        TRY(dict_merge(&c->values, s, (size_t)len, (int64_t)k - like->n_values, 0));
    }
    return MILL_OK;
}

static mill_err plan(parquet_reader *r)
{
    r->has_na = r->csv.o->na && strcmp(r->csv.o->na, CSV_NA_WORDS) != 0;
    TRY(csv_na_init(&r->csv));
    TRY(read_names(r));
    TRY(csv_choose_columns(&r->csv));
    TRY(csv_reader_types(&r->csv));
    if (!r->file.facts.rows)
        return mill_fail(MILL_EINPUT, "%s: the table has no rows", r->csv.src.path);
    r->col = mill_alloc((size_t)r->csv.n_cols, sizeof *r->col);
    if (!r->col) return MILL_ENOMEM;
    for (int j = 0; j < r->csv.n_cols; j++) TRY(describe(r, j));
    return MILL_OK;
}

/* ---- the table ---- */

static size_t page_up(size_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

/* In a spool file every column has room for 8 bytes a row, whatever its type becomes. */
static mill_err place(mill_table *t, int j)
{
    const size_t values = (size_t)t->rows * 8, valid = (size_t)(t->rows + 7) / 8;
    mill_column *c = &t->col[j];

    c->spool_bytes = page_up(values) + page_up(valid);
    c->i64 = spool_at(t->spool, (size_t)j * c->spool_bytes);
    c->valid = (uint8_t *)c->i64 + page_up(values);
    column_fill_valid(c->valid, t->rows);
    return MILL_OK;
}

static mill_err allocate(parquet_reader *r)
{
    const csv_options *o = r->csv.o;
    const int64_t rows = r->file.facts.rows;
    const int64_t limit = o->memory_bytes ? o->memory_bytes : mill_cpu_memory_bytes() / 2;
    const size_t per_col = page_up((size_t)rows * 8) + page_up((size_t)(rows + 7) / 8);
    size_t bytes;

    if (rows > INT64_MAX / 16)
        return mill_fail(MILL_EINPUT, "%s: %lld rows", r->csv.src.path, (long long)rows);
    TRY(mill_size_mul(&bytes, per_col, (size_t)r->csv.n_cols));
    TRY(table_new(&r->t, rows, r->csv.n_cols));
    if (limit > 0 && bytes > (size_t)limit) TRY(spool_new(&r->t->spool, bytes, o->spool_dir));
    for (int j = 0; j < r->csv.n_cols; j++) {
        mill_column *c = &r->t->col[j];
        const mill_coltype type = parquet_natural_type(&r->col[j]);
        if (!r->t->spool) {
            TRY(column_init(c, r->csv.col[j].name, type, rows));
            continue;
        }
        *c = (mill_column){.type = type, .rows = rows};
        TRY(place(r->t, j));
        if (!(c->name = mill_strdup(r->csv.col[j].name))) return MILL_ENOMEM;
    }
    return MILL_OK;
}

static mill_err check_batch(const parquet_reader *r)
{
    const int64_t rows = r->batch.length;

    if (r->batch.n_children == r->csv.n_cols && rows <= r->t->rows - r->row) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: more rows than the file says: it is damaged",
                     r->csv.src.path);
}

static mill_err fill_batch(parquet_reader *r, mill_pool *pool)
{
    TRY(check_batch(r));
    mill_pool_run(pool, r->csv.n_cols, parquet_fill_column, r);
    for (int j = 0; j < r->csv.n_cols; j++)
        if (r->col[j].err) return mill_fail(r->col[j].err, "%s", r->col[j].words);
    r->row += r->batch.length;
    for (int j = 0; r->t->spool && j < r->t->n_cols; j++) table_column_release(r->t, j);
    return MILL_OK;
}

static mill_err fill_all(parquet_reader *r, mill_pool *pool)
{
    int *column = mill_alloc((size_t)r->csv.n_cols, sizeof *column);
    if (!column) return MILL_ENOMEM;
    for (int j = 0; j < r->csv.n_cols; j++) column[j] = r->csv.col[j].file_col;
    mill_err err = parquet_file_stream(&r->file, column, r->csv.n_cols, BATCH_ROWS);
    mill_free(column);
    while (!err && !(err = parquet_file_next(&r->file, &r->batch)) && r->batch.release) {
        err = fill_batch(r, pool);
        r->batch.release(&r->batch);
    }
    if (!err && r->row != r->t->rows)
        err = mill_fail(MILL_EINPUT, "%s: fewer rows than the file says: it is damaged",
                        r->csv.src.path);
    return err;
}

static void reader_close(parquet_reader *r)
{
    for (int j = 0; j < r->csv.n_cols && r->col; j++) {
        json_decref(r->col[j].ours);
        dict_free(&r->col[j].values);
        mill_free(r->col[j].map);
    }
    mill_free(r->col);
    csv_reader_close(&r->csv);
    parquet_file_close(&r->file);
    mill_table_free(r->t);
}

mill_err parquet_read(mill_table **out, const source *in, const csv_options *o, mill_pool *pool)
{
    static const csv_options defaults = {.header = -1};
    parquet_reader r = {.csv = {.o = o ? o : &defaults, .src = {.path = in->path}}};

    TRY(parquet_file_open(&r.file, in, true, pool ? mill_pool_threads(pool) : 1));
    mill_err err = plan(&r);
    if (!err) err = allocate(&r);
    if (!err) err = fill_all(&r, pool);
    parquet_file_close(&r.file); /* what Arrow holds is not needed any more */
    for (int j = 0; !err && j < r.csv.n_cols; j++) {
        mill_column *c = &r.t->col[j];
        err = parquet_finish_column(&r, j);
        dict_free(&r.col[j].values);
        if (c->spool_bytes && !c->n_missing) c->valid = NULL;
    }
    if (!err) {
        *out = r.t;
        r.t = NULL;
    }
    reader_close(&r);
    return err;
}
