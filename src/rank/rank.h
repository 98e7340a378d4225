/*
 * rank.h - several processes (or threads) that compute as one.
 *
 * A rank is a process that was forked before any thread existed.  Ranks of one job form a group;
 * all they know of each other goes through the few collectives below, which see spans of memory,
 * never models.  Bodies: `self` (one rank), `shm` (one host, shared memory), `threads` (ranks are
 * threads of one process), `mpi` (several hosts; a plug-in).  Code written for one runs on all.
 *
 *     if (nproc > 1 && !rank_is_spawned()) {            before any thread, before cli_begin
 *         rank_side side;
 *         TRY(rank_spawn(&side, &status, &job));
 *         if (side == RANK_PARENT) return status;       all ranks are gone; their exit status
 *     }
 *     TRY(rank_identify(&who, &flags));                  the environment says who we are
 *     TRY(rank_open(&g, &who, &options));                failure here is exit status 69
 *     ... rank_reduce_scatter(g, grad, ...) ...
 *     rank_close(g, err);
 *
 * The rules.
 * Every rank calls the same collectives in the same order, from one thread at a time; a rank that
 * calls another one, or of another size, is found out and named.  No call waits for ever: there is
 * a deadline, a rank that dies, fails or leaves ends the wait of all others, and every one of them
 * gets MILL_EDEVICE with words that name the FIRST rank that failed and its reason.  After a
 * failure a group is good for rank_close only.
 * Sums over ranks are taken in one fixed binary tree by rank (rank_tree below), the same for every
 * body, so that the bits do not depend on who adds or when.
 */
#ifndef MILL_RANK_RANK_H
#define MILL_RANK_RANK_H

#include "base/pool.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANK_MAX_WORLD = 256, RANK_ID_LEN = 96 };

/* ---- who am I ---- */

typedef struct {
    int rank, world;             /* 0 <= rank < world */
    int local_rank, local_world; /* among the ranks of this host */
    int node, nodes;             /* which host, of how many */
    int restart;                 /* how often the job was restarted before */
    char source[12];             /* "flags", "torchrun", "slurm", "openmpi", "mpich", "single" */
    char run_id[RANK_ID_LEN];    /* what the ranks of one job have in common and no other job has */
} rank_identity;

typedef struct {
    int rank, world, local_rank, local_world; /* -1: not given */
} rank_flags;
#define RANK_NO_FLAGS ((rank_flags){-1, -1, -1, -1})

/*
 * Flags (NULL: none), else torchrun's variables (RANK, WORLD_SIZE, ...; `tabmill launch` and
 * rank_spawn set them too), else those of Slurm's srun, OpenMPI's and MPICH's mpirun, else one rank
 * alone.  MILL_EINPUT, naming the variables, when they contradict themselves or each other.
 */
mill_err rank_identify(rank_identity *out, const rank_flags *flags);
/* How many threads a rank should compute with: its share of this host's processors. */
int rank_thread_share(const rank_identity *who);
bool rank_is_spawned(void); /* the environment says that this process is one of several ranks */

/* ---- the group ---- */

typedef struct rank_group rank_group;

typedef struct {
    double timeout_seconds; /* of any wait in a collective; 0: TABMILL_RANK_TIMEOUT, else 600 or, if
                               that is more, what a launcher's watchdog allows */
    double meet_seconds;    /* for all ranks to be there; 0: TABMILL_RANK_MEET, else 60 */
    int threads;            /* this rank computes with; with ranks * threads > cores waits sleep at
                               once; 0: 1 */
    mill_pool *pool;        /* borrowed; waits deal their sums to it; NULL: the calling thread */
} rank_options;

/* Meets the others.  Every rank has to call it.  `o` may be NULL.  With several hosts and no MPI
 * plug-in: MILL_EDEVICE, and the words name mpirun and srun. */
mill_err rank_open(rank_group **out, const rank_identity *who, const rank_options *o);

/*
 * This rank leaves, with how it ended: MILL_OK, or its error, whose words (mill_error()) the others
 * and the launcher get if it is the first.  Does not wait.  A rank that leaves with MILL_OK while
 * others go on with collectives ends those with "rank 1 left at step 7".  NULL is allowed.
 */
void rank_close(rank_group *g, mill_err err);

const rank_identity *rank_who(const rank_group *g);
int rank_of(const rank_group *g);
int rank_world(const rank_group *g);
const char *rank_body(const rank_group *g); /* "self", "shm", "threads", "mpi" */
/* As rank_options.pool; ranks that are threads have a pool each, and one rank_options. */
void rank_set_pool(rank_group *g, mill_pool *pool);

/*
 * Ranks as threads of this process: run(ctx, group) on n threads, the caller is rank 0.  Returns
 * when all have returned: the error of the first that failed, or MILL_OK.  Each group is closed
 * with what run returned.
 */
mill_err rank_threads(int n, mill_err (*run)(void *ctx, rank_group *g), void *ctx,
                      const rank_options *o);

/* ---- buffers that collectives work in, in place ---- */

typedef struct rank_buffer rank_buffer;

/* RANK_EACH: every rank has its own (gradients).  RANK_ONE: the ranks of a host share one
 * (parameters that each rank updates a slice of); over several hosts each rank has its own, and
 * rank_all_gather makes them equal again. */
typedef enum { RANK_EACH, RANK_ONE } rank_sharing;

/* Collective: every rank asks for the same.  n zeroed floats, page-aligned.  Freeing is not
 * collective; the memory goes back when the last rank has freed it. */
mill_err rank_buffer_new(rank_buffer **out, rank_group *g, int64_t n, rank_sharing sharing);
void rank_buffer_free(rank_buffer *b);                 /* NULL is allowed; before rank_close */
float *rank_buffer_data(const rank_buffer *b);         /* this rank's */
float *rank_buffer_of(const rank_buffer *b, int rank); /* another's; NULL where it is not to be
                                                          seen (mpi) */
int64_t rank_buffer_count(const rank_buffer *b);

typedef struct {
    int64_t begin, end;
} rank_span;

/* The part of [begin, end) that `rank` of `world` reduces and owns: whole lines of 16 floats
 * counted from `begin`, except at the end; may be empty. */
rank_span rank_slice(int64_t begin, int64_t end, int rank, int world);
/* Rows first..end-1 of n that a rank deals with: contiguous, sizes differ by at most one. */
rank_span rank_share(int64_t n, int rank, int world);

/*
 * On [begin, end) floats of a buffer:
 *   ALL_REDUCE      every rank's floats become the sum over ranks (RANK_EACH)
 *   REDUCE_SCATTER  the rank's own slice (rank_slice) becomes the sum, the rest is undefined
 *                   (RANK_EACH)
 *   ALL_GATHER      every rank's slice, as its owner has it, becomes that of all (either sharing; a
 *                   RANK_ONE buffer on one host: no bytes move, only the waiting is left)
 */
typedef enum { RANK_ALL_REDUCE, RANK_REDUCE_SCATTER, RANK_ALL_GATHER } rank_kind;

/*
 * Non-blocking: the span of this rank is complete and may be read by others from now on.  Never
 * waits; does this rank's share of what all others have come to.  At most RANK_MAX_OPEN are open at
 * a time (MILL_EINPUT above).  The span is this rank's again after rank_wait().
 */
enum { RANK_MAX_OPEN = 64 };
mill_err rank_start(rank_buffer *b, rank_kind kind, int64_t begin, int64_t end);
mill_err rank_wait(rank_group *g); /* until everything that was started is done */

/* Blocking; what was started before is waited for as well. */
mill_err rank_all_reduce(rank_buffer *b, int64_t begin, int64_t end);
mill_err rank_reduce_scatter(rank_buffer *b, int64_t begin, int64_t end);
mill_err rank_all_gather(rank_buffer *b, int64_t begin, int64_t end);

/* ---- collectives on memory of one's own; blocking, any size, best below 4 KB ---- */

typedef enum { RANK_F32, RANK_F64, RANK_I64 } rank_type;
typedef enum { RANK_SUM, RANK_MAX, RANK_MIN } rank_op;

/* x[i] becomes the sum (tree), maximum or minimum over ranks.  Max and min: a NaN anywhere gives
 * NaN. */
mill_err rank_combine(rank_group *g, void *x, int64_t n, rank_type type, rank_op op);
mill_err rank_broadcast(rank_group *g, void *p, size_t n, int root);
/* all: world * n bytes, by rank. */
mill_err rank_gather(rank_group *g, void *all, const void *mine, size_t n);
mill_err rank_barrier(rank_group *g);

/* ---- deciding and failing together ---- */

/* How did it go on every rank?  All MILL_OK: MILL_OK.  Otherwise, on all ranks, the code and words
 * of the lowest rank that failed, as "rank 1: words".  The group stays good. */
mill_err rank_agree(rank_group *g, mill_err mine);

/* ---- heartbeat: where am I; for the launcher's watchdog; a few nanoseconds ---- */

typedef enum {
    RANK_STARTING,
    RANK_LOADING,
    RANK_COMPUTING,
    RANK_EVALUATING,
    RANK_SAVING,
    RANK_ENDING,
    RANK_N_PHASE
} rank_phase;
void rank_beat(rank_group *g, int64_t step, rank_phase phase);

/* Where this rank's time went since rank_open(), by the phases that rank_beat() began; and of each
 * phase, waiting for others to come to a collective (imbalance), what the collective itself took
 * (communication that was not hidden), and waiting for data (rank_waited_for_data).  The launcher
 * gets the same of each rank (rank_job.usage).
 */
typedef struct {
    double seconds[RANK_N_PHASE];
    double imbalance[RANK_N_PHASE], communication[RANK_N_PHASE], data[RANK_N_PHASE];
    int64_t step; /* the last that was begun; -1: none */
} rank_usage;
void rank_usage_get(const rank_group *g, rank_usage *out);
void rank_waited_for_data(rank_group *g, double seconds); /* the caller knows how long */

/*
 * ---- one sum, whatever the number of ranks ----
 *
 * A step's gradient is the sum of `shards` parts (virtual shards, or ranks times accumulation
 * steps).  Rank r of W computes parts r V/W .. (r+1) V/W - 1 in order and adds them here; what is
 * started with the tree's buffer then adds up the ranks.  All of it is one binary tree over the
 * parts: a node of n > 1 leaves has the largest power of two below n on its left.  If V and W are
 * powers of two every W gives the same tree, and so the same bits.
 *
 *     rank_tree_begin(t);
 *     for (int i = 0; i < rank_tree_parts(t); i++) {
 *         backward of part rank_tree_first(t) + i into g (g = rank_tree_slot(t) saves a copy)
 *         rank_tree_add(t, g, 0, n);      may be done in spans, each exactly once; a span is ready
 *         rank_tree_next(t);              for rank_start() when the last part's was added
 *     }
 *     rank_reduce_scatter(rank_tree_buffer(t), 0, n);
 */
typedef struct rank_tree rank_tree;
/* Collective.  MILL_EINPUT unless `shards` is a multiple of the world (0: one each). */
mill_err rank_tree_new(rank_tree **out, rank_group *g, int64_t n, int shards);
void rank_tree_free(rank_tree *t);
/* MILL_EINPUT unless --virtual-shards `shards` gives the same bits for this world as for one rank:
 * both powers of two, world <= shards. */
mill_err rank_tree_check(int shards, int world);
int rank_tree_parts(const rank_tree *t); /* that this rank computes */
int rank_tree_first(const rank_tree *t);
rank_buffer *rank_tree_buffer(const rank_tree *t);
void rank_tree_begin(rank_tree *t);
float *rank_tree_slot(const rank_tree *t); /* n floats, 64-byte aligned; contents undefined */
void rank_tree_add(rank_tree *t, const float *g, int64_t begin, int64_t end); /* g[0]: element 0 */
void rank_tree_next(rank_tree *t);

/*
 * ---- starting ranks ----
 *
 * Forks `n` ranks and stays behind as their launcher: hands through signals, watches heartbeats,
 * reaps, and when one fails ends the others (SIGTERM, then SIGKILL after `grace_seconds`), says who
 * was first and its last words, and starts all again up to `max_restarts` times.  The caller must
 * have no threads and nothing unflushed.  Ranks die with the launcher.
 *
 * In a rank it returns MILL_OK with *side == RANK_CHILD and *status 0: the environment then says
 * who it is.  In the launcher it returns when all are gone, with *side == RANK_PARENT and *status:
 * 0, 75 (saved after a signal), 124 (watchdog), else the first failing rank's code or 128 + its
 * signal.  MILL_EINPUT: the address or the port cannot be had.
 */
typedef enum { RANK_PARENT, RANK_CHILD } rank_side;

typedef struct {
    int n;               /* ranks on this host */
    int node, nodes;     /* 0, 0: one host */
    const char *address; /* MASTER_ADDR; NULL: 127.0.0.1 */
    int port;            /* MASTER_PORT; 0: a free one, held until all are gone */
    int port_range;      /* so many further ports are tried when `port` is taken */
    int max_restarts;
    double restart_window; /* seconds: only restarts within so long count; 0: all */
    double grace_seconds;  /* between SIGTERM and SIGKILL; 0: 30; after a failure at most 1 s */
    double warn_seconds;   /* a rank that others wait for; 0: 15; < 0: never */
    double hang_seconds;   /* then all are ended; < 0: never; 0: 600, and for a rank that computes,
                              once the pace of the steps is known, 20 times a step's median */
    double hang_least;     /* but at least so long; 0: 60 */
    bool bind;             /* each rank on its share of the physical cores */
    const char *log_dir;   /* attempt_N/RANK/{stdout,stderr,error.json}, run.log; NULL: none */
    int64_t log_bytes;     /* a log that is longer is renamed to NAME.1, and begun anew; 0: never */
    bool tee;              /* with log_dir: on the console too, with the rank before each line */
    int64_t console_lines; /* with log_dir and tee: at most so many a second of each stream of a
                              rank, and then how many more are in the log; 0: all */
    const char *ranks;     /* "0,3": only these on the console; NULL: all */
    bool share_stdin;      /* it is a file that every rank reads, each from its beginning; else one
                              rank at most has stdin, the others /dev/null */
    bool capture;      /* keep the last 64 KiB of stderr as last words: it goes through a pipe */
    rank_usage *usage; /* n of them, as of the last attempt's end; NULL: not wanted */
    const char *const *env; /* "NAME=value" for all ranks; NULL-terminated, or NULL */
} rank_job;

mill_err rank_spawn(rank_side *side, int *status, const rank_job *job);

#endif
