/*
 * sizes.c - rows, training rows, features and classes of a data set: what its block and its group
 * fix, and what is its own.
 *
 *     block   rows and training rows (unless they are drawn per group); the classes of a dummy
 *     group   rows and training rows with seq-len-per-gp; the number of features; mlp or tree
 *     set     the number of classes, the imbalance ratio
 *
 * Where the official code would loop for ever or raise: equal bounds mean that value; training
 * rows are kept within 1 .. rows - 1, with classes within 2 .. rows - 2.
 *
 * Where rows are drawn per group there are fewer columns above 10,240 rows, in steps; the last
 * step's 10 are the most even where max-features is less, as in the official code.
 */
#include "prior/inner.h"

#include "base/vmath.h"

#include <string.h>

static int64_t clamp(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* int(log-uniform), a > 0 */
static int64_t log_int(prior_draw *d, int64_t a, int64_t b)
{
    return clamp((int64_t)draw_log_between(d, (double)a, (double)b), a, b);
}

/* a .. b - 1, or a where they are equal */
static int64_t half_open(prior_draw *d, int64_t a, int64_t b)
{
    return a < b ? draw_int(d, a, b - 1) : a;
}

static int64_t draw_rows(prior_draw *d, const prior_config *c, bool scm)
{
    const double p = draw_u01(d); /* drawn always: the rest does not move with the option */

    if (!c->min_seq) return c->max_seq;
    if (scm && c->replay_small && p < 0.05) return half_open(d, 200, 1000);
    if (scm && c->replay_small && p < 0.3) return log_int(d, 1000, 10000);
    return c->log_seq ? log_int(d, c->min_seq, c->max_seq) : half_open(d, c->min_seq, c->max_seq);
}

static int64_t draw_train_rows(prior_draw *d, const prior_config *c, int64_t rows)
{
    if (c->max_train_size < 1)
        return (int64_t)((double)rows * draw_between(d, c->min_train_size, c->max_train_size));
    return half_open(d, (int64_t)c->min_train_size, (int64_t)c->max_train_size);
}

int64_t prior_round_to(int64_t n, int64_t k)
{
    return k > 1 ? k * (int64_t)rint((double)n / (double)k) : n; /* halves to even */
}

static void draw_sizes(prior_place *p, prior_draw *d, const prior_config *c, bool scm)
{
    const int64_t least = c->regression ? 1 : 2;

    p->rows = draw_rows(d, c, scm);
    p->train_rows = draw_train_rows(d, c, p->rows);
    if (scm) {
        p->rows = prior_round_to(p->rows, c->seq_lens_multiple_of);
        p->train_rows = prior_round_to(p->train_rows, c->seq_lens_multiple_of);
    }
    p->rows = p->rows < 2 * least ? 2 * least : p->rows;
    p->train_rows = clamp(p->train_rows, least, p->rows - least);
}

static bool is_dummy(const prior_config *c)
{
    return !strcmp(c->prior, "dummy");
}

static bool is_per_group(const prior_config *c)
{
    return c->seq_len_per_gp && !is_dummy(c);
}

enum { N_STEPS = 8 };
static const struct {
    int64_t rows, features; /* at most */
} step[N_STEPS] = {{10240, INT32_MAX}, {20000, 80}, {30000, 60}, {40000, 40},
                   {50000, 30},        {60000, 20}, {65000, 15}, {INT64_MAX, 10}};

static int64_t step_features(const prior_config *c, int i)
{
    return i == N_STEPS - 1 ? step[i].features : clamp(step[i].features, 1, c->max_features);
}

/* Most features with so many rows. */
static int64_t most_features(const prior_config *c, int64_t rows)
{
    const bool capped = strcmp(c->prior, "graph_scm") != 0 && !strcmp(c->compat, "0.1.4");
    int i = 0;

    while (rows > step[i].rows) i++;
    return step_features(c, i) > 100 && capped ? 100 : step_features(c, i);
}

static int draw_features(prior_draw *d, const prior_config *c, int64_t most)
{
    const int64_t least = c->min_features < most ? c->min_features : most;

    if (c->log_n_features) return (int)log_int(d, least, most);
    return (int)clamp((int64_t)rint(draw_between(d, (double)least, (double)most)), least, most);
}

static int draw_classes(prior_draw *d, const prior_config *c, bool halves)
{
    const bool binary = draw_flip(d, 0.5);
    const int classes = (int)draw_int(d, c->min_classes, c->max_classes);

    if (c->regression) return 0;
    return halves && c->binary_half && binary ? 2 : classes;
}

void prior_place_of(prior_place *out, const prior_config *c, int64_t index)
{
    const uint64_t i = (uint64_t)index, batch = (uint64_t)c->batch_size;
    const uint64_t group = (uint64_t)c->batch_size_per_gp;
    const uint64_t groups = (batch + group - 1) / group; /* of a block */
    const bool dummy = is_dummy(c), graph = !strcmp(c->prior, "graph_scm");
    prior_place p = {.index = index, .block = i / batch};

    p.group = p.block * groups + i % batch / group;
    p.block_key = prior_key(c->seed, PRIOR_KEY_BLOCK, p.block);
    p.group_key = prior_key(c->seed, PRIOR_KEY_GROUP, p.group);
    p.set_key = prior_key(c->seed, PRIOR_KEY_SET, i);

    const bool per_group = is_per_group(c);
    prior_draw of_block = draw_init(p.block_key, STEP_PLACE);
    prior_draw of_group = draw_init(p.group_key, STEP_PLACE);
    prior_draw of_set = draw_init(p.set_key, STEP_PLACE);

    const bool tree = draw_flip(&of_group, 0.3);
    draw_sizes(&p, per_group ? &of_group : &of_block, c, !dummy);
    p.width = (int)(per_group ? most_features(c, p.rows) : c->max_features);
    p.features = dummy ? p.width : draw_features(&of_group, c, p.width);
    p.classes = draw_classes(dummy ? &of_block : &of_set, c, !dummy && !graph);
    p.kind = strcmp(c->prior, "mix_scm") ? c->prior : tree ? "tree_scm" : "mlp_scm";
    if (c->min_imbalance_ratio > 0)
        p.ratio = draw_between(&of_set, c->min_imbalance_ratio, c->max_imbalance_ratio);
    *out = p;
}

/* ---- bounds ---- */

int64_t prior_most_rows(const prior_config *c)
{
    const int64_t most = c->replay_small && c->min_seq && c->max_seq < 10000 ? 10000 : c->max_seq;

    return most + c->seq_lens_multiple_of; /* rounded, up at most by that */
}

bool prior_largest(int64_t *rows, int64_t *features, const prior_config *c, int i)
{
    const int64_t most = prior_most_rows(c);

    if (i == N_STEPS || (i && (!is_per_group(c) || most <= step[i - 1].rows))) return false;
    *rows = most;
    *features = c->max_features;
    if (!is_per_group(c)) return true;
    if (step[i].rows < most) *rows = step[i].rows + c->seq_lens_multiple_of;
    *features = step_features(c, i);
    return true;
}

int64_t prior_most_width(const prior_config *c)
{
    int64_t rows, features, most = 0;

    for (int i = 0; prior_largest(&rows, &features, c, i); i++)
        if (features > most) most = features;
    return most;
}

int64_t prior_most_cells(const prior_config *c)
{
    int64_t rows, features, most = 0;

    for (int i = 0; prior_largest(&rows, &features, c, i); i++)
        if (rows * features > most) most = rows * features;
    return most;
}
