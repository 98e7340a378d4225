/*
 * exec.h - a planned graph, compiled and run.
 *
 * Compile binds every node to a kernel of this machine's level and every tensor to memory: one
 * arena for what lives within a step, one for states and constants.  A run is one walk of the pool
 * over the stages; it allocates nothing.
 */
#ifndef MILL_EXEC_EXEC_H
#define MILL_EXEC_EXEC_H

#include "base/pool.h"
#include "graph/plan.h"

typedef struct mill_exec mill_exec;

enum {
    EXEC_NO_FUSE = 1,  /* a node a stage */
    EXEC_NO_REUSE = 2, /* a buffer per node: must equal the planned run bit for bit */
    EXEC_NAN = 4,      /* a span that has died is filled with NaN after its last stage */
    EXEC_GUARD = 8,    /* stop at the first node that makes a NaN or Inf, and name it */
    EXEC_PROFILE = 16, /* time every visit */
};

/* Memory of the caller: the state, the input or the output of this name lies there.  64-byte
 * aligned; it must outlive the exec.  A state's first value is written there only with `fill`: else
 * what lies there is its value. */
typedef struct {
    const char *name;
    void *data;
    size_t bytes;
    bool fill;
} exec_place;

typedef struct {
    mill_pool *pool; /* borrowed; NULL: the calling thread alone */
    uint64_t seed;   /* of initial values and of all randomness */
    unsigned flags;
    mill_exec *share; /* states of the same name, type and shape lie in this one's memory; it must
                         outlive us; or NULL */
    const exec_place *place; /* goes before `share`; borrowed for the call */
    int n_place;
} exec_options;

/* `g` is borrowed until free. */
mill_err mill_exec_new(mill_exec **out, mill_graph *g, const exec_options *o);
void mill_exec_free(mill_exec *e);
/* One step.  MILL_EDEVICE comes from EXEC_GUARD alone. */
mill_err mill_exec_run(mill_exec *e, uint32_t step);

typedef struct {
    const char *name;
    mill_dtype dtype;
    mill_shape shape;
    void *data;
    size_t bytes;
} exec_tensor;

/* Inputs are written before a run, outputs read after it; states between runs. By name; MILL_EINPUT
 * if absent. */
mill_err mill_exec_input(exec_tensor *out, mill_exec *e, const char *name);
mill_err mill_exec_output(exec_tensor *out, mill_exec *e, const char *name);
mill_err mill_exec_state(exec_tensor *out, mill_exec *e, const char *name);
int mill_exec_n_states(const mill_exec *e);
/* State i in the order of names; shared ones are among them. */
exec_tensor mill_exec_state_at(const mill_exec *e, int i);
double mill_exec_output_scalar(mill_exec *e, const char *name); /* NaN if absent */
size_t mill_exec_bytes(const mill_exec *e);                     /* allocated */

/* With EXEC_PROFILE: a table of visits by time, in words; mill_free. */
mill_err mill_exec_profile(char **text, const mill_exec *e);

#endif
