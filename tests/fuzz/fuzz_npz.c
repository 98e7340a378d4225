/*
 * fuzz_npz.c - any bytes as .npy and as .npz: a table or a refusal.  A zip's checksums and sizes
 * are made right, so that what was changed in an entry reaches the reader of arrays.
 */
#include "fuzz/fuzz_file.h"

#include "base/err.h"
#include "base/mem.h"
#include "table/npy.h"

#include <string.h>
#include <zlib.h>

enum { MOST = 1 << 16, LOCAL = 30, CENTRAL = 46 };

static uint32_t get(const uint8_t *p, int n)
{
    uint32_t x = 0;
    while (n--) x = x << 8 | p[n];
    return x;
}

static void put(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}

/* Size and CRC of an entry's bytes, as they are or inflated. */
static bool measure(uint32_t *size, uint32_t *crc, const uint8_t *p, uint32_t n, uint32_t method)
{
    static uint8_t out[MOST];
    z_stream z = {.next_in = (Bytef *)p, .avail_in = n, .next_out = out, .avail_out = MOST};

    if (method == 0) {
        *size = n;
        *crc = (uint32_t)crc32(0, p, n);
        return true;
    }
    if (method != 8 || inflateInit2(&z, -15) != Z_OK) return false;
    const int end = inflate(&z, Z_FINISH);
    *size = (uint32_t)z.total_out;
    inflateEnd(&z);
    *crc = (uint32_t)crc32(0, out, *size);
    return end == Z_STREAM_END;
}

/* APPNOTE 4.3.7 and 4.3.12: CRC at 14 (16), sizes behind it, the local header's place at 42. */
static void repair(uint8_t *zip, size_t n)
{
    for (size_t c = 0; c + CENTRAL <= n; c++) {
        uint8_t *central = zip + c;
        if (memcmp(central, "PK\1\2", 4) != 0) continue;
        const uint32_t at = get(central + 42, 4), bytes = get(central + 20, 4);
        uint32_t size, crc;
        if (at > n || n - at < LOCAL || memcmp(zip + at, "PK\3\4", 4) != 0) continue;
        const size_t data = at + LOCAL + get(zip + at + 26, 2) + get(zip + at + 28, 2);
        if (data > n || bytes > n - data) continue;
        if (!measure(&size, &crc, zip + data, bytes, get(central + 10, 2))) continue;
        put(central + 16, crc), put(central + 24, size);
        put(zip + at + 14, crc), put(zip + at + 18, bytes), put(zip + at + 22, size);
    }
}

/* Read once more with the first column as a category: each of its numbers as a text. */
static void check_discrete(const char *path, bool is_zip, const mill_table *t)
{
    const char *const first[] = {t->col[0].name, NULL};
    const csv_options o = {.header = -1, .discrete = first};
    mill_table *again = NULL;

    MUST(!(is_zip ? npz_read(&again, path, &o) : npy_read(&again, path, &o)));
    MUST(again->rows == t->rows && again->n_cols == t->n_cols && column_has_codes(&again->col[0]));
    MUST(again->col[0].n_missing == t->col[0].n_missing);
    mill_table_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t zip[MOST];
    mill_table *t = NULL;
    mill_mem_stats stats;
    const bool is_zip = n && data[0] == 'P';

    if (n > sizeof zip) return -1;
    if (n) memcpy(zip, data, n);
    if (is_zip) repair(zip, n);
    const char *path = fuzz_path(zip, n);
    const mill_err err = is_zip ? npz_read(&t, path, NULL) : npy_read(&t, path, NULL);
    MUST(!err == !!t);
    if (err) MUST(*mill_error());
    for (int j = 0; t && j < t->n_cols; j++) {
        double sum = 0; /* touches every value */
        for (int64_t i = 0; i < t->rows; i++) sum += column_f64(&t->col[j], i);
        (void)sum;
    }
    if (t) check_discrete(path, is_zip, t);
    mill_table_free(t);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
