/*
 * inner.h - what an exec is made of; for the files of this folder only.
 *
 * A GROUP is what lies between two meetings of all threads: one stage, or a run of stages so small
 * that one thread does them faster alone than two can meet.  The latter counts as a single chunk.
 */
#ifndef MILL_EXEC_INNER_H
#define MILL_EXEC_INNER_H

#include "exec/exec.h"

typedef struct {
    int64_t first_chunk, n_chunks; /* exec.chunk[first_chunk ...] */
    bool serial;
} exec_group;

struct mill_exec {
    mill_graph *g;
    mill_plan *plan;
    mill_pool *pool;
    int threads;
    uint64_t seed;
    uint32_t step; /* of the run in progress */
    unsigned flags;

    char *arena, *states, *scratch; /* scratch: one block a thread */
    void **data;                    /* by ref: where the node lies; NULL: not planned */
    mill_call *call;     /* call[thread * n_order + k]: filled but for begin, end, step */
    mill_kernel *kernel; /* by k */
    plan_chunk *chunk;   /* of all groups, in the order in which they are dealt */
    exec_group *group;
    int32_t n_groups, group_from, group_to; /* from, to: of the walk in progress */
    size_t bytes;

    exec_tensor *state; /* by name */
    int n_states;

    const exec_place *place; /* of the caller; while compiling */
    int n_place;

    double *visit_s; /* EXEC_PROFILE: seconds, by thread and visit */
    int64_t n_runs;
    double run_s;
};

/* layout.c: memory, calls, groups. */
mill_err exec_layout(mill_exec *e, mill_exec *share);
/* states.c: the table of states; values of constants and of states that are not shared. */
mill_err exec_states(mill_exec *e, mill_exec *share);
const exec_tensor *exec_find_state(const mill_exec *e, const char *name);
/* Where the caller wants this name to lie, or NULL. */
const exec_place *exec_find_place(const mill_exec *e, const char *name);
exec_tensor exec_tensor_of(const mill_exec *e, mill_ref r, const char *name);
/* debug.c: a run stage by stage, with dead spans filled and results looked at. */
mill_err exec_run_checked(mill_exec *e);
void exec_walk(mill_exec *e, int32_t from, int32_t to); /* groups from..to-1 */

#endif
