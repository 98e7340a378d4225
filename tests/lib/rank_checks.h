/* rank_checks.h - see rank_checks.c. */
#ifndef TESTS_LIB_RANK_CHECKS_H
#define TESTS_LIB_RANK_CHECKS_H

#include "lib/ranks.h"

mill_err check_all_reduce(void *ctx, rank_group *g);
mill_err check_scatter_gather(void *ctx, rank_group *g);
mill_err check_pool(void *ctx, rank_group *g);
mill_err check_combine(void *ctx, rank_group *g);
mill_err check_broadcast(void *ctx, rank_group *g);
mill_err check_agree(void *ctx, rank_group *g);
mill_err check_many_open(void *ctx, rank_group *g);

#endif
