/*
 * config.c - configurations: the recipes, and what must go together.
 *
 * Recipes are those with which TabICL's models were trained (the papers in prior.h); they set what
 * decides the data sets, never the seed.
 */
#include "prior/inner.h"

#include "base/option.h"

#include <string.h>

typedef struct {
    const char *name, *prior;
    bool regression, replay;
    int batch, group;
    int features, rows_least, rows_most; /* least features; rows_least 0: always rows_most */
    double train_least, train_most;
} recipe;

static const recipe recipes[] = {
    {"v1-stage1", "mix_scm", false, false, 512, 4, 2, 0, 1024, .1, .9},
    {"v1-stage2", "mix_scm", false, false, 512, 2, 2, 1000, 40000, .5, .9},
    {"v1-stage3", "mix_scm", false, true, 512, 1, 2, 40000, 60000, .5, .9},
    {"v2-clf-stage1", "graph_scm", false, false, 64, 4, 1, 0, 1024, .3, .9},
    {"v2-clf-stage2", "graph_scm", false, false, 64, 1, 1, 400, 10240, .79, .81},
    {"v2-clf-stage3", "graph_scm", false, false, 64, 1, 1, 400, 60000, .79, .81},
    {"v2-reg-stage1", "graph_scm", true, false, 64, 4, 1, 0, 1024, .3, .9},
    {"v2-reg-stage2", "graph_scm", true, false, 64, 1, 1, 400, 10240, .79, .81},
    {"v2-reg-stage3", "graph_scm", true, false, 64, 1, 1, 400, 60000, .79, .81},
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

mill_err prior_recipe(prior_config *c, const char *name)
{
    const recipe *r = NULL;
    mill_text known = {0};

    for (int i = 0; i < N_RECIPES; i++) {
        if (!strcmp(recipes[i].name, name)) r = &recipes[i];
        text_add(&known, "%s%s", i ? ", " : "", recipes[i].name);
    }
    if (!r) {
        const mill_err err = mill_fail(MILL_EINPUT, "there is no recipe \"%s\"; there are %s", name,
                                       known.s ? known.s : "");
        text_free(&known);
        return err;
    }
    text_free(&known);

    const bool v2 = !strcmp(r->prior, "graph_scm");
    c->prior = r->prior;
    c->regression = r->regression;
    c->batch_size = r->batch;
    c->batch_size_per_gp = r->group;
    c->min_features = r->features;
    c->max_features = 100;
    c->min_seq = r->rows_least;
    c->max_seq = r->rows_most;
    c->log_seq = c->seq_len_per_gp = r->rows_least > 0;
    c->replay_small = r->replay;
    c->min_train_size = r->train_least;
    c->max_train_size = r->train_most;
    c->min_classes = 2;
    c->max_classes = 10;
    c->filter_unpredictable_datasets = c->filter_unpredictable_graphs = v2;
    return MILL_OK;
}

/* Is text one of the words of a list like "meta local global"? */
static mill_err check_word(const char *option, const char *text, const char *words)
{
    if (option_is_for(words, text) && !strchr(text, ' ')) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: \"%s\" is none of: %s", option, text, words);
}

static mill_err check_functions(const char *list)
{
    for (const char *s = list;;) {
        char word[16];
        const size_t n = strcspn(s, ",");
        if (n >= sizeof word) return check_word("fct-types", list, "mlp tree disc ...");
        memcpy(word, s, n);
        word[n] = 0;
        TRY(check_word("fct-types", word, "default tabpfnv2 mlp tree disc lin quad gp em prod"));
        if (!s[n]) return MILL_OK;
        s += n + 1;
    }
}

static mill_err check_words(const prior_config *c)
{
    static const char *const choice = "drawn yes no";

    TRY(check_word("prior", c->prior, "mix_scm mlp_scm tree_scm graph_scm dummy"));
    TRY(check_word("compat", c->compat, "0.1.4 2.2.0"));
    TRY(check_word("is-causal", c->is_causal, choice));
    TRY(check_word("y-is-effect", c->y_is_effect, choice));
    TRY(check_word("in-clique", c->in_clique, choice));
    TRY(check_word("sort-features", c->sort_features, choice));
    TRY(check_word("pre-sample-noise-std", c->pre_sample_noise_std, choice));
    TRY(check_word("assigner-type", c->assigner_type, "drawn rank value"));
    TRY(check_word("meta-sampling-mode", c->meta_sampling_mode, "meta local global"));
    TRY(check_word("random-matrix-types", c->random_matrix_types, "default gaussian"));
    TRY(check_word("multi-fct-types", c->multi_fct_types, "default concat agg"));
    TRY(check_word("random-weights-types", c->random_weights_types, "simple uniform"));
    TRY(check_word("cat-modes", c->cat_modes,
                   "default neighbor softmax neighbor_id neighbor_disc neighbor_func neighbor_int "
                   "softmax_id softmax_disc softmax_int"));
    return check_functions(c->fct_types);
}

static mill_err check_order(const char *name, double least, double most)
{
    if (least <= most) return MILL_OK;
    char a[40], b[40];
    mill_format_f64(a, least);
    mill_format_f64(b, most);
    return mill_fail(MILL_EINPUT, "min-%s is %s, above max-%s %s", name, a, name, b);
}

/* Fewest rows that can be drawn. */
static mill_err fewest_rows(int64_t *rows, const prior_config *c)
{
    const bool scm = strcmp(c->prior, "dummy") != 0;
    int64_t least = c->min_seq ? c->min_seq : c->max_seq;

    if (scm && c->replay_small && c->min_seq && least > 200) least = 200;
    *rows = scm ? prior_round_to(least, c->seq_lens_multiple_of) : least;
    if (*rows >= 2) return MILL_OK;
    if (*rows == least) return mill_fail(MILL_EINPUT, "a data set has at least two rows");
    return mill_fail(MILL_EINPUT, "seq-lens-multiple-of %lld leaves %lld of %lld rows",
                     (long long)c->seq_lens_multiple_of, (long long)*rows, (long long)least);
}

static mill_err check_train_sizes(const prior_config *c, int64_t rows)
{
    const double least = c->min_train_size, most = c->max_train_size;

    TRY(check_order("train-size", least, most));
    if ((least < 1) != (most < 1))
        return mill_fail(MILL_EINPUT, "min-train-size and max-train-size: both shares below 1, or "
                                      "both numbers of rows");
    if (most < 1) return MILL_OK;
    if (least != (double)(int64_t)least || most != (double)(int64_t)most)
        return mill_fail(MILL_EINPUT, "train sizes from 1 up are whole numbers of rows");
    if ((int64_t)most >= rows)
        return mill_fail(MILL_EINPUT,
                         "max-train-size %lld leaves no test row of %lld; take fewer, or a share",
                         (long long)most, (long long)rows);
    return MILL_OK;
}

/* Each class among the training rows, and among the test rows. */
static mill_err check_split(const prior_config *c, int64_t rows)
{
    const double least = c->min_train_size, most = c->max_train_size;
    const int64_t train = (int64_t)(least < 1 ? least * (double)rows : least),
                  test = rows - (int64_t)(most < 1 ? most * (double)rows : most);

    if (train >= c->max_classes && test >= c->max_classes) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%lld %s rows of %lld are fewer than %lld classes; take another share, fewer "
                     "classes or more rows",
                     (long long)(train < c->max_classes ? train : test),
                     train < c->max_classes ? "training" : "test", (long long)rows,
                     (long long)c->max_classes);
}

static mill_err check_imbalance(const prior_config *c, int64_t rows)
{
    const double least = c->min_imbalance_ratio, most = c->max_imbalance_ratio;
    int64_t count[1000];

    if (least == 0 && most == 0) return MILL_OK;
    if (c->regression)
        return mill_fail(MILL_EINPUT, "imbalance ratios are of classes: not with regression");
    if (least < 1 || most < 1)
        return mill_fail(MILL_EINPUT, "imbalance ratios are from 1 up: give both min and max");
    TRY(check_order("imbalance-ratio", least, most));
    TRY(check_split(c, rows));
    prior_shares(count, (int)c->max_classes, most, rows);
    if (count[c->max_classes - 1] < 2)
        return mill_fail(MILL_EINPUT,
                         "a ratio of %g with %lld classes leaves the smallest fewer than two of "
                         "%lld rows; take a smaller ratio, fewer classes or more rows",
                         most, (long long)c->max_classes, (long long)rows);
    return MILL_OK;
}

mill_err prior_config_check(const prior_config *c)
{
    TRY(check_words(c));
    if (option_is_for(prior_option_who("min-features"), c->prior))
        TRY(check_order("features", (double)c->min_features, (double)c->max_features));
    TRY(check_order("seq", (double)c->min_seq, (double)c->max_seq));
    TRY(check_order("classes", (double)c->min_classes, (double)c->max_classes));
    TRY(check_order("n-nodes", (double)c->min_n_nodes, (double)c->max_n_nodes));

    if (c->num_layers == 1) return mill_fail(MILL_EINPUT, "num-layers: 0, drawn, or from 2 up");

    int64_t rows;
    TRY(fewest_rows(&rows, c));
    if (!c->regression && rows < 4)
        return mill_fail(MILL_EINPUT, "two classes among training and test rows take 4 rows");
    if (!c->regression && c->max_classes > rows)
        return mill_fail(MILL_EINPUT, "%lld classes are more than %lld rows; lower max-classes",
                         (long long)c->max_classes, (long long)rows);
    TRY(check_train_sizes(c, rows));
    return check_imbalance(c, rows);
}

int64_t prior_config_memory(const prior_config *c)
{
    const prior_kind *kind = prior_kind_find(c->prior);

    return kind ? kind->bytes(c) : 0;
}
