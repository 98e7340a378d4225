/* run.c - the driver: opens store and servers, turns the loop until all chains have ended. */
#include "reason/run_inner.h"

#include "base/log.h"
#include "base/mem.h"
#include "train/loop.h"

#include <stdio.h>
#include <string.h>

static const double longest_turn = 0.25; /* so that a signal is seen */

void run_stop(runner *r, mill_err err)
{
    if (r->err) return;
    r->err = err;
    snprintf(r->why, sizeof r->why, "%s", mill_error());
}

/* ---- opening ---- */

static void on_changed(void *ctx)
{
    runner *r = ctx;

    r->wants_pump = r->has_changed = true; /* the turn that calls this is followed by a pump */
}

static void on_store(void *ctx)
{
    runner *r = ctx;
    const mill_err err = results_check(r->store);

    r->asked_at = 0; /* a range may have come */
    if (err) run_stop(r, err);
}

static mill_err open_servers(runner *r)
{
    const servers_options *const from[N_GROUPS] = {&r->o->servers, &r->o->judges};

    for (int g = 0; g < N_GROUPS; g++) {
        servers_options o = *from[g];
        if (g && !o.n_url && !o.serve) break;
        o.changed = on_changed;
        o.ctx = r;
        TRY(servers_open(&r->group[g], r->loop, &o));
    }
    return MILL_OK;
}

static mill_err check_servers(const runner *r)
{
    for (int g = 0; g < N_GROUPS; g++)
        if (r->group[g]) TRY(servers_check(r->group[g]));
    return MILL_OK;
}

/* Nobody said which model: the first server that is ready does. */
static mill_err ask_model(runner *r, int g)
{
    while (r->group[g] && !r->model[g] && !train_signal_received()) {
        TRY(check_servers(r));
        for (int i = 0; i < servers_n(r->group[g]) && !r->model[g]; i++) {
            server_view v;
            servers_view(r->group[g], i, &v);
            if (v.model && !(r->model[g] = r->found_model[g] = mill_strdup(v.model)))
                return MILL_ENOMEM;
        }
        if (!r->model[g]) TRY(http_turn(r->loop, longest_turn));
    }
    return MILL_OK;
}

static mill_err open_store(runner *r)
{
    const reason_options *o = r->o;
    json_t *config = reason_config(o, r->model[0], r->model[1]);
    int32_t *order = NULL;
    char hash[33];
    mill_err err = config ? reason_config_hash(hash, config)
                          : mill_fail(MILL_ENOMEM, "no memory for a configuration");

    r->out->config = config;
    if (!err) err = data_order(&order, o->data, RANGE);
    if (!err) {
        const results_options options = {.where = o->store,
                                         .name = o->name,
                                         .hash = hash,
                                         .config = config,
                                         .records = o->data->n,
                                         .range = RANGE,
                                         .order = order,
                                         .lease_seconds = o->lease_seconds,
                                         .resume = o->resume,
                                         .force = o->force};
        err = results_open(&r->store, &options);
    }
    mill_free(order);
    r->out->store = r->store;
    if (!err && o->opened) err = o->opened(o->ctx);
    if (!err) err = http_watch(r->loop, results_fd(r->store), on_store, r);
    return err;
}

static mill_err open_all(runner *r)
{
    const bool has_judges = r->o->judges.n_url || r->o->judges.serve;
    const bool is_named = r->o->model && (r->o->judge_model || !has_judges);

    r->model[0] = r->o->model;
    r->model[1] = r->o->judge_model;
    TRY(http_open(&r->loop));
    if (is_named) TRY(open_store(r)); /* before servers are started for nothing */
    TRY(open_servers(r));
    TRY(ask_model(r, 0));
    TRY(ask_model(r, 1));
    if (!is_named && !train_signal_received()) TRY(open_store(r));
    return r->store ? run_tell_begin(r) : MILL_OK;
}

/* ---- turning ---- */

/* Servers' limits matter to what waits for them; with nothing to send a free place is no reason to
 * turn at once. */
static double turn_seconds(const runner *r)
{
    double seconds = longest_turn;

    for (int g = 0; g < N_GROUPS; g++) {
        const double wait = r->ready[g].n ? servers_wait(r->group[g]) : -1;
        if (wait >= 0 && wait < seconds) seconds = wait;
    }
    return seconds;
}

static mill_err turn_all(runner *r)
{
    while (!train_signal_received()) {
        if (r->has_changed) run_leave_lost(r);
        run_pump(r);
        if (r->err || run_is_done(r)) break;
        TRY(check_servers(r));
        TRY(http_turn(r->loop, turn_seconds(r)));
        TRY(run_tell(r, false));
    }
    return MILL_OK;
}

/* ---- the end ---- */

static mill_err close_store(runner *r)
{
    reason_result *out = r->out;

    TRY(results_sync(r->store));
    TRY(results_count(r->store, &out->counts));
    TRY(results_reasons(r->store, &out->reasons));
    if (!r->err && !out->signal) TRY(results_claim_output(r->store, &out->writes));
    return MILL_OK;
}

static void free_all(runner *r)
{
    run_deal_free(r);
    for (int g = 0; g < N_GROUPS; g++) {
        servers_close(r->group[g]);
        mill_free(r->found_model[g]);
    }
    if (r->store && r->loop) http_unwatch(r->loop, results_fd(r->store));
    http_close(r->loop);
    file_close(r->metrics);
    text_free(&r->prompt);
    text_free(&r->body);
}

mill_err reason_run(reason_result *out, const reason_options *o)
{
    runner r = {.o = o, .out = out, .began = http_now()};

    *out = (reason_result){0};
    mill_err err = open_all(&r);
    if (!err && r.store) err = turn_all(&r);
    if (err) run_stop(&r, err);
    out->signal = run_is_done(&r) && r.store ? 0 : train_signal_received();
    /* Requests under way are given up first: their responses would come too late to count. */
    for (active *a = r.first; a; a = a->next) run_cancel(a);
    if (r.store) {
        err = close_store(&r);
        if (err) run_stop(&r, err);
        run_tell_end(&r, r.err ? "stopped" : out->signal ? "interrupted" : "done");
    }
    free_all(&r);
    out->seconds = http_now() - r.began;
    return r.err ? mill_fail(r.err, "%s", r.why) : MILL_OK;
}
