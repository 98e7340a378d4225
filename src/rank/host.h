/* host.h - how busy this host is, and what a set of processes holds of its memory; from /proc. */
#ifndef MILL_RANK_HOST_H
#define MILL_RANK_HOST_H

#include <stdbool.h>
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
/* Adds what process `pid` is a rank, or the launcher, of; begin with .step -1.  Whether it is a
 * rank there. */
bool rank_look(rank_view *v, int pid);
void rank_view_words(char *words, size_t size, const rank_view *v); /* "computing+saving"; "" */

typedef struct {
    int64_t busy, all; /* ticks of all processors, ever; two samples make a share */
    double used_bytes, total_bytes;
    int ranks;        /* without what they started */
    double rss_bytes; /* of these, with what they started */
    rank_view view;
} host_sample;

/* Ranks are processes that know their RANK and WORLD_SIZE, and those of ours.  root > 0: of that
 * process and all below it; where these have no ranks, rss_bytes is of all of them. */
void host_read(host_sample *out, int root);

#endif
