/*
 * synth.h - fit a synthesizer to a table, keep it in one file, draw rows from it.
 *
 *     table -> schema (columns as the user sees them) -> method's own encoding -> training job
 *           -> model
 *     model + seed + conditions -> rows i, i+1, ...   row i never depends on batch or thread
 */
#ifndef MILL_SYNTH_SYNTH_H
#define MILL_SYNTH_SYNTH_H

#include "base/option.h"
#include "base/pool.h"
#include "rank/rank.h"
#include "table/store.h"
#include "table/table.h"
#include "train/job.h"

/* The options of options.def. DIMS are text; option_dims() reads them. */
typedef struct {
#define OPT MILL_FIELD
#include "synth/options.def"
#undef OPT
    const char *method; /* "mixture", ... never "auto" here */
    uint64_t seed;
} synth_config;

synth_config synth_config_default(void);
/*
 * One option by its long name ("batch-size" or "batch_size"; also "method" and "seed"), checked
 * against its range; text values are borrowed.  MILL_EINPUT names the option, and *c is then as it
 * was.
 */
mill_err synth_config_set(synth_config *c, const char *name, const char *value);
/* MILL_EINPUT if the method's options do not go together, as a batch that is no multiple of pac. */
mill_err synth_config_check(const synth_config *c);
/* MILL_EINPUT if the method does not use the option. */
mill_err synth_option_check(const char *name, const char *method);
/* The largest number of ranks up to n that can share the steps of a fit by these options. */
int synth_most_ranks(const synth_config *c, const char *method, int n);
/*
 * When method and options are known.  A probe takes a mixture about as long as one of its steps,
 * of which there are few: it has none unless probe-every, early-stop or holdout-fraction was given.
 */
void synth_config_settle(synth_config *c, bool probe_is_given);
/* All options as one object, keys by long name, with method and seed. */
mill_err synth_config_json(json_t **out, const synth_config *c);
/* "auto" -> a method and one line that says why; any other name must exist. */
mill_err synth_choose(const char **method, char why[256], const char *name, const mill_table *t);

/*
 * The columns as the user sees them: what decoding and the file need.  Copied from the table; no
 * rows.
 */
typedef struct {
    char *name;
    mill_coltype type;
    int decimals;
    char *format;
    double least, most; /* of present values; numbers and datetimes */
    int64_t n_missing;
    int64_t n_different; /* of numbers, up to 32,769; of a fitted schema alone */
    int32_t n_values, *offset;
    char *text;      /* dictionary; empty for identifiers */
    int64_t *count;  /* per dictionary value, or NULL */
    char *id_prefix; /* IDENTIFIER: made anew as prefix + number (of id_digits digits, 0 = no
                        padding) */
    int id_digits;
    int64_t id_first;
    double id_bytes; /* of the text of one, on average; of a fitted schema alone */
} synth_column;

typedef struct {
    int64_t rows;
    int n;
    synth_column *col;
} synth_schema;

mill_err synth_schema_fit(synth_schema **out, const mill_table *t, const synth_config *c);
void synth_schema_free(synth_schema *s);
int64_t synth_table_bytes(const synth_schema *s, int64_t rows); /* of a table of so many rows */
/* Of making `coded` bytes out of a table; where rows are withheld, out of a copy of it. */
int64_t synth_coding_bytes(const synth_schema *s, const synth_config *c, int64_t coded);
mill_err synth_schema_write(const synth_schema *s, store_writer *w, json_t *meta);
mill_err synth_schema_read(synth_schema **out, const store *s);
/* An empty table with the schema's columns and dictionaries, room for n rows. */
mill_err synth_schema_table(mill_table **out, const synth_schema *s, int64_t n);
/* Number -> cell: clip to [least, most], round to the column's decimals or integer, store in its
 * type. */
void synth_put_number(mill_column *c, const synth_column *s, int64_t row, double x);
/* All identifier columns of t get the identifiers of rows first, first + 1, ...: new, unique, never
 * a training value. */
mill_err synth_put_ids(mill_table *t, const synth_schema *s, int64_t first);
/*
 * What each code of a table's column is in the schema's dictionary: (*map)[code], -1 where the
 * schema does not have the value (trimmed, or never seen).  n_values of the table's column entries
 * and at least one; mill_free.
 */
mill_err synth_code_map(int32_t **map, const synth_column *s, const mill_column *c);

/*
 * A condition: COLUMN=VALUE, COLUMN>=X, COLUMN<=X, COLUMN<X, COLUMN>X, COLUMN!=VALUE; several are
 * all to hold. An empty VALUE means missing.
 */
typedef enum { WHERE_EQ, WHERE_NE, WHERE_LT, WHERE_LE, WHERE_GT, WHERE_GE } where_op;
typedef struct {
    int col;
    where_op op;
    bool missing;
    int32_t code;  /* columns with codes */
    double number; /* numbers and datetimes */
} synth_where;
/* MILL_EINPUT names what is wrong, and for an unknown value the nearest known ones. */
mill_err synth_where_parse(synth_where *out, const synth_schema *s, const char *text);
bool synth_where_holds(const synth_where *w, const mill_table *t, int64_t row);

/* A method: one row of synth_methods[]. */
typedef struct {
    const char *name, *about;
    mill_err (*check)(const synth_config *c); /* synth_config_check; NULL: any options do */
    /* Training. `fit` owns everything it needs of the table when fit_open returns (codes,
     * transforms), so the table can go. */
    mill_err (*fit_open)(void **fit, const mill_table *t, const synth_schema *s,
                         const synth_config *c, mill_pool *pool);
    void (*fit_job)(train_job *job, void *fit);
    mill_err (*fit_write)(void *fit, store_writer *w,
                          json_t *meta); /* the model's tensors; borrowed until written */
    void (*fit_close)(void *fit);
    /* Before the first step, on every rank: from now on the ranks of g do each step of the job
     * together.  The result has the same bytes for any number of them (ctgan, tvae: for 1, 2, 4,
     * ... up to virtual_shards, which must be set).  The group is borrowed. */
    mill_err (*fit_share)(void *fit, rank_group *g);
    /* On every rank: the state becomes rank 0's; and rank 0 gets what it is to save (NULL: it has
     * it). */
    mill_err (*fit_sync)(void *fit);
    mill_err (*fit_collect)(void *fit);
    /* Bytes that fit and sampling will take for this shape, without allocating; the table itself
     * and the batch that is written are not in it (synth_table_bytes). */
    mill_err (*estimate)(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *c, int threads);
    /* The model. */
    mill_err (*model_open)(void **model, const store *s, const synth_schema *schema,
                           mill_pool *pool);
    void (*model_close)(void *model);
    /* Which conditions it meets itself (bit i of the result): the others are met by rejection. */
    unsigned (*native)(const void *model, const synth_where *w, int n);
    bool guided; /* `sample` is shown all conditions, to make rows that meet them likelier */
    /* Fill rows [0, n) of `out` with rows first .. first+n-1 of the sequence of (model, seed,
     * native conditions; where `guided`, all conditions). */
    mill_err (*sample)(void *model, mill_table *out, int64_t first, int64_t n, uint64_t seed,
                       const synth_where *w, int n_where);
    /* Log-likelihood of each row (nats; out[i]); NULL where the model has none. */
    mill_err (*score)(void *model, double *out, const mill_table *t);
} synth_method;

extern const synth_method synth_mixture, synth_independent, synth_ctgan, synth_tvae;
/* All methods that there are, in the order in which help shows them; NULL behind the last. */
extern const synth_method *const synth_methods[];
const synth_method *synth_method_find(const char *name); /* NULL if unknown */

/* A model file, opened: schema, method, and the method's model. */
typedef struct {
    store *file;
    synth_schema *schema;
    const synth_method *method;
    void *model;
    mill_pool *pool;
} synth_model;
mill_err synth_model_open(synth_model **out, const char *path, mill_pool *pool);
void synth_model_close(synth_model *m);
/* Writes schema, options and the method's tensors; atomic; no time, path, host or thread count in
 * it. */
mill_err synth_model_write(const char *path, const synth_method *method, void *fit,
                           const synth_schema *s, const synth_config *c);

/* Draws rows in batches: native conditions, the rest by rejection with its acceptance rate;
 * MILL_EINPUT below 1e-4. */
typedef struct synth_sampler synth_sampler;
mill_err synth_sampler_open(synth_sampler **out, synth_model *m, uint64_t seed,
                            const synth_where *w, int n_where);
mill_err synth_sampler_next(synth_sampler *s, mill_table **batch,
                            int64_t n); /* exactly n rows; free the table */
/*
 * For rows that are drawn by several: of the candidates first .. first + n - 1 those that meet the
 * conditions, in order, identifiers not made yet; at[i] (n; else NULL): which of the n row i was. A
 * sampler that rejects is asked for SYNTH_BLOCK at a time, and told in order how many of a block
 * were looked at and kept; it fails as it would have alone, unless these are enough.
 */
enum { SYNTH_BLOCK = 16384 };
bool synth_sampler_rejects(const synth_sampler *s);
mill_err synth_sampler_candidates(synth_sampler *s, mill_table **out, int32_t *at, int64_t first,
                                  int64_t n);
mill_err synth_sampler_count(synth_sampler *s, int64_t seen, int64_t kept, bool is_enough);
double synth_sampler_acceptance(const synth_sampler *s); /* 1 where nothing is rejected */
void synth_sampler_close(synth_sampler *s);

#endif
