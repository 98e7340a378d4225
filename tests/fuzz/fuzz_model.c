/*
 * fuzz_model.c - any bytes as a model: opened, eight rows drawn, closed.
 *
 * A .mill file has a checksum of each tensor in its header and one of the whole at its end.  They
 * are made right before the file is opened, and mutations keep header and tensors where they are:
 * what is in both then reaches the readers of schema and method.
 */
#include "fuzz/fuzz_file.h"

#include "base/cpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "synth/synth.h"

#include <string.h>

enum { HEAD = 16, TAIL = 8, MOST = 1 << 18 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Bytes of header text; 0 if this has not the shape of a .mill file. */
static size_t header_bytes(const uint8_t *data, size_t n)
{
    uint64_t h;

    if (n < HEAD + TAIL + 64 || n > MOST || memcmp(data, "TABMILL1", 8) != 0) return 0;
    memcpy(&h, data + 8, sizeof h);
    return h <= n - HEAD - TAIL ? (size_t)h : 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static uint8_t part[MOST];
    const size_t h = header_bytes(data, size);

    if (!h || seed % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
    uint8_t *at = data + (seed % 2 ? HEAD : HEAD + h);
    const size_t room = seed % 2 ? h : size - TAIL - HEAD - h;
    const uint8_t fill = seed % 2 ? ' ' : 0;
    size_t n = room;
    while (n && at[n - 1] == fill) n--;
    memcpy(part, at, n);
    n = room ? LLVMFuzzerMutate(part, n, room) : 0;
    memcpy(at, part, n);
    memset(at + n, fill, room - n);
    return size;
}

/* The header's text with right checksums, if it still fits into its place. */
static void repair_tensors(char *file, size_t n, size_t h)
{
    static char was[MOST + 1], text[MOST + 128];
    char *to = text;
    const char *from = was, *end = was + h, *key;

    memcpy(was, file + HEAD, h);
    was[h] = 0; /* numbers end there */
    while ((key = memmem(from, (size_t)(end - from), "\"bytes\":", 8))) {
        unsigned long long bytes, crc, offset;
        int crc_at = 0, crc_end = 0;
        if ((size_t)(to - text) + (size_t)(key - from) > h) return;
        memcpy(to, from, (size_t)(key - from));
        to += key - from;
        from = key;
        if (sscanf(key,
                   "\"bytes\":%llu,\"crc32c\":%n%llu%n,\"dtype\":\"%*[A-Z0-9]\",\"offset\":%llu",
                   &bytes, &crc_at, &crc, &crc_end, &offset) == 3 &&
            offset <= n - TAIL && bytes <= n - TAIL - offset) {
            memcpy(to, key, (size_t)crc_at);
            to += crc_at;
            to += sprintf(to, "%u", mill_crc32c(0, file + offset, bytes));
            from = key + crc_end;
        } else {
            *to++ = *from++;
        }
    }
    while (end > from && end[-1] == ' ') end--;
    if ((size_t)(to - text) + (size_t)(end - from) > h) return;
    memcpy(to, from, (size_t)(end - from));
    to += end - from;
    memset(file + HEAD, ' ', h);
    memcpy(file + HEAD, text, (size_t)(to - text));
}

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
    static char file[MOST];
    synth_model *m = NULL;
    mill_mem_stats stats;

    if (n < 24 || n > sizeof file) return -1;
    MUST(mill_cpu_init() == MILL_OK);
    memcpy(file, data, n);
    if (header_bytes(data, n)) repair_tensors(file, n, header_bytes(data, n));
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
