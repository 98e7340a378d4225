/*
 * csv_read.c - mill_table_read_csv: open, infer, decide, fill (csv_reader.h).
 */
#include "table/csv_reader.h"

#include "base/mem.h"

mill_err csv_read_source(mill_table **out, source *in, const csv_options *o, mill_pool *pool)
{
    static const csv_options defaults = {.header = -1};
    csv_reader r = {.o = o ? o : &defaults, .src = *in, .pool = pool};
    mill_table *t = NULL;

    *in = (source){0};
    mill_err err = csv_reader_open(&r);
    if (!err) err = csv_reader_types(&r);
    if (!err) err = csv_infer(&r);
    if (!err) err = csv_decide(&r);
    if (!err) err = csv_allocate(&r, &t);
    if (!err) err = csv_fill(&r, t);
    if (!err) err = csv_match_booleans(&r, t);
    if (err)
        mill_table_free(t);
    else
        *out = t;
    csv_reader_close(&r);
    return err;
}

mill_err mill_table_read_csv(mill_table **out, const char *path, const csv_options *o,
                             mill_pool *pool)
{
    source in;

    TRY(source_open(&in, path, o ? o->spool_dir : NULL));
    return csv_read_source(out, &in, o, pool);
}
