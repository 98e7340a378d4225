/*
 * shards.h - the passes of a training step in parts, dealt to ranks.
 *
 * A pass computes `shards` parts, each from its own rows, and adds up what they leave, gradients
 * and statistics, in one tree (rank.h); the parts of a rank one after the other, and what is
 * complete goes to the other ranks while the last one still runs.  Then each rank updates its slice
 * of the parameters, which the ranks of a host share.  The bits do not depend on the number of
 * ranks where rank_tree_check() says so: a part is a function of its number.
 *
 *     flat_add(..), flat_end_group(f, shards_multiple(group)), ...
 *     shards_open(&s, f, rules, V, group, pool)
 *     graphs of a part: flat_tell(.., s->hook), compiled with shards_places()
 *     each step, each pass, on every rank:
 *         shards_pass(s, first_group, end_group, run, ctx)    now s->tree has the sums of s->slice
 *         shards_update(s, step, rate, factor)
 */
#ifndef MILL_TRAIN_SHARDS_H
#define MILL_TRAIN_SHARDS_H

#include "nn/flat.h"
#include "rank/rank.h"
#include "table/store.h"

enum { SHARDS_LINE = 1024 }; /* floats; slices are whole lines */

/* How the parameters of a group follow their gradients; statistics have no use for it. */
typedef struct {
    mill_adam_opts adam;
    double least, most; /* kept between them; both 0: anything goes */
} shards_rule;

typedef struct {
    const nn_flat *flat; /* borrowed */
    rank_group *group;
    mill_pool *pool;
    rank_buffer *params, *m, *v;
    rank_tree *tree;
    float *left; /* where the graph of a part leaves what it leaves */
    bool owns_left, is_last;
    mill_err told_err; /* of telling a bucket, and its words */
    char told[512];
    flat_hook hook[FLAT_ALL_BUCKETS];
    rank_span slice[FLAT_ALL_BUCKETS]; /* of each bucket, that this rank updates */
    mill_graph *g[FLAT_MAX_GROUPS];    /* the update of a group; NULL for statistics */
    mill_exec *e[FLAT_MAX_GROUPS];
    int first, end; /* groups of the pass */
} train_shards;

int64_t shards_multiple(const rank_group *g); /* for flat_end_group */
/* Collective, like all below but the states.  rule: one for each group.  On error nothing is left.
 */
mill_err shards_open(train_shards *s, const nn_flat *f, const shards_rule *rule, int shards,
                     rank_group *group, mill_pool *pool);
void shards_close(train_shards *s); /* also of zeros */
/* For a graph of a part (is_part), or one that reads the state.  place: 2 * FLAT_MAX_ENTRIES. */
int shards_places(exec_place *place, const train_shards *s, bool is_part);

/* Whether this rank writes the first values of the parameters; the others wait for it. */
bool shards_writes_first(const train_shards *s);
/* Of this rank's slice; all ranks have as many. */
int64_t shards_lines(const train_shards *s, int bucket);

/* run(ctx, part) runs the graph of a part, or shards_skip()s one without rows. */
mill_err shards_pass(train_shards *s, int first, int end, mill_err (*run)(void *ctx, int64_t part),
                     void *ctx);
void shards_skip(train_shards *s);
/*
 * After a pass: its groups by the sum of the parts times `factor`.  `step` counts the updates of a
 * group, as Adam has to know.  All ranks have the new values when it returns.
 */
mill_err shards_update(train_shards *s, int64_t step, double rate, double factor);
/* Of a statistic, on the rank that asks: as the last update left it. */
double shards_value(const train_shards *s, const char *name);

/* The state: parameters, statistics with a memory (rate < 1) and, with `moments`, Adam's. */
mill_err shards_write(const train_shards *s, store_writer *w, const char *prefix, bool moments);
mill_err shards_read(train_shards *s, const store *f); /* all; or nothing is changed */
mill_err shards_sync(train_shards *s);                 /* the state becomes rank 0's */
mill_err shards_collect(train_shards *s);              /* rank 0 may write it */

/* What a rank of so many parts takes beside its graphs, whose plans count the parameters. */
int64_t shards_bytes(const nn_flat *f, int parts);

#endif
