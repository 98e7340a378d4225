/*
 * run_send.c - requests, replies, and what is tried again.
 *
 *     again     no connection, reset, time-out, 408, 429, 5xx: later; MOST_ATTEMPTS in all
 *     garbled   an answer that is none: again, MOST_GARBLED in all
 *     too long  once more with fewer tokens, else the chain fails
 *     refused   the chain fails; MOST_REFUSED in a stage where nothing was answered yet: the run
 *               stops, before all its records are lost to an option that the server does not take
 *     fatal     the run stops
 *
 * The pause before another attempt doubles from half a second to half a minute, with jitter from a
 * hash, or is as long as the server says; another server is preferred.
 *
 * While a chain waits it holds no slot of a server.
 *
 * A request that loses its connection may have killed its server.  Its chain waits until that is
 * known: the process may live on for seconds with its sockets closed, and what went to another
 * server meanwhile could kill that one too, unrecognised.  The chains that a server had in flight
 * when it died are suspects then, and go out one for each server, so that a second death has one
 * author, who is put aside.  One that was refused a connection killed nobody.
 */
#include "reason/run_inner.h"

#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static const double first_pause = 0.5, longest_pause = 30, longest_wish = 600, next_look = 0.1;

static void on_reply(void *ctx, const chat_reply *reply);

static void stop_unless(runner *r, mill_err err)
{
    if (err) run_stop(r, err);
}

/* ---- requests ---- */

static const char *model_for(const active *a, const server_view *v)
{
    const runner *r = a->run;

    if (a->flow.stage == STAGE_EVALUATE && !r->group[1] && r->o->judge_model)
        return r->o->judge_model;
    return v->model ? v->model : r->model[a->group];
}

static mill_err send_request(active *a)
{
    runner *r = a->run;
    const flow_record view = data_view(&a->record->text);
    server_view v;
    chat_params p;

    servers_view(r->group[a->group], a->server, &v);
    text_clear(&r->prompt);
    text_clear(&r->body);
    flow_ask(&r->prompt, &p, &a->flow, &r->o->flow, &view, a->sample);
    TRY(text_check(&r->prompt));
    p.model = model_for(a, &v);
    p.stream = r->o->stream;
    p.extra = r->o->extra;
    p.schema_as_object = v.schema_as_object;
    if (a->most_tokens && a->most_tokens < p.max_tokens) p.max_tokens = a->most_tokens;
    const chat_message message = {"user", r->prompt.s, r->prompt.len};
    TRY(chat_body(&r->body, &p, &message, 1));
    const chat_request request = {
        .url = v.url,
        .socket = v.socket,
        .key = v.key,
        .body = r->body.s,
        .n = r->body.len,
        .stream = r->o->stream,
        .limits = r->o->limits,
        .end = on_reply,
        .ctx = a,
    };
    a->deaths_before = v.deaths;
    return chat_start(&a->call, r->loop, &request);
}

/* Its server may have another suspect. */
static void leave_alone(active *a)
{
    if (a->is_alone) a->run->has_suspect[a->group][a->server] = false;
    a->is_alone = false;
}

static mill_err fail_chain(active *a, const char *why)
{
    result_row row = result_of_none(why);

    leave_alone(a);
    return run_take_row(a, &row);
}

/* ---- again, later ---- */

static double pause_of(const active *a, double wish)
{
    const int64_t key[] = {a->record->number, a->sample, a->flow.step, a->attempts};
    const double jitter = (double)(XXH3_64bits(key, sizeof key) >> 11) * 0x1p-53;
    double pause = first_pause;

    for (int i = 1; i < a->attempts && pause < longest_pause; i++) pause *= 2;
    if (pause > longest_pause) pause = longest_pause;
    pause *= 0.5 + 0.5 * jitter;
    if (wish > longest_wish) wish = longest_wish;
    return pause > wish ? pause : wish * (1 + 0.1 * jitter);
}

static void on_due(void *ctx);

static mill_err wait_for(active *a, double seconds)
{
    TRY(http_after(&a->timer, a->run->loop, seconds, on_due, a));
    a->run->n_waiting++;
    return MILL_OK;
}

static mill_err come_back(active *a)
{
    const servers *group = a->run->group[a->group];
    const server_fate fate =
        a->lost ? servers_fate(group, a->server, a->deaths_before, a->lost_at) : FATE_LIVES;

    if (fate == FATE_UNKNOWN) return wait_for(a, next_look);
    leave_alone(a);
    if (fate == FATE_DIED && ++a->killed >= MOST_KILLED) return fail_chain(a, "killed 2 servers");
    return run_queue(a);
}

static void on_due(void *ctx)
{
    active *a = ctx;
    runner *r = a->run;

    a->timer = NULL;
    r->n_waiting--;
    stop_unless(r, come_back(a));
    run_pump(r);
}

static mill_err wait_and_retry(active *a, double wish)
{
    return wait_for(a, pause_of(a, wish));
}

static mill_err fail_because(active *a, const char *what, const char *why)
{
    char text[300];

    snprintf(text, sizeof text, "%s: %s", what, why);
    return fail_chain(a, text);
}

static mill_err shorten(active *a, const chat_reply *reply)
{
    const flow_config *f = &a->run->o->flow;
    const int64_t asked = a->flow.longer                    ? f->max_tokens_retry
                          : a->flow.stage == STAGE_EVALUATE ? f->judge_max_tokens
                                                            : f->max_tokens;

    if (a->most_tokens || asked < 2 || reply->context_left == 0)
        return fail_chain(a, "context overflow");
    a->most_tokens =
        reply->context_left > 0 && reply->context_left < asked ? reply->context_left : asked / 2;
    return run_queue(a);
}

/* ---- replies ---- */

static mill_err take_response(active *a, const chat_reply *reply)
{
    result_row row = result_of(reply);

    a->run->has_answer[a->flow.stage] = true;
    a->killed = 0;
    a->home[a->group] = a->server;
    return run_take_row(a, &row);
}

static mill_err take_refusal(active *a, const char *why)
{
    runner *r = a->run;
    const reason_stage s = a->flow.stage;

    if (r->has_answer[s] || ++r->refused[s] < MOST_REFUSED) return fail_because(a, "refused", why);
    return mill_fail(MILL_EINPUT, "the first %d requests to %s were all refused, the last: %s",
                     MOST_REFUSED, stage_name(s), why);
}

static mill_err take_reply(active *a, const chat_reply *reply)
{
    a->attempts++;
    if (reply->is != CHAT_OK)
        mill_log(MILL_LOG_DEBUG, "record %lld, %s, attempt %d: %s",
                 (long long)data_index(a->run->o->data, a->record->number),
                 stage_name(a->flow.stage), a->attempts, reply->why);
    a->lost =
        reply->is == CHAT_AGAIN && reply->end != HTTP_DONE && reply->end != HTTP_NO_CONNECTION;
    a->lost_at = reply->end == HTTP_RESET ? http_now() : 0;
    if (!a->lost) leave_alone(a);
    switch (reply->is) {
    case CHAT_OK:
        return take_response(a, reply);
    case CHAT_AGAIN:
        if (a->attempts >= MOST_ATTEMPTS) return fail_because(a, "no response", reply->why);
        return wait_and_retry(a, reply->rates.retry_after);
    case CHAT_GARBLED:
        if (++a->garbled >= MOST_GARBLED) return fail_because(a, "garbled", reply->why);
        return wait_and_retry(a, -1);
    case CHAT_TOO_LONG:
        return shorten(a, reply);
    case CHAT_REFUSED:
        return take_refusal(a, reply->why);
    default:
        return mill_fail(MILL_EINPUT, "%s", reply->why);
    }
}

static int64_t used_tokens(const chat_reply *reply)
{
    return (reply->prompt_tokens > 0 ? reply->prompt_tokens : 0) +
           (reply->completion_tokens > 0 ? reply->completion_tokens : 0);
}

static void leave_flight(active *a)
{
    runner *r = a->run;

    a->call = NULL;
    r->n_in_flight--;
}

static void on_reply(void *ctx, const chat_reply *reply)
{
    active *a = ctx;
    runner *r = a->run;

    leave_flight(a);
    servers_give(r->group[a->group], a->server, a->asked_tokens, reply, used_tokens(reply));
    if (r->err) return;
    stop_unless(r, take_reply(a, reply));
    run_pump(r);
}

void run_cancel(active *a)
{
    runner *r = a->run;

    if (a->call) {
        chat_cancel(a->call);
        leave_flight(a);
        leave_alone(a);
        servers_give_unused(r->group[a->group], a->server, a->asked_tokens);
    }
    if (a->timer) {
        http_forget(a->timer);
        a->timer = NULL;
        r->n_waiting--;
    }
}

void run_leave_lost(runner *r)
{
    static const chat_reply lost = {.is = CHAT_AGAIN,
                                    .end = HTTP_RESET,
                                    .why = "its server is lost",
                                    .rates = {-1, -1, -1, -1, -1}};

    r->has_changed = false;
    for (active *a = r->first, *next; a && !r->err; a = next) {
        server_view v;
        next = a->next;
        if (!a->call) continue;
        servers_view(r->group[a->group], a->server, &v);
        if (!v.is_lost) continue;
        chat_cancel(a->call);
        leave_flight(a);
        servers_give(r->group[a->group], a->server, a->asked_tokens, &lost, 0);
        stop_unless(r, take_reply(a, &lost));
    }
}

/* ---- the pump ---- */

/* Which server has what this chain's prompt begins with; after a failure, another one. */
static int preferred(const active *a, int n)
{
    if (a->attempts && a->server >= 0) return (a->server + 1) % n;
    return a->home[a->group];
}

static int64_t expected_tokens(const active *a)
{
    const flow_config *f = &a->run->o->flow;
    const int64_t text = a->record->bytes + (int64_t)a->held_bytes;

    return text / 4 + (a->flow.stage == STAGE_EVALUATE ? f->judge_max_tokens : f->max_tokens);
}

/* A slot for a suspect: where no other one is; -1: none now. */
static int take_alone(runner *r, int g, int64_t tokens)
{
    for (int i = 0; i < servers_n(r->group[g]); i++) {
        if (r->has_suspect[g][i]) continue;
        const int s = servers_take(r->group[g], i, tokens);
        if (s < 0 || !r->has_suspect[g][s]) return s;
        servers_give_unused(r->group[g], s, tokens); /* i has no room, another one had */
    }
    return -1;
}

/* The first of q to a server; false: there is none, or no room. */
static bool send_first(runner *r, int g, queue *q, bool is_suspect)
{
    if (!q->n) return false;
    active *a = queue_first(q)->thing;
    const int64_t tokens = expected_tokens(a);
    const int s = is_suspect
                      ? take_alone(r, g, tokens)
                      : servers_take(r->group[g], preferred(a, servers_n(r->group[g])), tokens);
    if (s < 0) return false;
    queue_drop_first(q);
    a->server = s;
    a->asked_tokens = tokens;
    const mill_err err = send_request(a);
    if (err) {
        servers_give_unused(r->group[g], s, tokens);
        stop_unless(r, err == MILL_EINPUT ? fail_chain(a, mill_error()) : err);
        return true;
    }
    r->n_in_flight++;
    a->is_alone = is_suspect;
    if (is_suspect) r->has_suspect[g][s] = true;
    return true;
}

static bool send_one(runner *r, int g)
{
    return send_first(r, g, &r->suspects[g], true) || send_first(r, g, &r->ready[g], false);
}

void run_pump(runner *r)
{
    r->wants_pump = true;
    if (r->pumps) return;
    r->pumps = true;
    while (r->wants_pump && !r->err) {
        r->wants_pump = false;
        for (int g = 0; g < N_GROUPS && !r->err; g++) {
            if (!r->group[g]) continue;
            do {
                if (!g) stop_unless(r, run_deal(r));
            } while (!r->err && send_one(r, g));
        }
    }
    r->pumps = false;
}
