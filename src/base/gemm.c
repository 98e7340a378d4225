/*
 * gemm.c - which provider serves a product: ours or oneDNN.
 *
 * oneDNN was built for OpenMP; each of our threads tells it once to use one thread, and the tiles
 * are dealt by our own pool (no spinning team, the same bytes for any number of threads).  Its
 * level is capped like ours before its first call.
 */
#include "base/gemm.h"

#include "base/cpu.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MILL_ONEDNN
#include <dlfcn.h>
#include <dnnl.h>
#endif

static void (*const own[MILL_N_LEVEL])(const gemm_args *, bool) = MILL_LEVELS(gemm_tile);
static void (*const own_f64[MILL_N_LEVEL])(const gemm_args_f64 *) = MILL_LEVELS(gemm_tile_f64);

/* B beyond the L2 cache: oneDNN blocks for it, 110 GF/s of 117 where ours has 50 to 90. */
enum { WIDE = 512 * 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum { CHOOSE, OWN, ONEDNN } policy = OWN;
static char provider[64];

#ifdef MILL_ONEDNN
static void (*set_omp_threads)(int);

static void start(void)
{
    const char *s = getenv("TABMILL_GEMM");
    const dnnl_version_t *v = dnnl_version();
    void *f = dlsym(RTLD_DEFAULT, "omp_set_num_threads");

    if (mill_cpu_level() == MILL_V3) {
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    } else if (!mill_cpu_has_bf16()) {
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core);
    }
    memcpy(&set_omp_threads, &f, sizeof f); /* an object pointer cannot be cast to a function's */
    policy = s && !strcmp(s, "own") ? OWN : s && !strcmp(s, "onednn") ? ONEDNN : CHOOSE;
    snprintf(provider, sizeof provider, "oneDNN %d.%d.%d%s", v->major, v->minor, v->patch,
             policy == ONEDNN ? ""
             : policy == OWN  ? " unused, own"
                              : " and own");
}

/* oneDNN adds to C only. */
static void begin_with_from(const gemm_args *g)
{
    for (int64_t i = 0; i < g->m; i++)
        memcpy(g->c + i * g->ldc, g->from + i * g->ld_from, (size_t)g->n * sizeof *g->c);
}

bool gemm_onednn(const gemm_args *g)
{
    static _Thread_local bool single;

    pthread_once(&once, start);
    if (!single && set_omp_threads) set_omp_threads(1);
    single = true;
    if (g->from && g->from != g->c) begin_with_from(g);
    return dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, 1.0f, g->a, g->lda,
                      g->b, g->ldb, g->from ? 1.0f : 0.0f, g->c, g->ldc) == dnnl_success;
}
#else
static void start(void)
{
    snprintf(provider, sizeof provider, "own");
}

bool gemm_onednn(const gemm_args *g)
{
    (void)g;
    return false;
}
#endif

void gemm_own(const gemm_args *g)
{
    own[mill_cpu_level()](g, false);
}

bool gemm_is_reproducible(const gemm_args *g)
{
    pthread_once(&once, start);
    if (policy != CHOOSE) return policy == OWN;
    if (mill_cpu_level() == MILL_V3) return true;
    if (g->m * g->n * g->k <= INT64_C(64) * 64 * 64) return true;
    return !(g->ta && !g->tb) && g->n * g->k < WIDE;
}

void gemm_f32(const gemm_args *g)
{
    if (gemm_is_reproducible(g) || g->k == 0 || !gemm_onednn(g)) gemm_own(g);
}

void gemm_bf16(const gemm_args *g)
{
    if (mill_cpu_has_bf16() && g->m > 0 && g->n > 0 && g->k > 0) {
        gemm_tile_bf16_v4(g);
    } else {
        own[mill_cpu_level()](g, true);
    }
}

void gemm_pack_rows(void *pairs, const float *a, int64_t lda, int64_t m, int64_t k)
{
    gemm_rows_bf16_v4(pairs, a, lda, m, k);
}

void gemm_pack_panels(void *panels, const gemm_panels *p, int64_t begin, int64_t end)
{
    gemm_panels_bf16_v4(panels, p, begin, end);
}

void gemm_f64(const gemm_args_f64 *g)
{
    own_f64[mill_cpu_level()](g);
}

const char *gemm_provider(void)
{
    pthread_once(&once, start);
    return provider;
}
