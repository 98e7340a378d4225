/* graph_options.c - what the words of graph_scm's options mean; config.c has checked them. */
#include "prior/graph_inner.h"

#include <string.h>

const char *const graph_func_name[FUNC_N] = {"mlp",  "tree", "disc", "lin",
                                             "quad", "gp",   "em",   "prod"};
const char *const graph_cat_name[CAT_N] = {
    "neighbor_id", "neighbor_disc", "neighbor_func", "neighbor_int",
    "softmax_id",  "softmax_disc",  "softmax_int",
};

static bool is_word(const char *name, const char *s, size_t n)
{
    return strlen(name) == n && !strncmp(name, s, n);
}

static void add_functions(scm *s, const char *word, size_t len)
{
    const int all = is_word("default", word, len)    ? FUNC_N
                    : is_word("tabpfnv2", word, len) ? FUNC_lin /* mlp, tree, disc */
                                                     : 0;

    for (int k = 0; k < FUNC_N && s->n_functions < FUNC_LIST; k++)
        if (k < all || is_word(graph_func_name[k], word, len))
            s->functions[s->n_functions++] = (func_kind)k;
}

static void add_cat_modes(scm *s, const char *word)
{
    const bool group = !strcmp(word, "neighbor") || !strcmp(word, "softmax");

    for (int k = 0; k < CAT_N; k++) {
        const char *const name = graph_cat_name[k];
        if (!strcmp(word, "default") || !strcmp(word, name) ||
            (group && !strncmp(word, name, strlen(word))))
            s->cat_modes[s->n_cat_modes++] = (cat_mode)k;
    }
}

mill_err graph_options(scm *s)
{
    const prior_config *c = s->c;

    for (const char *word = c->fct_types;; word++) {
        const size_t len = strcspn(word, ",");
        add_functions(s, word, len);
        word += len;
        if (!*word) break;
    }
    add_cat_modes(s, c->cat_modes);
    if (!s->n_functions || s->n_functions == FUNC_LIST || !s->n_cat_modes)
        return mill_fail(MILL_EINPUT, "fct-types: from one function to %d", FUNC_LIST - 1);
    s->mode = !strcmp(c->meta_sampling_mode, "meta")    ? MODE_META
              : !strcmp(c->meta_sampling_mode, "local") ? MODE_LOCAL
                                                        : MODE_GLOBAL;
    s->gaussian_matrices = !strcmp(c->random_matrix_types, "gaussian");
    s->uniform_weights = !strcmp(c->random_weights_types, "uniform");
    return MILL_OK;
}
