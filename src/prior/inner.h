/*
 * inner.h - what the priors share: an attempt at a data set, its memory, the parts of
 * post-processing.  For this room alone.
 *
 *     prior_place_of  sizes and keys      sizes.c
 *     process         columns and y       v1_*.c, graph_*.c, dummy.c
 *     prior_finish    clamp, standardise, permute, labels, accept test          finish.c
 *     prior_filter    extra trees                                                filter.c
 */
#ifndef MILL_PRIOR_INNER_H
#define MILL_PRIOR_INNER_H

#include "base/level.h"
#include "prior/draw.h"
#include "prior/prior.h"

/*
 * Memory of an attempt: from a stack of blocks, aligned to 64 bytes, contents are anything (what
 * an earlier attempt left: never read before it is written).  NULL with MILL_ENOMEM above the
 * limit.
 */
typedef struct prior_arena prior_arena;
mill_err prior_arena_new(prior_arena **out, int64_t limit_bytes);
void prior_arena_free(prior_arena *a);
void prior_arena_reset(prior_arena *a); /* all is free; one block that holds what was in use */
void *prior_alloc(prior_arena *a, int64_t n, size_t size);

typedef struct {
    int block;
    size_t used;
} prior_mark;
prior_mark prior_arena_mark(const prior_arena *a);
void prior_arena_release(prior_arena *a, prior_mark m); /* free what came after the mark */

/* What block, group and data set fix before the first attempt. */
typedef struct {
    int64_t index;
    uint64_t block, group; /* counted over all data sets */
    uint64_t block_key, group_key, set_key;
    int64_t rows, train_rows;
    int features; /* that the process draws */
    int width;
    int classes;  /* 0: regression */
    double ratio; /* of largest to smallest class that is asked for; 0: none */
    const char *kind;
} prior_place;
void prior_place_of(prior_place *out, const prior_config *c, int64_t index);
int64_t prior_round_to(int64_t n, int64_t k); /* the nearest multiple of k, halves to even ones */
/* The largest sizes that can be drawn: of those with the most columns the most rows, and so on for
 * each step to fewer columns; i counts from 0, false behind the last. */
bool prior_largest(int64_t *rows, int64_t *features, const prior_config *c, int i);

/* Steps of Philox under a key: attempts are 0, 1, ...; what is drawn before them counts from above.
 */
enum { STEP_PLACE = 0x80000000, STEP_PARAMETERS = 0x80000001 };

/*
 * An attempt.  A process reads the first part, fills the second and draws from `draw` alone (and
 * from keys of the place, for what a group or block shares).
 */
typedef struct {
    const prior_config *c;
    prior_place at;
    int attempt;
    prior_draw draw; /* key of the set, step of the attempt */
    prior_arena *arena;
    bool wants_number; /* y: numbers, for regression or to be cut at ranks; else labels */
    bool describe;     /* what functions are made of, too */
    int64_t stride;    /* rows, padded to 16 */

    float *x;             /* (features, stride): column j at x + j * stride, allocated */
    int32_t *levels;      /* (features), allocated and 0 */
    float *y;             /* (stride), allocated */
    int classes;          /* labels are 0 .. classes - 1; begins as at.classes */
    bool is_rejected;     /* set by the process: nothing else counts then */
    prior_reject why;     /* ... */
    mill_text *structure; /* members are appended: ,"key":value */
} prior_try;

/* On an error nothing of the attempt is used. */
typedef mill_err (*prior_process)(prior_try *t);

typedef struct {
    const char *name;
    prior_process make;
    bool is_finished; /* columns are emitted as they are: not clamped, standardised or permuted */
    int64_t (*bytes)(const prior_config *c); /* most that an attempt takes from the arena */
} prior_kind;

const prior_kind *prior_kind_find(const char *name); /* NULL: no such process */

mill_err prior_dummy(prior_try *t);
int64_t prior_dummy_bytes(const prior_config *c);
mill_err prior_mlp_scm(prior_try *t);
mill_err prior_tree_scm(prior_try *t);
int64_t prior_v1_bytes(const prior_config *c);
mill_err prior_graph_scm(prior_try *t);
int64_t prior_graph_bytes(const prior_config *c);

/* What prior_finish() makes of an attempt: the fields of a prior_set. */
typedef struct {
    int features;
    float *x, *y; /* (features, rows), (rows) */
    int32_t *levels;
} prior_done;

/* Clamp, standardise and permute the columns, drop constant ones; labels and stratified split by
 * ratio; the accept test with its row permutations.  t->is_rejected says what came of it. */
mill_err prior_finish(prior_done *out, prior_try *t);

/* Extra trees on what was accepted (c->filter_unpredictable_datasets, remove_trivial_datasets):
 * sets t->is_rejected and t->why. */
mill_err prior_filter(prior_try *t, const prior_done *d);

/* labels.c: y (rows) numbers -> labels 0 .. classes - 1 with geometric shares, largest over
 * smallest `ratio`, permuted; count: (classes) rows of each. */
void prior_shares(int64_t *count, int classes, double ratio, int64_t rows);
mill_err prior_cut_at_ranks(float *y, const int64_t *count, prior_try *t);
/* order (rows): a permutation whose first train_rows rows hold of each class the floor or the
 * ceiling of its share.  At random within a class. */
mill_err prior_stratify(int32_t *order, const float *y, prior_try *t);
/* Training and test rows have the same labels, at least two? */
bool prior_labels_agree(const float *y, int64_t rows, int64_t train_rows, int classes);

/* Level functions of post-processing (cpu/post.c); n >= 2 rows, dst may be src. */
typedef enum { COLUMN_VARIES, COLUMN_CONSTANT, COLUMN_NOT_FINITE } prior_column;
/* x -> (x - mean) / std, clipped to +-100; with clamp, x is first clamped to mean +- 4 std of
 * those rows that lie within mean +- 4 std. */
prior_column prior_post_column(float *dst, const float *src, int64_t n, bool clamp);

MILL_LEVEL_DECLARE(int, prior_post, (float *dst, const float *src, int64_t n, bool clamp));

#endif
