/*
 * exec.c - compile a graph, and run it.
 *
 * A run is one walk of the pool (base/pool.h).  Every thread goes through all groups by itself; of
 * each it takes chunks, and of each chunk it calls the kernels of one visit for one tile, in order.
 * Nothing is allocated, nothing is looked up: every thread has its own copy of every call, complete
 * but for the tile and the step.
 */
#include "exec/exec.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "exec/inner.h"

#include <signal.h>
#include <time.h>

static void run_chunk(const mill_exec *e, const plan_chunk *chunk, int thread)
{
    const plan_visit *v = &e->plan->visit[chunk->visit];
    const int64_t begin = chunk->tile * v->split.grain, end = begin + v->split.grain;
    mill_call *c = e->call + (size_t)thread * (size_t)e->plan->n_order + v->first;
    const mill_kernel *kernel = e->kernel + v->first;

    for (int32_t i = 0; i < v->n; i++) {
        c[i].begin = begin;
        c[i].end = end < v->split.units ? end : v->split.units;
        c[i].step = e->step;
        kernel[i](&c[i]);
    }
}

/* Seconds of this thread alone: another busy process does not count. */
static double thread_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_timed(const mill_exec *e, const plan_chunk *chunk, int thread)
{
    const double start = thread_clock();
    run_chunk(e, chunk, thread);
    e->visit_s[thread * e->plan->n_visits + chunk->visit] += thread_clock() - start;
}

static void walk(void *ctx, int thread, mill_walk *w)
{
    const mill_exec *e = ctx;
    void (*run)(const mill_exec *, const plan_chunk *, int) = e->visit_s ? run_timed : run_chunk;

    for (int32_t i = e->group_from; i < e->group_to; i++) {
        const exec_group *group = &e->group[i];
        const plan_chunk *chunk = e->chunk + group->first_chunk;
        int64_t k;

        mill_stage_begin(w, group->serial ? 1 : group->n_chunks);
        while ((k = mill_stage_next(w)) >= 0) {
            if (group->serial)
                for (int64_t j = 0; j < group->n_chunks; j++) run(e, &chunk[j], thread);
            else
                run(e, &chunk[k], thread);
        }
        mill_stage_end(w);
    }
}

/*
 * oneDNN's kernels keep values below the stack pointer, further down than the 128 bytes that the
 * system leaves alone: the frame of a signal handler on this stack would break their pointers, and
 * the heap with them.  So the caller's thread takes its signals behind the walk; the pool's own
 * threads never take any.
 */
static void hold_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    static const int of_itself[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof of_itself / sizeof *of_itself; i++) sigdelset(&all, of_itself[i]);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

void exec_walk(mill_exec *e, int32_t from, int32_t to)
{
    sigset_t before;

    e->group_from = from;
    e->group_to = to;
    hold_signals(&before);
    mill_pool_walk(e->pool, walk, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

mill_err mill_exec_run(mill_exec *e, uint32_t step)
{
    const double start = e->visit_s ? mill_clock() : 0;

    e->step = step;
    if (e->flags & (EXEC_NAN | EXEC_GUARD)) return exec_run_checked(e);
    exec_walk(e, 0, e->n_groups);
    if (e->visit_s) {
        e->n_runs++;
        e->run_s += mill_clock() - start;
    }
    return MILL_OK;
}

static mill_err compile(mill_exec *e, mill_exec *share)
{
    unsigned plan_flags = 0;

    if (e->flags & (EXEC_NO_FUSE | EXEC_GUARD)) plan_flags |= PLAN_NO_FUSE;
    if (e->flags & EXEC_NO_REUSE) plan_flags |= PLAN_NO_REUSE;
    TRY(mill_cpu_init());
    TRY(mill_plan_new(&e->plan, e->g, plan_flags));
    TRY(mill_plan_check(e->plan, e->g));
    TRY(exec_layout(e, share));
    return exec_states(e, share);
}

mill_err mill_exec_new(mill_exec **out, mill_graph *g, const exec_options *o)
{
    TRY(mill_graph_error(g));
    mill_exec *e = mill_alloc(1, sizeof *e);
    if (!e) return MILL_ENOMEM;

    e->g = g;
    e->pool = o->pool;
    e->threads = mill_pool_threads(o->pool);
    e->seed = o->seed;
    e->flags = o->flags;
    e->place = o->place;
    e->n_place = o->n_place;
    const mill_err err = compile(e, o->share);
    e->place = NULL;
    e->n_place = 0;
    if (err)
        mill_exec_free(e);
    else
        *out = e;
    return err;
}

void mill_exec_free(mill_exec *e)
{
    if (!e) return;
    mill_plan_free(e->plan);
    mill_free(e->arena);
    mill_free(e->states);
    mill_free(e->scratch);
    mill_free(e->data);
    mill_free(e->call);
    mill_free(e->kernel);
    mill_free(e->chunk);
    mill_free(e->group);
    mill_free(e->state);
    mill_free(e->visit_s);
    mill_free(e);
}

size_t mill_exec_bytes(const mill_exec *e)
{
    return e->bytes;
}
