/* api.h - what the files behind include/tabmill.h share. */
#ifndef MILL_API_API_H
#define MILL_API_API_H

#include "base/pool.h"
#include "synth/synth.h"
#include "tabmill.h"

#include <immintrin.h>

struct mill_engine {
    mill_pool *pool;
};

struct mill_model {
    mill_engine *engine;
    synth_model *synth;
};

/*
 * The first line of every entry that works with numbers: MXCSR as our own threads have it, and at
 * return as the caller had it, who may round or flush otherwise (docs/processors.md, trap 2).
 */
#define API_ENTER const unsigned csr_ __attribute__((unused, cleanup(api_leave))) = api_enter()

static inline unsigned api_enter(void)
{
    const unsigned csr = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return csr;
}

static inline void api_leave(const unsigned *csr)
{
    _mm_setcsr(*csr);
}

/* The value of "key=value", or NULL if it has another key. */
const char *api_value(const char *option, const char *key);

#endif
