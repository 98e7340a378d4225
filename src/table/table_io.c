/*
 * table_io.c - a table from and to whatever the file's name says: .npy, .npz, else CSV.
 */
#include "table/csv.h"
#include "table/csv_write.h"
#include "table/npy.h"

#include <string.h>

bool mill_table_is_array(const char *path)
{
    return path_has_suffix(path, ".npy") || path_has_suffix(path, ".npz");
}

mill_err mill_table_read(mill_table **out, const char *path, const csv_options *o, mill_pool *pool)
{
    if (path_has_suffix(path, ".parquet"))
        return mill_fail(MILL_EINPUT, "%s: Parquet is not read yet; CSV, .npy and .npz are", path);
    if (path_has_suffix(path, ".npy")) return npy_read(out, path, o);
    if (path_has_suffix(path, ".npz")) return npz_read(out, path, o);
    return mill_table_read_csv(out, path, o, pool);
}

static mill_err write_csv(const mill_table *t, const char *path, bool force, mill_pool *pool)
{
    csv_writer *w;

    TRY(csv_writer_open(&w, path, force, 0, pool));
    mill_err err = csv_writer_add(w, t);
    if (!err) err = csv_writer_commit(w);
    csv_writer_close(w);
    return err;
}

mill_err mill_table_write(const mill_table *t, const char *path, bool force, mill_pool *pool)
{
    if (path_has_suffix(path, ".parquet"))
        return mill_fail(MILL_EINPUT, "%s: Parquet is not written yet; CSV, .npy and .npz are",
                         path);
    if (path_has_suffix(path, ".npy")) return npy_write(t, path, force);
    if (path_has_suffix(path, ".npz")) return npz_write(t, path, force);
    return write_csv(t, path, force, pool);
}
