/*
 * run_tell.c - metrics.jsonl in the run folder, a line every two seconds and one in the end, and
 * the progress line.
 *
 *     {"time": 1700000000.5, "done": 10, "records": 100, "good": 7, "weak": 2, "failed": 1,
 *      "rows": 25, "tokens": 31000, "prompt_tokens": 9000,
 *      "in_flight": 64, "ready": 64, "waiting": 0,
 *      "servers": [{"name": "...", "is_judge": false, "is_ready": true, "window": 64,
 *                   "in_flight": 64, "running": 60, "waiting": 4, "cache": 0.7, "deaths": 0,
 *                   "done": 20, "failed": 0, "tokens": 31000, "idle_seconds": 0.5}]}
 *
 * records: chains of the run, a record's samples each; done, good, weak and failed: of them, since
 * the run first began.  rows and tokens: of this process.  running, waiting and cache: as the
 * server says, null where it does not.  The last line has "is_over": true.
 */
#include "reason/run_inner.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const double seconds_between = 2;

static int64_t done_of(const runner *r)
{
    return r->ended[OUTCOME_GOOD] + r->ended[OUTCOME_WEAK] + r->ended[OUTCOME_FAILED];
}

static double unix_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

mill_err run_tell_begin(runner *r)
{
    results_counts counts;
    char path[4200];

    TRY(results_count(r->store, &counts));
    for (int i = 0; i < N_OUTCOME; i++) r->ended[i] = counts.outcome[i];
    r->out->done_before = done_of(r);
    snprintf(path, sizeof path, "%s/metrics.jsonl", r->o->folder);
    TRY(file_open_append(&r->metrics, path));
    progress_begin(&r->progress, 2, r->o->quiet, "reason", "chains");
    progress_range(&r->progress, done_of(r), r->o->data->n * r->o->samples);
    r->told = http_now();
    return MILL_OK;
}

static json_t *count_or_null(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static json_t *server_json(const server_view *v, bool is_judge)
{
    return json_pack("{s:s,s:b,s:b,s:I,s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:f}", "name", v->name,
                     "is_judge", is_judge, "is_ready", v->is_ready, "window", (json_int_t)v->window,
                     "in_flight", (json_int_t)v->in_flight, "running", count_or_null(v->running),
                     "waiting", count_or_null(v->waiting), "cache",
                     v->cache_share < 0 ? json_null() : json_real(v->cache_share), "deaths",
                     (json_int_t)v->deaths, "done", (json_int_t)v->done, "failed",
                     (json_int_t)v->failed, "tokens", (json_int_t)v->tokens, "idle_seconds",
                     v->idle_seconds);
}

static json_t *servers_json(const runner *r)
{
    json_t *list = json_array();

    for (int g = 0; g < N_GROUPS; g++) {
        for (int i = 0; r->group[g] && i < servers_n(r->group[g]); i++) {
            server_view v;
            servers_view(r->group[g], i, &v);
            json_array_append_new(list, server_json(&v, g == 1));
        }
    }
    return list;
}

static mill_err write_metrics(runner *r, bool is_over)
{
    const int64_t chains = r->o->data->n * r->o->samples;
    const int64_t ready = r->ready[0].n + r->ready[1].n + r->suspects[0].n + r->suspects[1].n;
    json_t *line =
        json_pack("{s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "time", unix_time(),
                  "done", (json_int_t)done_of(r), "records", (json_int_t)chains, "good",
                  (json_int_t)r->ended[OUTCOME_GOOD], "weak", (json_int_t)r->ended[OUTCOME_WEAK],
                  "failed", (json_int_t)r->ended[OUTCOME_FAILED], "rows", (json_int_t)r->rows,
                  "tokens", (json_int_t)r->tokens, "prompt_tokens", (json_int_t)r->prompt_tokens,
                  "in_flight", (json_int_t)r->n_in_flight, "ready", (json_int_t)ready, "waiting",
                  (json_int_t)r->n_waiting, "servers", servers_json(r));
    if (is_over) json_object_set_new(line, "is_over", json_true());
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    mill_err err = text ? file_printf(r->metrics, "%s\n", text)
                        : mill_fail(MILL_ENOMEM, "no memory for a line of metrics");

    free(text);
    json_decref(line);
    if (!err) err = file_flush(r->metrics);
    return err;
}

static void add_facts(mill_text *t, const runner *r)
{
    const double seconds = http_now() - r->began;

    text_add(t, "%lld in flight  %.0f tokens/s  good %lld  weak %lld  failed %lld",
             (long long)r->n_in_flight, seconds > 0 ? (double)r->tokens / seconds : 0,
             (long long)r->ended[OUTCOME_GOOD], (long long)r->ended[OUTCOME_WEAK],
             (long long)r->ended[OUTCOME_FAILED]);
}

mill_err run_tell(runner *r, bool now)
{
    mill_text facts = {0};

    add_facts(&facts, r);
    progress_show(&r->progress, done_of(r), facts.s);
    text_free(&facts);
    if (!now && http_now() - r->told < seconds_between) return MILL_OK;
    r->told = http_now();
    return write_metrics(r, false);
}

void run_tell_end(runner *r, const char *how)
{
    mill_text facts = {0};

    if (!r->metrics) return;
    add_facts(&facts, r);
    progress_end(&r->progress, done_of(r), facts.s, how);
    text_free(&facts);
    const mill_err err = write_metrics(r, true);
    if (err) run_stop(r, err);
}
