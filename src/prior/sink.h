/*
 * sink.h - where finished data sets go: the formats, one file each (shard.c, pt.c, flat.c).
 *
 * Work is dealt in units of consecutive data sets.  How many make a unit is a function of the
 * format and the configuration alone, and unit u holds data sets u * size .. (u + 1) * size - 1 of
 * all that there could be, so that the same unit has the same bytes whoever makes it and however
 * many are asked for; only the first and the last unit of a run may be cut.
 *
 *     shards   shard_%06u.mill, all of a unit in one mappable file
 *     pt       batch_%06u.pt, a block of --batch-size as the official loader reads it, and its
 *              lines
 *     npy      episode_%06i_X.npy, _y.npy for each data set (ids from 1), and the unit's lines
 *
 * "Lines": index/..._%06u.jsonl, for what these formats have no place for: one JSON object a data
 * set (prior_line).  A unit counts when it is complete; until then its files are not listed
 * anywhere and are made again.
 */
#ifndef MILL_PRIOR_SINK_H
#define MILL_PRIOR_SINK_H

#include "base/file.h"
#include "prior/prior.h"

/* What a unit became; the same for the same unit of the same configuration. */
typedef struct {
    int64_t unit, first, count; /* data sets first .. first + count - 1 */
    int64_t bytes;              /* of its files together */
    uint32_t crc;               /* crc32c of these, one behind the other, each without its `tail` */
    int64_t rows, cells;        /* sums: rows, rows * features */
    int64_t attempts, rejected[PRIOR_N_REJECT];
} prior_unit;

typedef struct prior_sink prior_sink;

typedef struct {
    const char *name; /* as --format has it */
    int tail; /* bytes at the end of a file that hold its own checksum: with them, all have one */
    int64_t (*unit_size)(const prior_config *c);
    /* Bytes that a worker holds beside the maker, at most. */
    int64_t (*memory)(const prior_config *c);
    mill_err (*begin)(prior_sink *s);
    mill_err (*add)(prior_sink *s, const prior_set *set);
    mill_err (*end)(prior_sink *s); /* fills bytes and crc of s->unit; all files have their names */
    void (*abandon)(prior_sink *s); /* of a unit, at any time: no file of it stays half written */
    /* Path of the k-th file of a unit, false behind the last; for checking and resuming. */
    bool (*path)(char *path, const prior_sink *s, const prior_unit *u, int64_t k);
} prior_format;

extern const prior_format prior_shards, prior_pt, prior_npy;
const prior_format *prior_format_find(const char *name); /* NULL: none of that name */

enum { PRIOR_PATH = 4096 };

/* One worker's way out; `state` belongs to the format. */
struct prior_sink {
    const prior_format *format;
    const prior_config *config;
    json_t *config_json;
    const char *dir;
    bool csv;     /* npy: CSV files too */
    bool folders; /* npy: a folder for each 10,000 */
    prior_unit unit;
    void *state;
};

mill_err prior_sink_open(prior_sink *s, const prior_format *f, const prior_config *c,
                         const char *dir); /* borrows c and dir */
void prior_sink_close(prior_sink *s);
/* A unit: begin, one add for each data set in order, then end, or abandon at any time. */
mill_err prior_sink_begin(prior_sink *s, int64_t unit, int64_t first, int64_t count);
mill_err prior_sink_add(prior_sink *s, const prior_set *set);
mill_err prior_sink_end(prior_sink *s);
void prior_sink_abandon(prior_sink *s);

/* DIR/NAME, or MILL_EINPUT. */
mill_err prior_path(char path[PRIOR_PATH], const char *dir, const char *name);
/* One JSON object, without a newline: everything of a data set but x and y. */
void prior_line(mill_text *t, const prior_set *set);
/* Writes (rows, features) from (features, rows), a block of rows at a time: out gets n rows of
 * `width` floats, zeros behind the features. */
void prior_fill_rows(float *out, const prior_set *set, int64_t first_row, int64_t n, int width);
/* Data sets of a pt file, or of an index piece of it: whether rows may differ in it. */
static inline bool prior_is_nested(const prior_config *c)
{
    return c->seq_len_per_gp;
}
/* Room for what is written of a data set beside x, y and levels; about twice what was seen at most.
 */
int64_t prior_text_bytes(const prior_config *c);

#endif
