/* host.h - how busy this host is, and what a set of processes holds of its memory; from /proc. */
#ifndef MILL_RANK_HOST_H
#define MILL_RANK_HOST_H

#include <stddef.h>
#include <stdint.h>

/* What ranks of ours do: of all the jobs that were looked at. */
enum { RANK_MAX_VIEWS = 16 };
typedef struct {
    unsigned phases; /* bit p: a rank is in that rank_phase */
    int64_t step;    /* of the rank that is behind the others; -1: none has begun one */
    uint64_t seen[RANK_MAX_VIEWS]; /* boards, by inode: processes of one job share it */
    int n_seen;
} rank_view;
/* Adds what process `pid` is a rank, or the launcher, of; begin with .step -1. */
void rank_look(rank_view *v, int pid);
void rank_view_words(char *words, size_t size, const rank_view *v); /* "computing+saving"; "" */

typedef struct {
    int64_t busy, all; /* ticks of all processors, ever; two samples make a share */
    double used_bytes, total_bytes;
    int ranks;        /* processes that were counted */
    double rss_bytes; /* of these */
    rank_view view;
} host_sample;

/* root > 0: that process and all below it; 0: the processes that know their RANK and WORLD_SIZE. */
void host_read(host_sample *out, int root);

#endif
