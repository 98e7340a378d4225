/*
 * fuzz_model.c - any bytes as a model: opened, eight rows drawn, closed.  The checksum of the file
 * is made right, so that what is in the header reaches the readers of schema and method; tensors
 * keep their own checksums, as a reader would find them.
 */
#include "fuzz/fuzz_file.h"

#include "base/cpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "synth/synth.h"

#include <string.h>

static void draw(synth_model *m)
{
    synth_sampler *s = NULL;
    mill_table *t = NULL;

    if (synth_sampler_open(&s, m, 1, NULL, 0)) {
        MUST(*mill_error());
        return;
    }
    if (synth_sampler_next(s, &t, 8))
        MUST(*mill_error());
    else
        MUST(t->rows == 8 && t->n_cols == m->schema->n);
    mill_table_free(t);
    synth_sampler_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char file[1 << 18];
    synth_model *m = NULL;
    mill_mem_stats stats;

    if (n < 24 || n > sizeof file) return -1;
    MUST(mill_cpu_init() == MILL_OK);
    memcpy(file, data, n);
    const uint32_t crc = mill_crc32c(0, file, n - 8);
    memcpy(file + n - 8, &crc, sizeof crc);

    const mill_err err = synth_model_open(&m, fuzz_path(file, n), NULL);
    MUST(!err == !!m);
    if (err) MUST(*mill_error());
    if (m) draw(m);
    synth_model_close(m);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
