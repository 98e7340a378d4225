/*
 * inner.h - what a body of the collectives has to bring.
 *
 * The common part (group.c, combine.c) counts collectives, keeps the spans that were started, and
 * builds all small collectives on one: exchange, after which every rank can read a block of every
 * other.
 */
#ifndef MILL_RANK_INNER_H
#define MILL_RANK_INNER_H

#include "rank/rank.h"

enum {
    RANK_SMALL = 16384,     /* bytes of one exchange */
    RANK_WORDS = 400,       /* of a failure */
    RANK_MAX_BUFFERS = 256, /* alive at a time */
};

typedef struct rank_methods rank_methods;

/* A collective on a span that was started: number `seq` of the group. */
typedef struct {
    rank_buffer *b;
    rank_kind kind;
    int64_t begin, end;
    uint32_t seq;
} rank_work;

struct rank_buffer {
    rank_group *g;
    int64_t n;
    rank_sharing sharing;
    int serial;  /* how many were made before it */
    float *data; /* this rank's */
    void *map;   /* body's: all of the mapping */
    size_t map_bytes;
    int64_t at;     /* where they lie in what the ranks share */
    int64_t stride; /* floats from one rank's to the next in `map`; 0: there is one */
};

struct rank_group {
    const rank_methods *methods;
    rank_identity who;
    double timeout;
    bool timeout_given; /* else a launcher that watches may allow more */
    int threads;
    mill_pool *pool;
    uint32_t seq;       /* collectives begun */
    int n_buffers;      /* made, ever */
    size_t bytes_given; /* to buffers, by the body */
    rank_work open[RANK_MAX_OPEN];
    int n_open; /* started and not known to be done on all ranks */
    int blamed; /* rank + 1 whose error rank_agree() gave to all, last; 0: none */
    rank_usage usage;
    rank_phase phase;
    int64_t phase_ns; /* since when */
    void *body;
};

/* What a collective is, for the comparison with what the others call: a rank_kind, or this.
 * ORDER KIND */
enum { CALL_EXCHANGE = RANK_ALL_GATHER + 1 };

struct rank_methods {
    const char *name;
    /* g->n_buffers is the buffer's serial; sets data, map, stride. */
    mill_err (*buffer_new)(rank_buffer *b);
    void (*buffer_free)(rank_buffer *b);
    /* The work was put at the end of g->open. */
    mill_err (*start)(rank_group *g, const rank_work *w);
    /* Takes finished work from g->open; with `wait` until none is left. */
    mill_err (*progress)(rank_group *g, bool wait);
    /* Nothing is open.  n <= RANK_SMALL; all blocks can be read until the next exchange. */
    mill_err (*exchange)(rank_group *g, const void *mine, size_t n);
    const void *(*block)(const rank_group *g, int rank);
    void (*beat)(rank_group *g, int64_t step, rank_phase phase);
    void (*close)(rank_group *g, mill_err err);
};

int64_t board_now_ns(void);                                 /* board.c: monotonic */
void rank_group_init(rank_group *g, const rank_options *o); /* all but who, methods and body */
/* Who failed, with which words, when this rank closes with the error that is recorded: after
 * rank_agree() that may be another one. */
int rank_to_blame(const rank_group *g, const char **words);
/* Each body sets g->methods and g->body; on error nothing is left. */
mill_err rank_self_open(rank_group *g);

#endif
