/*
 * flat.h - many tensors as one array: what several ranks add up, each updating its slice.
 *
 * Entries lie one behind the other, each at a multiple of 16 floats; a gradient and Adam's moments
 * lie where their parameter does, in arrays of their own.  Entries form groups, by what becomes of
 * them and when.  A group is cut into buckets of a multiple of so many floats; a bucket is complete
 * when the last node that leaves something in it has run, which is told in the middle of the
 * backward pass.  What lies between entries is zero.
 */
#ifndef MILL_NN_FLAT_H
#define MILL_NN_FLAT_H

#include "exec/exec.h"
#include "nn/param.h"

enum {
    FLAT_MAX_ENTRIES = 2 * NN_MAX_PARAMS + 48,
    FLAT_MAX_GROUPS = 4,
    FLAT_MAX_BUCKETS = 16, /* of a group */
    FLAT_BUCKET = 1 << 20, /* floats of a bucket, where that makes few enough */
    FLAT_ALL_BUCKETS = FLAT_MAX_BUCKETS * FLAT_MAX_GROUPS
};

typedef struct {
    char name[NN_MAX_NAME];     /* of the parameter, or of a statistic */
    char grad[NN_MAX_NAME + 8]; /* of the output that is its gradient */
    mill_shape shape;
    int64_t at, count;
    int group;
    double rate; /* 0: a parameter.  Else a statistic: value += rate (mean over parts - value) */
    bool is_one; /* a statistic that begins with ones, not zeros */
} flat_entry;

typedef struct {
    int n;
    flat_entry entry[FLAT_MAX_ENTRIES];
    int n_groups; /* entries behind the last group are no one's: they lie there and stay */
    int first_bucket[FLAT_MAX_GROUPS + 1]; /* group k has first_bucket[k] .. [k + 1] - 1 */
    int n_buckets;
    int64_t bucket[FLAT_ALL_BUCKETS + 1]; /* bucket b: floats bucket[b] .. bucket[b + 1] - 1 */
    int64_t all;                          /* floats */
    bool is_full;                         /* too many entries: flat_end_group fails */
} nn_flat;

/* Into the group that is open, which is the first at first.  *f begins as zeros. */
flat_entry *flat_add(nn_flat *f, const char *name, const mill_shape *shape);
/* Closes the group; each of its buckets is a multiple of `multiple` floats. */
mill_err flat_end_group(nn_flat *f, int64_t multiple);

/* Called when a bucket is complete; one for each. */
typedef struct {
    void (*ready)(void *ctx, int bucket);
    void *ctx;
    int bucket;
} flat_hook;

/* What a graph leaves: the node of each entry, or 0. */
typedef struct {
    mill_ref ref[FLAT_MAX_ENTRIES];
} flat_left;

/* The gradient of `loss` by each entry of a group that is a parameter of p: outputs by their names
 * in the layout. */
mill_err flat_gradients(flat_left *left, const nn_flat *f, const nn_params *p, mill_ref loss);
/* Output `name` (a scalar, say) lies in the array as well. */
void flat_output(flat_left *left, const nn_flat *f, mill_graph *g, const char *name, mill_ref r);
/* A state of this name, now r, does. */
void flat_state(flat_left *left, const nn_flat *f, const char *name, mill_ref r);
/*
 * A node that calls the hook of each bucket of groups first .. end - 1 as soon as it is complete:
 * on any thread of the pool, but one at a time, from the last bucket to the first.  `hook`, one for
 * each bucket of the layout, or NULL, is borrowed until the graph is freed.
 */
void flat_tell(mill_graph *g, const nn_flat *f, int first, int end, const flat_left *left,
               const flat_hook *hook);

/*
 * Where everything lies, for exec_options.place: parameters at `params`; gradients, and statistics
 * of a graph that makes them, at `left` (NULL: the statistics are read, and lie at `params` too).
 * place: 2 f->n; returns how many.
 */
int flat_places(exec_place *place, const nn_flat *f, float *params, bool fill, float *left);

#endif
