/* host.h - how busy this host is, and what a set of processes holds of its memory; from /proc. */
#ifndef MILL_RANK_HOST_H
#define MILL_RANK_HOST_H

#include <stdint.h>

typedef struct {
    int64_t busy, all; /* ticks of all processors, ever; two samples make a share */
    double used_bytes, total_bytes;
    int ranks;        /* processes that were counted */
    double rss_bytes; /* of these */
} host_sample;

/* root > 0: that process and all below it; 0: the processes that know their RANK and WORLD_SIZE. */
void host_read(host_sample *out, int root);

#endif
