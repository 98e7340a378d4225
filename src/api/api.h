/* api.h - what the files behind include/tabmill.h share. */
#ifndef MILL_API_API_H
#define MILL_API_API_H

#include "base/pool.h"
#include "synth/synth.h"
#include "tabmill.h"

struct mill_engine {
    mill_pool *pool;
};

struct mill_model {
    mill_engine *engine;
    synth_model *synth;
};

/* The value of "key=value", or NULL if it has another key. */
const char *api_value(const char *option, const char *key);

#endif
