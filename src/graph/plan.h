/*
 * plan.h - from a graph to stages, visits and offsets.
 *
 * fuse: nodes are put into VISITS (chains with the same units and grain whose links are rowwise,
 * run tile by tile) and visits into STAGES (visits that do not depend on one another; between
 * stages all threads meet). plan: a buffer lives from the stage that makes it to the last stage
 * that reads it; offsets by best fit over the lifetimes, largest first; `alias` and views share
 * memory.  Inside a stage nothing is reused except by rowwise alias within one visit. check: reads
 * only; re-derives every shape, proves that each source is complete or rowwise-warm when it is
 * read, that no two live spans overlap (O(n^2)), and that no state is read after it was updated. It
 * does not trust fuse or plan.
 */
#ifndef MILL_GRAPH_PLAN_H
#define MILL_GRAPH_PLAN_H

#include "graph/graph.h"

/* A node a stage; a buffer a node: the oracles of the tests. */
enum { PLAN_NO_FUSE = 1, PLAN_NO_REUSE = 2 };

typedef struct {
    int32_t first, n; /* nodes order[first .. first+n) */
    mill_split split;
    int64_t first_chunk; /* chunks of the stage's visits before this one */
    double cost_ns;      /* a guess, of all tiles on one thread */
} plan_visit;

typedef struct {
    int32_t visit, tile;
} plan_chunk;

typedef struct {
    int32_t first_visit, n_visits;
    int64_t n_chunks;
} plan_stage;

typedef struct {
    int32_t n_order, n_visits, n_stages, n_nodes;
    int64_t n_chunks; /* of all stages */
    mill_ref *order;  /* operations only (no views), in order of execution */
    plan_visit *visit;
    plan_stage *stage;
    int64_t *offset;   /* per node: byte offset into the arena; states and consts lie in their own
                          arena; -1: none */
    int32_t *stage_of; /* per node: stage that makes it, -1 for leaves and views */
    int32_t *last_of;  /* per root: last stage that touches it; n_stages: kept to the end (inputs,
                          outputs) */
    /* Per node: whose memory it lies in (views, in-place); 0: not planned (dead code). */
    mill_ref *root;
    /* Activations; states and consts; scratch of one thread. */
    size_t arena_bytes, state_bytes, scratch_bytes;
} mill_plan;

mill_err mill_plan_new(mill_plan **out, const mill_graph *g, unsigned flags);
void mill_plan_free(mill_plan *p);
mill_err mill_plan_check(const mill_plan *p, const mill_graph *g);
/* Bytes that an exec of this plan takes with `threads` threads, before anything is allocated:
 * tensors, scratch, and its tables of calls and chunks; mill_exec_bytes() says the same afterwards.
 */
size_t mill_plan_bytes(const mill_plan *p, int threads);
/* Stages, visits and offsets as text, to look at while debugging; mill_free. */
mill_err mill_plan_print(char **text, const mill_plan *p, const mill_graph *g);

#endif
