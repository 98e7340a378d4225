/*
 * inner.h - what a graph is made of; for the passes in this folder only.
 *
 * Nodes never move and never change their ref.  The order of execution is a list of refs beside
 * them, so that a pass can put a node between two others (recompute.c) or take one out (prune.c)
 * while the refs that callers hold stay good.
 */
#ifndef MILL_GRAPH_INNER_H
#define MILL_GRAPH_INNER_H

#include "base/mem.h"
#include "graph/plan.h"

typedef struct {
    const char *name;
    mill_ref ref;
} graph_output;

struct mill_graph {
    mill_arena *arena; /* nodes, names, values of constants */
    mill_node **node;  /* by ref; node[0] stands for "failed" */
    mill_ref *seq;     /* seq[0..n_seq): nodes in order, sources before their readers */
    int32_t *pos;      /* by ref: its place in seq, -1 for none */
    int32_t n, n_seq, cap;
    graph_output *output;
    int32_t n_outputs, cap_outputs;
    int64_t n_streams;
    int32_t n_segments, segment; /* segment: the one that is open, or 0 */
    bool in_grad;                /* nodes made now are marked `backward` */
    mill_err err;
    char words[512];
};

/* A copy of node r, not yet in the order; 0 and a poisoned graph if there is no memory. */
mill_ref graph_clone(mill_graph *g, mill_ref r);

/* live[r] for 0..n-1: r is an output, updates a state, is a state or an input, or is needed by such
 * a node. */
void graph_live(const mill_graph *g, bool *live);

/* The node whose value r shows: r, or what is under its views. */
mill_ref graph_base(const mill_graph *g, mill_ref r);

/* The node in whose memory r lies before any planning: under its views and in-place
 * updates. */
mill_ref graph_home(const mill_graph *g, mill_ref r);

/* Source i of `node` is updated in place. */
bool graph_writes(const mill_node *node, int i);

size_t graph_bytes(const mill_node *node);
mill_split graph_split(const mill_graph *g, mill_ref r);

/* ---- planning ---- */

/* Source i of r is read at unit u only by unit u of r: rowwise, as many rows, seen through views
 * that keep the rows. */
bool graph_reads_rows(const mill_graph *g, const mill_split *split, mill_ref r, int i);

/* A guess at the time of a node on one thread; only its order of magnitude matters. */
double graph_cost_ns(const mill_graph *g, mill_ref r);

/* Readers of the memory of each home: reader[first[h] .. first[h + 1]), in order of execution. */
typedef struct {
    int32_t *first;
    mill_ref *reader;
} home_readers;
mill_err home_readers_init(home_readers *out, const mill_graph *g, const bool *live);
void home_readers_deinit(home_readers *h);

/* fuse.c: fill order, visits, stages and stage_of.  split: of every node. */
mill_err plan_fuse(mill_plan *p, const mill_graph *g, const bool *live, const mill_split *split,
                   bool fuse);
/* reuse.c: fill root, offset, last_of and arena_bytes. */
mill_err plan_reuse(mill_plan *p, const mill_graph *g, const bool *live, const mill_split *split,
                    bool reuse);

#endif
