/*
 * layout.c - an exec's memory and tables, all made at compile time.
 *
 * Chunks of a stage are dealt so that each thread's share holds the same part of every visit: the
 * thread then finds the rows that it wrote in the last stage, and goes through one visit after the
 * other, since two visits in turns would push each other's operands out of the cache.  The table
 * depends on the number of threads; the tiles do not.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "exec/inner.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };
static const double SMALL_STAGE_NS =
    2000; /* about what two meetings of two threads cost with their imbalance */

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t node_bytes(const mill_node *node)
{
    return (size_t)mill_elems(&node->shape) * mill_dtype_size(node->dtype);
}

static bool is_kept(const mill_node *node)
{
    return node->kind == MILL_STATE || node->kind == MILL_CONST;
}

/* The state of `share` that stands for this one, or NULL. */
static void *find_shared(const mill_exec *share, const mill_node *node)
{
    const exec_tensor *t =
        share && node->kind == MILL_STATE ? exec_find_state(share, node->name) : NULL;
    return t && t->dtype == node->dtype && mill_shape_equal(&t->shape, &node->shape) ? t->data
                                                                                     : NULL;
}

const exec_place *exec_find_place(const mill_exec *e, const char *name)
{
    for (int i = 0; name && i < e->n_place; i++)
        if (!strcmp(e->place[i].name, name)) return &e->place[i];
    return NULL;
}

/* Memory for this state that is not ours: the caller's, or of `share`; or NULL. */
static void *find_elsewhere(const mill_exec *e, const mill_exec *share, const mill_node *node)
{
    const exec_place *given = node->kind == MILL_STATE ? exec_find_place(e, node->name) : NULL;
    return given ? given->data : find_shared(share, node);
}

static mill_err place_states(mill_exec *e, mill_exec *share)
{
    const mill_plan *p = e->plan;
    size_t bytes = 0;

    for (mill_ref r = 1; r < p->n_nodes; r++) {
        const mill_node *node = mill_get(e->g, r);
        if (p->root[r] != r || !is_kept(node)) continue;
        if (!find_elsewhere(e, share, node)) bytes += align_up(node_bytes(node));
    }
    if (!(e->states = mill_alloc(bytes, 1))) return MILL_ENOMEM;
    e->bytes += bytes;
    size_t at = 0;
    for (mill_ref r = 1; r < p->n_nodes; r++) {
        const mill_node *node = mill_get(e->g, r);
        if (p->root[r] != r || !is_kept(node)) continue;
        e->data[r] = find_elsewhere(e, share, node);
        if (e->data[r]) continue;
        e->data[r] = e->states + at;
        at += align_up(node_bytes(node));
    }
    return MILL_OK;
}

static mill_err check_place(const exec_place *place, const mill_node *node)
{
    if (place->bytes == node_bytes(node) && (uintptr_t)place->data % ALIGN == 0) return MILL_OK;
    return mill_fail(MILL_EINPUT, "exec: \"%s\" takes %zu bytes at a multiple of %d, not %zu",
                     place->name, node_bytes(node), ALIGN, place->bytes);
}

/* Inputs and outputs that the caller has memory for go there, with all that shares theirs. */
static mill_err place_given(mill_exec *e)
{
    const mill_plan *p = e->plan;

    for (int i = 0; i < e->n_place; i++) {
        const exec_place *place = &e->place[i];
        mill_ref r = mill_find_output(e->g, place->name);
        if (!r) r = mill_find_input(e->g, place->name);
        const mill_ref root = r && r < p->n_nodes ? p->root[r] : 0;

        if (!root) continue; /* a state, or nothing of this graph */
        TRY(check_place(place, mill_get(e->g, r)));
        if (is_kept(mill_get(e->g, root)) || p->offset[r] != p->offset[root] ||
            node_bytes(mill_get(e->g, root)) != place->bytes)
            return mill_fail(MILL_EINPUT, "exec: \"%s\" is a part of something else", place->name);
        char *const was = e->data[root];
        if (was < e->arena || was >= e->arena + p->arena_bytes)
            return mill_fail(MILL_EINPUT, "exec: \"%s\" lies in two places", place->name);
        for (mill_ref k = 1; k < p->n_nodes; k++)
            if (p->root[k] == root)
                e->data[k] = (char *)place->data + (p->offset[k] - p->offset[root]);
    }
    return MILL_OK;
}

static mill_err place_tensors(mill_exec *e, mill_exec *share)
{
    const mill_plan *p = e->plan;

    e->data = mill_alloc((size_t)p->n_nodes, sizeof *e->data);
    e->arena = mill_alloc(p->arena_bytes, 1);
    e->scratch = mill_alloc((size_t)e->threads, p->scratch_bytes);
    if (!e->data || !e->arena || !e->scratch) return MILL_ENOMEM;
    e->bytes += p->arena_bytes + (size_t)e->threads * p->scratch_bytes;
    TRY(place_states(e, share));
    for (mill_ref r = 1; r < p->n_nodes; r++) {
        const mill_ref root = p->root[r];
        if (!root || (root == r && is_kept(mill_get(e->g, r)))) continue;
        e->data[r] = is_kept(mill_get(e->g, root))
                         ? (char *)e->data[root] + (p->offset[r] - p->offset[root])
                         : e->arena + p->offset[r];
    }
    return place_given(e);
}

static mill_err make_calls(mill_exec *e)
{
    const mill_plan *p = e->plan;
    const int device = mill_cpu_level() == MILL_V4 ? MILL_CPU_V4 : MILL_CPU_V3;
    const size_t n = (size_t)p->n_order;

    e->call = mill_alloc((size_t)e->threads * n, sizeof *e->call);
    e->kernel = mill_alloc(n, sizeof *e->kernel);
    if (!e->call || !e->kernel) return MILL_ENOMEM;
    e->bytes += (size_t)e->threads * n * sizeof *e->call + n * sizeof *e->kernel;
    for (int32_t k = 0; k < p->n_order; k++) {
        const mill_ref r = p->order[k];
        const mill_node *node = mill_get(e->g, r);
        if (!(e->kernel[k] = node->op->run[device]))
            return mill_fail(MILL_EDEVICE, "exec: operation '%s' has no kernel for level %s",
                             node->op->name, mill_cpu_level_name());
        mill_call c = {.out = e->data[r], .node = node, .seed = e->seed};
        for (int i = 0; i < node->n_src; i++) {
            c.src[i] = e->data[node->src[i]];
            c.src_shape[i] = mill_shape_of(e->g, node->src[i]);
        }
        for (int t = 0; t < e->threads; t++) {
            c.scratch = e->scratch + (size_t)t * p->scratch_bytes;
            e->call[(size_t)t * n + (size_t)k] = c;
        }
    }
    return MILL_OK;
}

/* ---- groups and chunks ---- */

static double stage_cost_ns(const mill_plan *p, int32_t s)
{
    double ns = 0;
    for (int32_t v = 0; v < p->stage[s].n_visits; v++)
        ns += p->visit[p->stage[s].first_visit + v].cost_ns;
    return ns;
}

static int64_t n_tiles(const plan_visit *v)
{
    return (v->split.units + v->split.grain - 1) / v->split.grain;
}

/* Deal a stage's chunks: for each thread, its part of every visit.  A visit of one tile goes to the
 * middle thread. */
static void deal(mill_exec *e, const plan_stage *stage, plan_chunk *to)
{
    const int threads = e->threads;

    for (int t = 0; t < threads; t++)
        for (int32_t v = stage->first_visit; v < stage->first_visit + stage->n_visits; v++) {
            const int64_t n = n_tiles(&e->plan->visit[v]);
            for (int64_t tile = 0; tile < n; tile++)
                if ((2 * tile + 1) * threads / (2 * n) == t) *to++ = (plan_chunk){v, (int32_t)tile};
        }
}

static void deal_in_order(mill_exec *e, const plan_stage *stage, plan_chunk *to)
{
    for (int32_t v = stage->first_visit; v < stage->first_visit + stage->n_visits; v++)
        for (int64_t tile = 0; tile < n_tiles(&e->plan->visit[v]); tile++)
            *to++ = (plan_chunk){v, (int32_t)tile};
}

static mill_err make_groups(mill_exec *e, bool merge)
{
    const mill_plan *p = e->plan;
    int64_t at = 0;

    e->group = mill_alloc((size_t)p->n_stages, sizeof *e->group);
    e->chunk = mill_alloc((size_t)p->n_chunks, sizeof *e->chunk);
    if (!e->group || !e->chunk) return MILL_ENOMEM;
    e->bytes += (size_t)p->n_chunks * sizeof *e->chunk;
    for (int32_t s = 0; s < p->n_stages; s++) {
        const plan_stage *stage = &p->stage[s];
        const bool serial = stage->n_chunks == 1 || stage_cost_ns(p, s) <= SMALL_STAGE_NS;
        exec_group *last = e->n_groups ? &e->group[e->n_groups - 1] : NULL;

        if (serial)
            deal_in_order(e, stage, e->chunk + at);
        else
            deal(e, stage, e->chunk + at);
        if (merge && serial && last && last->serial)
            last->n_chunks += stage->n_chunks;
        else
            e->group[e->n_groups++] = (exec_group){at, stage->n_chunks, serial};
        at += stage->n_chunks;
    }
    return MILL_OK;
}

mill_err exec_layout(mill_exec *e, mill_exec *share)
{
    TRY(place_tensors(e, share));
    TRY(make_calls(e));
    TRY(make_groups(e, !(e->flags & (EXEC_NAN | EXEC_GUARD))));
    if (e->flags & EXEC_PROFILE) {
        e->visit_s = mill_alloc((size_t)e->threads * (size_t)e->plan->n_visits, sizeof *e->visit_s);
        if (!e->visit_s) return MILL_ENOMEM;
    }
    return MILL_OK;
}
