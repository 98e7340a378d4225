/* methods.c - the synthesizers that there are, and which one "auto" takes. */
#include "synth/synth.h"

#include <stdio.h>
#include <string.h>

const synth_method *const synth_methods[] = {&synth_mixture, &synth_ctgan, &synth_tvae,
                                             &synth_independent, NULL};

const synth_method *synth_method_find(const char *name)
{
    for (int i = 0; synth_methods[i]; i++) {
        if (!strcmp(synth_methods[i]->name, name)) return synth_methods[i];
    }
    return NULL;
}

/*
 * With one column there is nothing to relate, and a mixture would only spend its time: independent.
 * Everything else goes to the mixture.
 */
mill_err synth_choose(const char **method, char why[256], const char *name, const mill_table *t)
{
    int learnt = 0;

    if (strcmp(name, "auto") != 0) {
        const synth_method *m = synth_method_find(name);
        if (!m) {
            char known[128] = "auto";
            for (int i = 0; synth_methods[i]; i++) {
                strncat(known, ", ", sizeof known - strlen(known) - 1);
                strncat(known, synth_methods[i]->name, sizeof known - strlen(known) - 1);
            }
            return mill_fail(MILL_EINPUT, "there is no method \"%s\"; there are: %s", name, known);
        }
        *method = m->name;
        snprintf(why, 256, "%s: as asked", m->name);
        return MILL_OK;
    }
    for (int j = 0; j < t->n_cols; j++) learnt += t->col[j].type != MILL_IDENTIFIER;
    *method = learnt > 1 ? synth_mixture.name : synth_independent.name;
    snprintf(why, 256,
             learnt > 1 ? "mixture: the default" : "independent: there is %s to learn from",
             learnt ? "one column" : "no column");
    return MILL_OK;
}

mill_err synth_config_check(const synth_config *c)
{
    const synth_method *m = synth_method_find(c->method);
    return m && m->check ? m->check(c) : MILL_OK;
}

int synth_most_ranks(const synth_config *c, const char *method, int n)
{
    const bool packs = !strcmp(method, synth_ctgan.name);
    const int64_t unit = !packs ? 1 : c->pac > 1 ? c->pac : 2;

    if (!packs && strcmp(method, synth_tvae.name) != 0) return n;
    while (n > 1 && (c->virtual_shards ? rank_tree_check((int)c->virtual_shards, n) != MILL_OK
                                       : c->batch_size % (n * unit) != 0))
        n--;
    return n;
}
