/*
 * results.c - the queue in front of a store, and the thread that empties it.
 *
 *     results_put -> queue -> a group -> one transaction -> durable, results_fd
 *
 * What waits when the last transaction has ended goes into the next one, but no sooner than GATHER
 * after the first of it came: a transaction costs as much as dozens of rows.  Nobody waits for
 * that, except results_sync, which says so.
 */
#include "reason/results_inner.h"

#include "base/mem.h"
#include "base/text.h"
#include "train/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_WAITING = 64 << 20, /* bytes; who puts more waits */
    ENOUGH = 4 << 20,        /* bytes that are not gathered any longer */
};
static const double GATHER = 0.025; /* seconds */
static const double LOOK = 0.25;    /* between two looks whether a signal came */
static const double PATIENCE = 10;  /* with a server that is away, once it did */

struct results {
    const results_backend *backend;
    void *store;
    results_run run;
    int event;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t reading; /* lease, read, count: one at a time */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* for the thread: something is there */
    pthread_cond_t done;  /* for the others: a group is durable, or an error */
    result_item *first, **last;
    size_t waiting_bytes; /* in the queue and in the group under way */
    int64_t put, durable; /* rows */
    int64_t put_all, durable_all;
    double since; /* when the queue began to hold something */
    bool is_hurried, is_woken, is_stopping;
    mill_err err;
    char why[512];
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void wait_for(pthread_cond_t *c, pthread_mutex_t *lock, double seconds)
{
    const double end = now() + seconds;
    const struct timespec t = {.tv_sec = (time_t)end,
                               .tv_nsec = (long)(1e9 * (end - (double)(time_t)end))};

    pthread_cond_timedwait(c, lock, &t);
}

void results_tell(results *r)
{
    const uint64_t one = 1;

    /* It can only be full, and then it is readable. */
    if (write(r->event, &one, sizeof one) < 0) return;
}

void results_wake(results *r)
{
    pthread_mutex_lock(&r->lock);
    r->is_woken = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

int64_t results_waiting(results *r)
{
    pthread_mutex_lock(&r->lock);
    const int64_t n = r->put - r->durable;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* ---- the thread ---- */

static void free_items(result_item *i)
{
    while (i) {
        result_item *next = i->next;
        mill_free(i);
        i = next;
    }
}

/* Sleeps until a group is there; NULL: to do something else, or to stop.  Locked. */
static result_item *take_group(results *r, double idle_seconds)
{
    const double idle_end = idle_seconds < 0 ? 0 : now() + idle_seconds;

    while (!r->is_stopping) {
        if (r->first) {
            const double wait = r->since + GATHER - now();
            if (wait <= 0 || r->is_hurried || r->waiting_bytes >= ENOUGH) break;
            wait_for(&r->work, &r->lock, wait);
            continue;
        }
        if (r->is_woken || (idle_seconds >= 0 && now() >= idle_end)) return NULL;
        if (idle_seconds < 0)
            pthread_cond_wait(&r->work, &r->lock);
        else
            wait_for(&r->work, &r->lock, idle_end - now());
    }
    if (r->is_stopping) return NULL;
    result_item *group = r->first;
    r->first = NULL;
    r->last = &r->first;
    r->is_hurried = false;
    return group;
}

static void fail(results *r, mill_err err)
{
    r->err = err;
    snprintf(r->why, sizeof r->why, "%s", mill_error());
    pthread_cond_broadcast(&r->done);
}

static void write_group(results *r, result_item *group)
{
    int64_t rows = 0, all = 0;
    size_t bytes = 0;

    for (const result_item *i = group; i; i = i->next) {
        rows += i->first < 0;
        bytes += i->bytes;
        all++;
    }
    const mill_err err = r->backend->commit(r->store, group);
    free_items(group);
    pthread_mutex_lock(&r->lock);
    r->waiting_bytes -= bytes;
    if (err) {
        fail(r, err);
    } else {
        r->durable += rows;
        r->durable_all += all;
        pthread_cond_broadcast(&r->done);
    }
    pthread_mutex_unlock(&r->lock);
    results_tell(r);
}

static void *thread_main(void *ctx)
{
    results *r = ctx;
    double seconds = r->backend->idle ? 0 : -1;

    for (;;) {
        pthread_mutex_lock(&r->lock);
        result_item *group = r->err ? NULL : take_group(r, seconds);
        const bool ends = r->is_stopping || r->err;
        r->is_woken = false;
        pthread_mutex_unlock(&r->lock);
        if (ends) {
            free_items(group);
            return NULL;
        }
        if (group) write_group(r, group);
        const mill_err err = r->backend->idle ? r->backend->idle(r->store, &seconds) : MILL_OK;
        if (!err) continue;
        pthread_mutex_lock(&r->lock);
        fail(r, err);
        pthread_mutex_unlock(&r->lock);
        results_tell(r);
    }
}

/* Signals are for the threads of the program. */
static mill_err start_thread(results *r)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int e = pthread_create(&r->thread, NULL, thread_main, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e) return mill_fail(MILL_EIO, "no thread for the store of results: %s", strerror(e));
    r->has_thread = true;
    return MILL_OK;
}

/* ---- opening ---- */

static const results_backend *backend_of(const char *where)
{
    const bool is_pg = !strncmp(where, "postgresql://", 13) || !strncmp(where, "postgres://", 11);

    return is_pg ? &results_pg : &results_sqlite;
}

static void init(results *r, const results_options *o)
{
    pthread_condattr_t a;

    r->backend = backend_of(o->where);
    r->last = &r->first;
    pthread_mutex_init(&r->reading, NULL);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&r->work, &a);
    pthread_cond_init(&r->done, &a);
    pthread_condattr_destroy(&a);
}

mill_err results_open(results **out, const results_options *o)
{
    results *r = mill_alloc(1, sizeof *r);
    mill_err err = MILL_OK;

    if (!r) return MILL_ENOMEM;
    init(r, o);
    r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->event < 0)
        err = mill_fail(MILL_EIO, "no descriptor for the store of results: %s", strerror(errno));
    if (!err) err = r->backend->open(&r->store, &r->run, o, r);
    if (!err && !o->read_only) err = start_thread(r);
    if (err) {
        results_close(r);
        return err;
    }
    *out = r;
    return MILL_OK;
}

void results_close(results *r)
{
    if (!r) return;
    if (r->has_thread) {
        pthread_mutex_lock(&r->lock);
        r->is_stopping = true;
        pthread_cond_signal(&r->work);
        pthread_mutex_unlock(&r->lock);
        if (r->backend->stop) r->backend->stop(r->store);
        pthread_join(r->thread, NULL);
    }
    r->backend->close(r->store);
    free_items(r->first);
    json_decref(r->run.config);
    if (r->event >= 0) close(r->event);
    pthread_cond_destroy(&r->done);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->reading);
    mill_free(r);
}

const json_t *results_config(const results *r)
{
    return r->run.config;
}
int64_t results_records(const results *r)
{
    return r->run.records;
}

/* ---- putting ---- */

static mill_err error_of(const results *r)
{
    return r->err ? mill_fail(r->err, "%s", r->why) : MILL_OK;
}

/* Behind the others; waits for room.  Takes the item over, also on an error. */
static mill_err enqueue(results *r, result_item *item)
{
    pthread_mutex_lock(&r->lock);
    while (!r->err && r->waiting_bytes > MOST_WAITING && !train_signal_received())
        wait_for(&r->done, &r->lock, LOOK);
    const mill_err err = error_of(r);
    if (!err) {
        const bool was_empty = !r->first;
        *r->last = item;
        r->last = &item->next;
        r->waiting_bytes += item->bytes;
        r->put += item->first < 0;
        r->put_all++;
        if (was_empty) r->since = now();
        if (was_empty || r->waiting_bytes >= ENOUGH) pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    if (err) mill_free(item);
    return err;
}

/* Copies n bytes and a NUL to *at, moves *at behind them. */
static const char *copy(char **at, const char *s, size_t n)
{
    char *to = *at;

    if (n) memcpy(to, s, n);
    to[n] = 0;
    *at = to + n + 1;
    return to;
}

mill_err results_put(results *r, const result_row *row)
{
    const size_t n_why = strlen(row->why);
    const size_t n = row->n_content + row->n_reasoning + n_why + 3;

    if (row->sample < 0 || row->sample >= RESULTS_MAX_SAMPLES || row->step < 0 ||
        row->step >= RESULTS_MAX_STEPS)
        return mill_fail(MILL_EINPUT, "a record has at most %d samples and %d steps",
                         RESULTS_MAX_SAMPLES, RESULTS_MAX_STEPS);
    result_item *item = mill_alloc(1, sizeof *item + n);
    if (!item) return MILL_ENOMEM;
    char *at = item->text;
    item->bytes = sizeof *item + n;
    item->first = -1;
    item->row = *row;
    item->row.content = copy(&at, row->content, row->n_content);
    item->row.reasoning = copy(&at, row->reasoning, row->n_reasoning);
    item->row.why = copy(&at, row->why, n_why);
    return enqueue(r, item);
}

mill_err results_finish(results *r, int64_t first)
{
    result_item *item = mill_alloc(1, sizeof *item);

    if (!item) return MILL_ENOMEM;
    item->bytes = sizeof *item;
    item->first = first;
    return enqueue(r, item);
}

int results_fd(const results *r)
{
    return r->event;
}

int64_t results_durable(const results *r)
{
    results *w = (results *)r;

    pthread_mutex_lock(&w->lock);
    const int64_t n = w->durable;
    pthread_mutex_unlock(&w->lock);
    return n;
}

mill_err results_check(results *r)
{
    uint64_t n;

    while (read(r->event, &n, sizeof n) > 0) {
    }
    pthread_mutex_lock(&r->lock);
    const mill_err err = error_of(r);
    pthread_mutex_unlock(&r->lock);
    return err;
}

mill_err results_sync(results *r)
{
    const bool may_be_away = r->backend->stop;
    double end = 0; /* 0: no signal came */

    pthread_mutex_lock(&r->lock);
    const int64_t until = r->put_all;
    while (!r->err && r->durable_all < until && !(end > 0 && now() > end)) {
        r->is_hurried = true;
        pthread_cond_signal(&r->work);
        wait_for(&r->done, &r->lock, LOOK);
        if (may_be_away && end <= 0 && train_signal_received()) end = now() + PATIENCE;
    }
    mill_err err = error_of(r);
    if (!err && r->durable_all < until)
        err = mill_fail(MILL_EIO,
                        "interrupted while the database is away: %lld response%s not written; "
                        "--resume asks again",
                        (long long)(r->put - r->durable), mill_s(r->put - r->durable));
    pthread_mutex_unlock(&r->lock);
    return err;
}

/* ---- reading ---- */

#define READING(call)                      \
    do {                                   \
        pthread_mutex_lock(&r->reading);   \
        const mill_err err_ = (call);      \
        pthread_mutex_unlock(&r->reading); \
        return err_;                       \
    } while (0)

mill_err results_lease(results *r, int64_t *first, int64_t *n, int64_t *left)
{
    *first = *n = *left = 0;
    READING(r->backend->lease(r->store, first, n, left));
}

mill_err results_read(results *r, int64_t first, int64_t n,
                      mill_err (*row)(void *ctx, const result_row *row), void *ctx)
{
    READING(r->backend->read(r->store, first, n, row, ctx));
}

mill_err results_latest(results *r, int64_t n, mill_err (*row)(void *ctx, const result_row *row),
                        void *ctx)
{
    READING(r->backend->latest(r->store, n, row, ctx));
}

mill_err results_count(results *r, results_counts *out)
{
    *out = (results_counts){0};
    READING(r->backend->count(r->store, out));
}

mill_err results_reasons(results *r, json_t **out)
{
    READING(r->backend->reasons(r->store, out));
}

mill_err results_claim_output(results *r, bool *mine)
{
    READING(r->backend->claim_output(r->store, mine));
}
