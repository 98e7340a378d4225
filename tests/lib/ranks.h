/* ranks.h - the same function on several ranks: as threads and as processes. */
#ifndef TESTS_LIB_RANKS_H
#define TESTS_LIB_RANKS_H

#include "lib/test.h"

#include "base/mem.h"
#include "rank/rank.h"

#include <sys/wait.h>
#include <unistd.h>

typedef mill_err (*rank_body_fn)(void *ctx, rank_group *g);

/* In such a function, where cmocka's asserts cannot be used: leave it with an error. */
#define WANT(cond)                                                                          \
    do {                                                                                    \
        if (!(cond)) return mill_fail(MILL_ESHAPE, "%s:%d: %s", __FILE__, __LINE__, #cond); \
    } while (0)

/* The status of each process: 0, the mill_err of `run`, 50 + that of rank_open, 128 + signal; its
 * words in words[rank]. */
typedef struct {
    int status[RANK_MAX_WORLD];
    char (*words)[400];
} rank_ends;

static rank_identity rank_nr(int rank, int world, const char *job)
{
    rank_identity id = {.rank = rank,
                        .world = world,
                        .local_rank = rank,
                        .local_world = world,
                        .nodes = 1,
                        .source = "flags"};

    snprintf(id.run_id, sizeof id.run_id, "%s", job);
    return id;
}

/* A job's name that no other test has. */
static inline const char *new_job(void)
{
    static char name[40];
    static int n;

    snprintf(name, sizeof name, "test-%d-%d", (int)getpid(), n++);
    return name;
}

static inline int be_rank(int rank, int world, const char *job, rank_body_fn run, void *ctx,
                          char *words, const rank_options *o)
{
    const rank_identity id = rank_nr(rank, world, job);
    rank_group *g;
    mill_err err = rank_open(&g, &id, o);

    if (err) {
        snprintf(words, 400, "%s", mill_error());
        return 50 + (int)err;
    }
    err = run(ctx, g);
    if (err) snprintf(words, 400, "%s", mill_error());
    rank_close(g, err);
    return (int)err;
}

/* Forks one process for each rank listed; waits for all of them. */
void run_processes(rank_ends *ends, const int *rank, const int *world, int n, rank_body_fn run,
                   void *ctx, const rank_options *o);
/* Ranks 0..n-1 of n, which all have to succeed. */
void run_ranks_ok(int n, rank_body_fn run, void *ctx);
void rank_ends_free(rank_ends *e);

#endif
