/*
 * fuzz_store.c - any bytes as a .mill file.  What does not begin with the magic is taken as a
 * header and tensor bytes, with the checksum of the file made right, so that the fuzzer gets behind
 * it.
 */
#include "fuzz/fuzz_file.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "table/store.h"

#include <string.h>

static const char *path_of(const uint8_t *data, size_t n)
{
    if (n >= 8 && !memcmp(data, "TABMILL1", 8)) return fuzz_path(data, n);

    char file[4096] = "TABMILL1";
    const uint64_t h = 16 + 64 * (n / 128) + 32; /* 16 + h is a multiple of 64 */
    if (n > 3000) n = 3000;
    memcpy(file + 8, &h, sizeof h);
    memcpy(file + 16, data, n);
    size_t end = 16 + n < 16 + h ? 16 + h : 16 + n;
    if (end > sizeof file - 8) end = sizeof file - 8;
    for (size_t i = 16 + n; i < end; i++) file[i] = ' ';
    const uint32_t crc = mill_crc32c(0, file, end);
    memcpy(file + end, &crc, sizeof crc);
    memcpy(file + end + 4, "LLIM", 4); /* NOLINT(bugprone-not-null-terminated-result): bytes */
    return fuzz_path(file, end + 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    store *s = NULL;
    char hex[33];
    mill_mem_stats stats;

    const mill_err err = store_open(&s, path_of(data, n));
    MUST(!err == !!s);
    if (err) MUST(*mill_error());
    for (int i = 0; s && i < store_n_tensors(s); i++) {
        const store_tensor *t = store_tensor_at(s, i);
        unsigned sum = 0; /* every byte is there */
        for (size_t k = 0; k < t->bytes; k++) sum += ((const unsigned char *)t->data)[k];
        MUST(store_find(s, t->name) == t && sum < UINT32_MAX);
    }
    if (s) MUST(store_hash(hex, s) == MILL_OK);
    store_close(s);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
