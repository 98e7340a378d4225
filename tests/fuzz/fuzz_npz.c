/* fuzz_npz.c - any bytes as .npy and as .npz: a table or a refusal. */
#include "fuzz/fuzz_file.h"

#include "base/err.h"
#include "base/mem.h"
#include "table/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    mill_table *t = NULL;
    mill_mem_stats stats;

    const char *path = fuzz_path(data, n);
    const mill_err err = n && data[0] == 'P' ? npz_read(&t, path, NULL) : npy_read(&t, path, NULL);
    MUST(!err == !!t);
    if (err) MUST(*mill_error());
    for (int j = 0; t && j < t->n_cols; j++) {
        double sum = 0; /* touches every value */
        for (int64_t i = 0; i < t->rows; i++) sum += column_f64(&t->col[j], i);
        (void)sum;
    }
    mill_table_free(t);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
