/*
 * csv_keep.c - values that the first visit puts into their places at once.
 *
 * A second visit costs as much as the first.  How many rows lie before a block is known before the
 * first: from the line ends that csv_layout_count has counted.  What a column holds is told by
 * block 0.  So numbers and dates are written where they belong, and texts as codes of the
 * dictionary of the thread that met them; once the column's own dictionary stands, csv_fill()
 * exchanges them.
 *
 * Nothing is guessed for good.  A column in which something else turns up later (a real among
 * integers, a text among numbers) or whose type is decided otherwise is filled by the second visit,
 * as if nothing had been kept; so are all columns if a block has other rows than were counted (an
 * empty line), and tables that go to a spool file.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "table/csv_reader.h"

static size_t bitmap_bytes(int64_t rows)
{
    return (size_t)(rows + 63) / 64 * 8;
}

static size_t kept_bytes(const csv_column *c, int64_t rows)
{
    const size_t value = c->keep == KEEP_CODES ? sizeof(int32_t) : sizeof(int64_t);
    return c->keep == KEEP_NOTHING ? 0 : (size_t)rows * value + bitmap_bytes(rows);
}

void csv_keep_drop(const csv_reader *r, csv_column *c)
{
    c->keep = KEEP_NOTHING;
    mill_free(c->kept_i64);
    mill_free(c->missing);
    c->kept_i64 = NULL;
    c->missing = NULL;
    for (int t = 0; c->code_of && t < r->threads; t++) mill_free(c->code_of[t].code);
    mill_free(c->code_of);
    c->code_of = NULL;
}

static void drop_all(const csv_reader *r)
{
    for (int j = 0; j < r->n_cols; j++) csv_keep_drop(r, &r->col[j]);
}

size_t csv_memory_limit(const csv_reader *r)
{
    const int64_t limit = r->o->memory_bytes ? r->o->memory_bytes : mill_cpu_memory_bytes() / 2;
    return limit > 0 ? (size_t)limit : SIZE_MAX;
}

csv_keep csv_keep_what(const csv_column *c, const csv_stats *st)
{
    if (c->expect == EXPECT_TEXT) return KEEP_CODES;
    if (c->run) return KEEP_NOTHING; /* row i has code i, most likely */
    if (c->is_forced)
        return c->type == MILL_INTEGER ? KEEP_INTEGERS
               : c->type == MILL_REAL  ? KEEP_REALS
               : c->format             ? KEEP_NOTHING /* is tried before the ISO forms */
                                       : KEEP_DATES;
    if (st->n[VALUE_REAL]) return KEEP_REALS;
    if (st->n[VALUE_INT]) return KEEP_INTEGERS;
    return st->n[VALUE_DATE] ? KEEP_DATES : KEEP_NOTHING;
}

mill_err csv_keep_begin(csv_reader *r)
{
    size_t bytes = 0;

    if (!r->layout.lines) {
        drop_all(r);
        return MILL_OK;
    }
    const int64_t rows = r->layout.lines[r->layout.n_blocks];
    for (int j = 0; j < r->n_cols; j++) bytes += kept_bytes(&r->col[j], rows);
    if (bytes > csv_memory_limit(r)) {
        drop_all(r);
        return MILL_OK;
    }
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        if (c->keep == KEEP_NOTHING) continue;
        if (c->keep == KEEP_CODES) {
            c->kept_code = mill_alloc((size_t)rows, sizeof *c->kept_code);
            c->code_of = mill_alloc((size_t)r->threads, sizeof *c->code_of);
            if (!c->code_of) return MILL_ENOMEM;
        } else {
            c->kept_i64 = mill_alloc((size_t)rows, sizeof *c->kept_i64);
            c->missing = mill_alloc(bitmap_bytes(rows), 1);
            if (!c->missing) return MILL_ENOMEM;
        }
        if (!c->kept_i64) return MILL_ENOMEM;
    }
    return MILL_OK;
}

bool csv_keep_fits(const csv_reader *r, int64_t block, int64_t rows)
{
    const int64_t *lines = r->layout.lines;
    if (!lines) return false;
    const int64_t counted = lines[block + 1] - lines[block];
    return rows == counted || (rows < counted && block == r->layout.n_blocks - 1);
}

/* What the column's type asks for; a run of integers has nothing to keep. */
static csv_keep wanted(const csv_column *c)
{
    static const csv_keep of_type[MILL_N_COLTYPE] = {
        [MILL_INTEGER] = KEEP_INTEGERS, [MILL_REAL] = KEEP_REALS,
        [MILL_BOOLEAN] = KEEP_CODES,    [MILL_CATEGORY] = KEEP_CODES,
        [MILL_DATETIME] = KEEP_DATES,   [MILL_IDENTIFIER] = KEEP_CODES,
    };
    return c->is_run ? KEEP_NOTHING : of_type[c->type];
}

void csv_keep_decide(const csv_reader *r)
{
    bool astray = false;

    for (int t = 0; t < r->threads; t++) astray |= r->thread[t].is_astray;
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        bool misfit = astray || c->keep != wanted(c);
        for (int t = 0; t < r->threads; t++)
            misfit |= r->stats[(int64_t)t * r->n_cols + j].is_misfit;
        if (misfit) csv_keep_drop(r, c);
    }
}

void csv_keep_moved(const csv_reader *r, csv_column *c, const int32_t *moved)
{
    for (int t = 0; t < r->threads; t++)
        for (int32_t k = 0; k < c->code_of[t].n; k++)
            c->code_of[t].code[k] = moved[c->code_of[t].code[k]];
}

void csv_keep_take(mill_column *out, csv_column *c, int64_t rows)
{
    out->i64 = c->kept_i64;
    c->kept_i64 = NULL;
    if (out->valid && c->missing) /* codes tell it themselves */
        for (int64_t i = 0; i < (rows + 7) / 8; i++) out->valid[i] &= (uint8_t)~c->missing[i];
}
