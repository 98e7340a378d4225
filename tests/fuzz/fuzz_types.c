/* fuzz_types.c - any bytes as a types file (JSON) for a small table, which is then written by it.
 */
#include "fuzz/fuzz_file.h"

#include "base/cpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "table/csv.h"

#include <string.h>
#include <unistd.h>

static const char table[] =
    "id,age,when,city,at,zone\n1,30,2020-01-02,Rome,05 Mar 2021 10:11,2020-01-01T10:00:00+02:00\n"
    "2,,2021-05-06,\"a,b\",28 February 99,2021-01-01T10:00:00Z\n"
    "3,41,2019-12-31,Rome,1/2/1903,2019-06-30 23:59\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char path[40];
    static int fd = -1; /* in memory: nothing is left */
    csv_options o = CSV_DEFAULTS;
    mill_table *t = NULL;
    mill_mem_stats stats;

    if (fd < 0) {
        fd = memfd_create("table", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        MUST(fd >= 0 && write(fd, table, sizeof table - 1) == (ssize_t)sizeof table - 1);
    }
    MUST(mill_cpu_init() == MILL_OK);
    o.types = fuzz_path(data, n);
    const mill_err err = mill_table_read_csv(&t, path, &o, NULL);
    MUST(!err == !!t);
    if (err)
        MUST(*mill_error());
    else
        MUST(t->rows == 3 && t->n_cols == 6 && !mill_table_write(t, "/dev/null", true, NULL));
    mill_table_free(t);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
