/*
 * print.c - a plan in words: one line a node, under its visit and stage.
 *
 *     stage 3, 16 chunks
 *       visit 8 x 64 rows
 *         12 = linear(4 1 2) (500, 256) at 65536, alive 3..5
 */
#include "base/text.h"
#include "graph/inner.h"

static void add_node(mill_text *t, const mill_plan *p, const mill_graph *g, mill_ref r)
{
    const mill_node *node = mill_get(g, r);
    char shape[64];

    text_add(t, "    %d = %s(", r, node->op->name);
    for (int i = 0; i < node->n_src; i++) text_add(t, i ? " %d" : "%d", node->src[i]);
    text_add(t, ") %s%s at %lld", mill_shape_text(shape, &node->shape), node->bf16 ? " bf16" : "",
             (long long)p->offset[r]);
    if (p->root[r] != r)
        text_add(t, " in %d", p->root[r]);
    else
        text_add(t, ", alive %d..%d", p->stage_of[r], p->last_of[r]);
    if (node->segment) text_add(t, ", segment %d", node->segment);
    text_add(t, "\n");
}

mill_err mill_plan_print(char **text, const mill_plan *p, const mill_graph *g)
{
    mill_text t = {0};

    text_add(&t, "%d operations, %d visits, %d stages; arena %zu, states %zu, scratch %zu bytes\n",
             p->n_order, p->n_visits, p->n_stages, p->arena_bytes, p->state_bytes,
             p->scratch_bytes);
    for (int32_t s = 0; s < p->n_stages; s++) {
        const plan_stage *stage = &p->stage[s];
        text_add(&t, "stage %d, %lld chunks\n", s, (long long)stage->n_chunks);
        for (int32_t v = stage->first_visit; v < stage->first_visit + stage->n_visits; v++) {
            const plan_visit *visit = &p->visit[v];
            text_add(&t, "  visit of %lld %s by %lld, about %.0f us\n",
                     (long long)visit->split.units, visit->split.by_rows ? "rows" : "units",
                     (long long)visit->split.grain, visit->cost_ns * 1e-3);
            for (int32_t k = visit->first; k < visit->first + visit->n; k++)
                add_node(&t, p, g, p->order[k]);
        }
    }
    const mill_err err = text_check(&t);
    if (err)
        text_free(&t);
    else
        *text = t.s;
    return err;
}
