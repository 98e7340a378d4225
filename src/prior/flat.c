/*
 * flat.c - episode_%06i_X.npy and _y.npy: a pair of files for each data set, ids from 1.
 *
 *     X   (rows, features) float32, C order, no padding
 *     y   (rows) int64; regression: float32
 *     with --save-csv  _X.csv (%.6f) and _y.csv (%d; regression %.6f), without a header
 *
 * A run of more than 100,000 data sets has them in folders of 10,000: 0000 holds ids 1 to 10,000.
 * The files are not synced one by one, which would take longer than making them: the run syncs all
 * in the end, and one that goes on after the machine was started anew reads them before it trusts
 * them (folder.c).
 */
#include "prior/lines.h"
#include "prior/sink.h"

#include "base/mem.h"
#include "table/npy.h"

#include <stdio.h>
#include <string.h>

enum { UNIT = 100, FOLDER = 10000, ROWS_AT_ONCE = 64, NUMBER = 40 };

typedef struct {
    mill_text lines;
    float *block;   /* ROWS_AT_ONCE rows */
    int64_t *label; /* ROWS_AT_ONCE */
    char *text;     /* a row as CSV */
} flat_writer;

static int64_t flat_size(const prior_config *c)
{
    (void)c;
    return UNIT;
}

static int64_t flat_memory(const prior_config *c)
{
    const int64_t width = prior_most_width(c);

    return ROWS_AT_ONCE * (width * 4 + 8) + (width + 1) * NUMBER +
           (width * 4 + prior_text_bytes(c)) * 2 * UNIT;
}

/* DIR[/FOLDER]/episode_ID_WHAT */
static bool episode_path(char *path, const prior_sink *s, int64_t id, const char *what)
{
    char folder[24] = "";

    if (s->folders) snprintf(folder, sizeof folder, "%04lld/", (long long)((id - 1) / FOLDER));
    return snprintf(path, PRIOR_PATH, "%s/%sepisode_%06lld_%s", s->dir, folder, (long long)id,
                    what) < PRIOR_PATH;
}

static bool flat_path(char *path, const prior_sink *s, const prior_unit *u, int64_t k)
{
    static const char *const what[] = {"X.npy", "y.npy", "X.csv", "y.csv"};
    const int64_t each = s->csv ? 4 : 2;

    if (k == each * u->count) return !lines_path(path, s, "episodes", u->unit);
    return k < each * u->count && episode_path(path, s, u->first + k / each + 1, what[k % each]);
}

static mill_err begin(prior_sink *s)
{
    const size_t width = (size_t)prior_most_width(s->config);
    char path[PRIOR_PATH];
    flat_writer *w = s->state = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    if (!episode_path(path, s, s->unit.first + 1, "X.npy"))
        return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", s->dir);
    w->block = mill_alloc(width * ROWS_AT_ONCE, sizeof *w->block);
    w->label = mill_alloc(ROWS_AT_ONCE, sizeof *w->label);
    w->text = mill_alloc((width + 1) * NUMBER, 1);
    if (!w->block || !w->label || !w->text) return MILL_ENOMEM;
    if (!s->folders) return MILL_OK;
    *strrchr(path, '/') = 0; /* a unit lies in one folder */
    return file_mkdir(path);
}

static mill_err put(prior_sink *s, mill_file *f, const void *p, size_t n)
{
    s->unit.crc = mill_crc32c(s->unit.crc, p, n);
    s->unit.bytes += (int64_t)n;
    return file_write(f, p, n);
}

static mill_err write_x(prior_sink *s, mill_file *f, const prior_set *set)
{
    const flat_writer *w = s->state;
    char header[256];

    TRY(put(s, f, header, npy_header(header, "<f4", set->rows, set->features)));
    for (int64_t i = 0; i < set->rows; i += ROWS_AT_ONCE) {
        const int64_t n = set->rows - i < ROWS_AT_ONCE ? set->rows - i : ROWS_AT_ONCE;
        prior_fill_rows(w->block, set, i, n, set->features);
        TRY(put(s, f, w->block, (size_t)(n * set->features) * sizeof *w->block));
    }
    return MILL_OK;
}

static mill_err write_y(prior_sink *s, mill_file *f, const prior_set *set)
{
    const flat_writer *w = s->state;
    char header[256];

    TRY(put(s, f, header, npy_header(header, set->categorical_y ? "<i8" : "<f4", set->rows, -1)));
    if (!set->categorical_y) return put(s, f, set->y, (size_t)set->rows * sizeof *set->y);
    for (int64_t i = 0; i < set->rows; i += ROWS_AT_ONCE) {
        const int64_t n = set->rows - i < ROWS_AT_ONCE ? set->rows - i : ROWS_AT_ONCE;
        for (int64_t k = 0; k < n; k++) w->label[k] = (int64_t)set->y[i + k];
        TRY(put(s, f, w->label, (size_t)n * sizeof *w->label));
    }
    return MILL_OK;
}

static int put_fixed(char *at, float x)
{
    return mill_format_fixed(at, (double)x, 6);
}

static mill_err write_x_csv(prior_sink *s, mill_file *f, const prior_set *set)
{
    const flat_writer *w = s->state;

    for (int64_t i = 0; i < set->rows; i++) {
        char *at = w->text;
        for (int j = 0; j < set->features; j++) {
            at += put_fixed(at, set->x[j * set->rows + i]);
            *at++ = j + 1 < set->features ? ',' : '\n';
        }
        TRY(put(s, f, w->text, (size_t)(at - w->text)));
    }
    return MILL_OK;
}

static mill_err write_y_csv(prior_sink *s, mill_file *f, const prior_set *set)
{
    char line[NUMBER + 1];

    for (int64_t i = 0; i < set->rows; i++) {
        int n = set->categorical_y ? mill_format_i64(line, (int64_t)set->y[i])
                                   : put_fixed(line, set->y[i]);
        line[n++] = '\n';
        TRY(put(s, f, line, (size_t)n));
    }
    return MILL_OK;
}

static mill_err write_file(prior_sink *s, const prior_set *set, const char *what,
                           mill_err (*write)(prior_sink *, mill_file *, const prior_set *))
{
    char path[PRIOR_PATH];
    mill_file *f;

    if (!episode_path(path, s, set->index + 1, what))
        return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", s->dir);
    TRY(file_create_atomic(&f, path));
    mill_err err = write(s, f, set);
    if (!err) err = file_publish(f);
    file_close(f);
    return err;
}

static mill_err add(prior_sink *s, const prior_set *set)
{
    flat_writer *w = s->state;

    lines_add(&w->lines, set);
    TRY(write_file(s, set, "X.npy", write_x));
    TRY(write_file(s, set, "y.npy", write_y));
    if (!s->csv) return MILL_OK;
    TRY(write_file(s, set, "X.csv", write_x_csv));
    return write_file(s, set, "y.csv", write_y_csv);
}

static mill_err end(prior_sink *s)
{
    const flat_writer *w = s->state;

    return lines_write(s, &w->lines, "episodes");
}

static void abandon(prior_sink *s)
{
    flat_writer *w = s->state;

    text_free(&w->lines);
    mill_free(w->block);
    mill_free(w->label);
    mill_free(w->text);
}

const prior_format prior_npy = {
    .name = "npy",
    .unit_size = flat_size,
    .memory = flat_memory,
    .begin = begin,
    .add = add,
    .end = end,
    .abandon = abandon,
    .path = flat_path,
};
