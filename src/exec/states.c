/*
 * states.c - values that are there before the first run, and tensors by name.
 *
 * First values of a state:
 *
 *     uniform   scale (2 u - 1)           normal   scale quantile(u)
 *     u = word i % 4 of philox(seed, stream = 2^31 | hash of the name, step 0, index i / 4)
 *
 * so that they depend on the seed, the name and the element, and on nothing else.  Nodes that draw
 * numbers have streams below 2^31. Normal values use the quantile in single precision in every
 * build.
 */
#include "base/mem.h"
#include "base/philox.h"
#include "base/vmath.h"
#include "exec/inner.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t name_stream(const char *name) /* FNV-1a */
{
    uint32_t h = 2166136261u;
    for (const char *c = name; *c; c++) h = (h ^ (uint8_t)*c) * 16777619u;
    return h | 0x80000000u;
}

static double draw(mill_init_kind kind, uint32_t bits)
{
    const float u = mill_u01(bits);
    return kind == INIT_NORMAL ? (double)mill_quantilef(u) : 2 * (double)u - 1;
}

static void put(void *data, mill_dtype dtype, int64_t i, double x)
{
    if (dtype == MILL_T_REAL)
        ((real *)data)[i] = (real)x;
    else if (dtype == MILL_T_F64)
        ((double *)data)[i] = x;
    else
        ((int32_t *)data)[i] = (int32_t)x;
}

static void fill_state(void *data, const mill_node *node, mill_init init, uint64_t seed)
{
    const int64_t n = mill_elems(&node->shape);
    const uint32_t stream = name_stream(node->name);
    uint32_t word[4];

    if (init.kind == INIT_ZERO) memset(data, 0, (size_t)n * mill_dtype_size(node->dtype));
    if (init.kind == INIT_ZERO) return;
    for (int64_t i = 0; i < n; i++) {
        if (init.kind == INIT_ONE || init.kind == INIT_VALUE) {
            put(data, node->dtype, i, init.kind == INIT_ONE ? 1 : init.scale);
            continue;
        }
        if (i % 4 == 0) mill_philox(word, seed, 0, stream, (uint64_t)i / 4);
        put(data, node->dtype, i, init.scale * draw(init.kind, word[i % 4]));
    }
}

exec_tensor exec_tensor_of(const mill_exec *e, mill_ref r, const char *name)
{
    const mill_node *node = mill_get(e->g, r);
    const size_t bytes = (size_t)mill_elems(&node->shape) * mill_dtype_size(node->dtype);
    return (exec_tensor){name, node->dtype, node->shape, e->data[r], bytes};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const exec_tensor *)a)->name, ((const exec_tensor *)b)->name);
}

const exec_tensor *exec_find_state(const mill_exec *e, const char *name)
{
    const exec_tensor key = {.name = name};
    if (!e->n_states) return NULL;
    return bsearch(&key, e->state, (size_t)e->n_states, sizeof key, by_name);
}

mill_err exec_states(mill_exec *e, mill_exec *share)
{
    int n = 0;
    for (mill_ref r = 1; r < e->plan->n_nodes; r++) n += mill_get(e->g, r)->kind == MILL_STATE;
    if (!(e->state = mill_alloc((size_t)n, sizeof *e->state))) return MILL_ENOMEM;

    for (mill_ref r = 1; r < e->plan->n_nodes; r++) {
        const mill_node *node = mill_get(e->g, r);
        if (e->plan->root[r] != r) continue;
        if (node->kind == MILL_CONST && node->data)
            memcpy(e->data[r], node->data, exec_tensor_of(e, r, NULL).bytes);
        if (node->kind != MILL_STATE) continue;
        e->state[e->n_states++] = exec_tensor_of(e, r, node->name);
        const exec_place *given = exec_find_place(e, node->name);
        if (given &&
            (given->bytes != exec_tensor_of(e, r, NULL).bytes || (uintptr_t)given->data % 64))
            return mill_fail(MILL_EINPUT, "exec: state \"%s\" takes %zu bytes at a multiple of 64",
                             node->name, exec_tensor_of(e, r, NULL).bytes);
        if (given && !given->fill) continue;
        const exec_tensor *theirs = share ? exec_find_state(share, node->name) : NULL;
        if (theirs && theirs->data == e->data[r]) continue;
        if (node->data)
            memcpy(e->data[r], node->data, exec_tensor_of(e, r, NULL).bytes);
        else
            fill_state(e->data[r], node, mill_state_init(e->g, r), e->seed);
    }
    qsort(e->state, (size_t)e->n_states, sizeof *e->state, by_name);
    return MILL_OK;
}

int mill_exec_n_states(const mill_exec *e)
{
    return e->n_states;
}

exec_tensor mill_exec_state_at(const mill_exec *e, int i)
{
    return e->state[i];
}

mill_err mill_exec_state(exec_tensor *out, mill_exec *e, const char *name)
{
    const exec_tensor *t = exec_find_state(e, name);
    if (!t) return mill_fail(MILL_EINPUT, "exec: no state is called \"%s\"", name);
    *out = *t;
    return MILL_OK;
}

mill_err mill_exec_input(exec_tensor *out, mill_exec *e, const char *name)
{
    const mill_ref r = mill_find_input(e->g, name);
    if (!r || r >= e->plan->n_nodes)
        return mill_fail(MILL_EINPUT, "exec: no input is called \"%s\"", name);
    *out = exec_tensor_of(e, r, mill_get(e->g, r)->name);
    return MILL_OK;
}

mill_err mill_exec_output(exec_tensor *out, mill_exec *e, const char *name)
{
    const mill_ref r = mill_find_output(e->g, name);
    if (!r || r >= e->plan->n_nodes || !e->data[r])
        return mill_fail(MILL_EINPUT, "exec: no output is called \"%s\"", name);
    *out = exec_tensor_of(e, r, mill_get(e->g, r)->name);
    return MILL_OK;
}

double mill_exec_output_scalar(mill_exec *e, const char *name)
{
    const mill_ref r = mill_find_output(e->g, name);
    if (!r || r >= e->plan->n_nodes || !e->data[r]) return NAN;
    const void *data = e->data[r];
    switch (mill_get(e->g, r)->dtype) {
    case MILL_T_REAL:
        return (double)*(const real *)data;
    case MILL_T_F64:
        return *(const double *)data;
    default:
        return *(const int32_t *)data;
    }
}
