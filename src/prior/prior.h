/*
 * prior.h - synthetic data sets for pre-training tabular in-context models.
 *
 *     config + index -> sizes (of the index's block and group) -> attempts at a structural causal
 *     model -> post-processing -> accept test -> filter -> one data set
 *
 * Data set i is a function of (config, i) alone: the same bytes from any worker, in any order, on
 * every processor level.  What the official generator draws once per batch is drawn per block of
 * `batch_size` data sets from (seed, i / batch_size), what it draws once per group from (seed,
 * i / batch_size_per_gp within the block); both sizes belong to the configuration.
 *
 * The process is that of TabICL: v1 (mlp_scm, tree_scm and their mixture) as in Qu et al.,
 * arXiv 2502.05564, and release 0.1.4 or 2.2.0; v2 (graph_scm) as in arXiv 2602.11139 and 2.2.0.
 */
#ifndef MILL_PRIOR_PRIOR_H
#define MILL_PRIOR_PRIOR_H

#include "base/option.h"
#include "base/text.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The options of options.def: every one of them is part of what a data set is a function of. */
typedef struct {
#define OPT MILL_FIELD
#include "prior/options.def"
#undef OPT
    uint64_t seed;
} prior_config;

prior_config prior_config_default(void);
/* One option by its long name (- and _ are alike; also "seed"), checked against its range; text is
 * borrowed.  MILL_EINPUT names the option, and *c is then as it was. */
mill_err prior_config_set(prior_config *c, const char *name, const char *value);
/* The priors that it is an option of ("mlp_scm mix_scm", "all"); NULL: no such option. */
const char *prior_option_who(const char *name);
/* "v1-stage1", ..., "v2-reg-stage3": sets the options that the recipe names (config.c),
 * leaves the others.  MILL_EINPUT lists the names. */
mill_err prior_recipe(prior_config *c, const char *name);
/* Ranges that are empty, more classes than rows, an unknown name: MILL_EINPUT, says what to do. */
mill_err prior_config_check(const prior_config *c);
/* Everything that the bytes depend on, keys by long name; and back (text borrowed from o). */
mill_err prior_config_json(json_t **out, const prior_config *c);
mill_err prior_config_read(prior_config *c, const json_t *o);
/* Most bytes that making one data set may take, before anything is allocated; what decides it is
 * the largest rows x columns that the configuration can draw. */
int64_t prior_config_memory(const prior_config *c);
/* The most rows, columns (max-features, and above 65,000 rows 10) and rows x columns of these. */
int64_t prior_most_rows(const prior_config *c);
int64_t prior_most_width(const prior_config *c);
int64_t prior_most_cells(const prior_config *c);

/* What is wrong with an attempt. */
typedef enum {
    PRIOR_REJECT_EMPTY,   /* a number that is not finite, or no column with two values */
    PRIOR_REJECT_LABELS,  /* training and test rows never have the same classes, at least two */
    PRIOR_REJECT_FILTER,  /* extra trees learn nothing */
    PRIOR_REJECT_TRIVIAL, /* or everything */
    PRIOR_N_REJECT
} prior_reject;

/* One data set, borrowed from its maker until the maker's next call. */
typedef struct {
    int64_t index;
    int64_t rows, train_rows; /* the first train_rows are for training */
    int features;             /* columns left after the accept test */
    int width;                /* columns that the official files pad to (zeros) */
    int classes;              /* labels are 0 .. classes - 1, gaps possible in v2; 0: regression */
    bool categorical_y;       /* regression is false */
    float *x;                 /* (features, rows): column j at x + j * rows */
    float *y;                 /* (rows) */
    int32_t *levels;          /* (features) 0: numeric, else how many levels it was drawn with */
    double imbalance;         /* largest class over smallest that occurs; 0: regression */
    int attempts;             /* at the structure, this one included */
    int rejected[PRIOR_N_REJECT]; /* of them, by prior_reject */
    const char *kind;             /* "mlp_scm", "tree_scm", "graph_scm", "dummy" */
    const char *structure;        /* one JSON object: hyper-parameters, layers or graph */
    size_t structure_len;
} prior_set;

/* A maker belongs to one thread.  It owns an arena that grows to what its largest data set took.
 * The configuration is copied; its texts are borrowed. */
typedef struct prior_maker prior_maker;
mill_err prior_maker_new(prior_maker **out, const prior_config *c);
void prior_maker_free(prior_maker *m);
/*
 * MILL_EINPUT after max-attempts attempts without an accepted one, naming index and reasons;
 * MILL_ENOMEM above prior_config_memory().  `describe` adds what functions are made of and which
 * columns were taken, and changes no byte of x and y.
 */
mill_err prior_make(prior_set *out, prior_maker *m, int64_t index, bool describe);

#endif
