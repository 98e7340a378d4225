/*
 * board.h - the memory that the ranks of one host share.
 *
 *     | board: who belongs here, first failure | seats, one a rank | blocks, two a rank |
 *     | buffers .. |
 *
 * One memfd, which has no name: nothing is left behind however the ranks end, and the size of
 * /dev/shm does not matter.  Whoever started the ranks made it; they open it as
 * /proc/PID/fd/N (TABMILL_BOARD), or get the descriptor over a socket (meet.c).  Buffers lie behind
 * one another in the order of their making, which is the same on all ranks.
 *
 * Counters of collectives only grow (modulo 2^32).  `arrived` of a seat: so many collectives has
 * the rank come to, with its data in place.  `done`: so many has it done its share of.  Who waits
 * for one spins for a moment and sleeps on it as a futex; `sleepers` says that somebody does.
 */
#ifndef MILL_RANK_BOARD_H
#define MILL_RANK_BOARD_H

#include "rank/inner.h"
#include <stdatomic.h>

enum { BOARD_RING = 2 * RANK_MAX_OPEN, BOARD_LINE = 64 };

/* States of a seat. */
enum { SEAT_FREE, SEAT_TAKEN, SEAT_LEFT };

/* What the rank called as collective number i, at [i % BOARD_RING]: kind and size, to be compared.
 */
typedef struct {
    _Atomic int64_t what, size;
} board_call;

typedef struct {
    _Alignas(BOARD_LINE) atomic_uint arrived;
    _Alignas(BOARD_LINE) atomic_uint done;
    _Alignas(BOARD_LINE) atomic_uint sleepers;
    atomic_int state, pid;
    uint64_t cpus[16]; /* that it may run on, a bit each; written before it counts as there */
    /* The heartbeat. */
    _Alignas(BOARD_LINE) _Atomic int64_t step, beat_ns;
    atomic_int phase;
    atomic_int waits_for;     /* rank + 1 that this one waits for; 0: none */
    _Atomic int64_t waits_ns; /* since when */
    atomic_bool dumps;        /* SIGUSR2 makes it print its stack */
    rank_usage usage;         /* as of its last heartbeat, or its end; read when it is gone */
    board_call call[BOARD_RING];
} board_seat;

enum { FAIL_NONE, FAIL_BEING_WRITTEN, FAIL_THERE };

typedef struct {
    uint64_t magic;
    int world;
    int launcher; /* its process, or 0 */
    char run_id[RANK_ID_LEN];
    _Atomic int64_t patience; /* seconds after which the launcher ends a rank that hangs; 0: it does
                                 not watch */
    atomic_int n_there;       /* ranks that ever came; a futex */
    _Alignas(BOARD_LINE) atomic_int failed;
    int fail_rank, fail_err; /* the first failure; to be read when `failed` is FAIL_THERE */
    int64_t fail_step;
    char fail_words[RANK_WORDS];
    atomic_int users[RANK_MAX_BUFFERS]; /* of a buffer, by serial modulo */
    board_seat seat[];
} board;

typedef struct {
    board *at;
    int fd;
    size_t bytes; /* of the mapping: all but the buffers */
} board_map;

mill_err board_new(board_map *m, int world, const char *run_id, int launcher);
/* Maps the board behind a descriptor, which is then owned by `m`; MILL_EINPUT if it is none, or for
 * another job or number of ranks.  On error the descriptor is closed. */
mill_err board_attach(board_map *m, int fd, const rank_identity *who);
void board_unmap(board_map *m);
bool board_is(const board *head); /* of this version, whatever the number of ranks */
size_t board_bytes(int world);
void *board_block(const board_map *m, int rank, uint32_t seq); /* of an exchange */

/* The first failure is kept, later ones are not; wakes everybody. */
void board_fail(board *b, int rank, mill_err err, const char *words);
bool board_has_failed(board *b);
/* mill_fail() with the words of the first failure. */
mill_err board_failure(board *b);

/* FUTEX_WAIT while *word is `seen`, at most so long; and waking all of its waiters.  Across
 * processes. */
void board_sleep(atomic_uint *word, uint32_t seen, double seconds);
void board_rouse(atomic_uint *word);

/* "at step 7, computing", "before its first step": where the rank is by its heartbeat. */
void board_place(char *words, size_t size, board_seat *seat);
/* "all-reduce number 12 of size 1000": what a rank came to last; "" before its first. */
void board_last_call(char *words, size_t size, board_seat *seat);
const char *board_call_name(int64_t what);
extern const char *const rank_phase_names[RANK_N_PHASE];

/* meet.c: the board of a job whose starter made none: rank 0 makes it and hands it out. */
mill_err board_meet(board_map *m, const rank_identity *who, double seconds);

/* seat.c */
bool rank_has_board(const rank_identity *who); /* of a launcher: also for one rank alone */
mill_err rank_shm_open(rank_group *g, double meet_seconds);
mill_err rank_mpi_open(rank_group *g, double meet_seconds); /* mpi.c */
/* For threads of one process: `m` is borrowed until close. */
mill_err rank_shm_join(rank_group *g, const board_map *m);

#endif
