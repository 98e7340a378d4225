/* shm.h - what the files of the shared-memory body have in common. */
#ifndef MILL_RANK_SHM_H
#define MILL_RANK_SHM_H

#include "rank/board.h"

typedef struct {
    board_map map;
    board *b;
    board_seat *me;
    bool owns_map, is_thread;
    int spins;
    int pidfd[RANK_MAX_WORLD]; /* of the others; -1: none */
    int launcher_fd;           /* -1: none */
    int n_worked;              /* of g->open: this rank's share is done */
    uint32_t last_exchange;    /* number of the last one */
} shm_body;

enum { SHM_SPINS = 2000, SHM_SPINS_CROWDED = 50 };
#define SHM_SLICE 0.05 /* seconds asleep before one looks around */
#define SHM_MOST  0.2  /* that a slice counts: a stopped job has not waited */

/* Counts grow modulo 2^32. */
static inline bool shm_reached(uint32_t count, uint32_t target)
{
    return (int32_t)(count - target) >= 0;
}

/* wait.c: until all others have come to collective `seq`, or have done their share of it. */
mill_err shm_wait_arrived(rank_group *g, uint32_t seq);
mill_err shm_wait_done(rank_group *g, uint32_t seq);
bool shm_all_reached(const rank_group *g, uint32_t seq, bool done);
mill_err shm_fail_now(rank_group *g, int rank, const char *words);
mill_err shm_check_launcher(rank_group *g); /* fails when it is dead */

/* shm.c */
extern const rank_methods shm_of_processes, shm_of_threads;

#endif
