/* log.c - one line of text to one callback. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static struct {
    pthread_mutex_t lock; /* guards what follows */
    mill_log_fn fn;
    void *ctx;
    mill_log_level least;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

void mill_log_set(mill_log_fn fn, void *ctx, mill_log_level least)
{
    pthread_mutex_lock(&sink.lock);
    sink.fn = fn;
    sink.ctx = ctx;
    sink.least = least;
    pthread_mutex_unlock(&sink.lock);
}

void mill_log(mill_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    pthread_mutex_lock(&sink.lock);
    const mill_log_fn fn = level >= sink.least ? sink.fn : NULL;
    void *ctx = sink.ctx;
    pthread_mutex_unlock(&sink.lock);
    if (!fn) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fn(ctx, level, line);
}
