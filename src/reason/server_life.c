/*
 * server_life.c - how a server becomes ready, stays so, and what happens when it does not.
 *
 *     WAITS --- started or asked ---> PROBED: health, /v1/models, and one token of one that we
 *       ^                               |     started
 *       |                               v
 *       +-- died, or by URL and ----- READY: looked at every second by /metrics, else by health
 *       |   answers no more             |
 *       +-- gone <-- ENDING <-- hangs --+     OVER: died too often, or cannot be started
 *
 * A server is looked at while it works.  It hangs when it has given no sign for hang_seconds.  One
 * that has neither /health nor metrics may answer nothing while it computes: of that one a request
 * has to run into its own time-out first, unless nothing is in flight.  It also hangs when
 * MANY_TIMEOUTS requests in a row timed out for hang_seconds, whatever its health says: the GPU may
 * be stuck behind a server that talks.
 *
 * One of ours whose connections are lost is looked at once; one that refuses them gets no requests
 * until it gives a sign, or is dead: that can take a process seconds after its sockets are closed.
 *
 * Until one of ours finds its port taken (server_process.c) somebody else answers our probes, so
 * that it is called a wrong server only after ALIEN seconds of it.
 */
#include "reason/server_inner.h"

#include "base/log.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double ALIEN = 5, SOON = 0.05, OFTEN = 0.1, LATEST = 5, PROBE_SECONDS = 10;
enum { MANY_TIMEOUTS = 3 };

static void ask_health(server *sv);
static void look(server *sv);

void life_tell(const server *sv)
{
    if (sv->all->o.changed) sv->all->o.changed(sv->all->o.ctx);
}

static double hang_seconds(const server *sv)
{
    return sv->all->o.hang_seconds > 0 ? sv->all->o.hang_seconds : 60;
}

static double start_seconds(const server *sv)
{
    const double given = sv->all->o.start_seconds;
    return given > 0 ? given : sv->is_ours || sv->was_ready ? 900 : 60;
}

/* ---- timers ---- */

static void ring(void *ctx)
{
    server *sv = ctx;

    sv->timer = NULL;
    sv->next(sv);
}

void life_after(server *sv, double seconds, void (*next)(server *sv))
{
    http_forget(sv->timer);
    sv->timer = NULL;
    sv->next = next;
    if (http_after(&sv->timer, sv->all->loop, seconds, ring, sv))
        mill_log(MILL_LOG_ERROR, "%s: %s", sv->name, mill_error());
}

static void look_after(server *sv, double seconds)
{
    sv->look_at = http_now() + seconds;
    life_after(sv, seconds, look);
}

void life_cancel(server *sv)
{
    if (sv->asked) http_cancel(sv->asked);
    if (sv->tried) chat_cancel(sv->tried);
    http_forget(sv->timer);
    sv->asked = NULL;
    sv->tried = NULL;
    sv->timer = NULL;
}

void life_stop(server *sv)
{
    life_cancel(sv);
    if (sv->child.output >= 0) http_unwatch(sv->all->loop, sv->child.output);
    if (sv->child.pidfd >= 0) http_unwatch(sv->all->loop, sv->child.pidfd);
}

/* ---- ends ---- */

/* The run cannot go on with it. */
static void be_fatal(server *sv, const char *words)
{
    servers *s = sv->all;

    if (!s->fatal) {
        s->fatal = MILL_EINPUT;
        snprintf(s->words, sizeof s->words, "%s", words);
    }
    sv->life = LIFE_OVER;
    life_cancel(sv);
    life_tell(sv);
}

void life_give_up(server *sv)
{
    sv->life = LIFE_OVER;
    life_cancel(sv);
    mill_log(MILL_LOG_WARN, "%s is given up: %s", sv->name, sv->why);
    life_tell(sv);
}

bool life_is_hopeless(const server *sv, double now)
{
    if (sv->life == LIFE_OVER) return true;
    return !sv->is_ours && sv->life != LIFE_READY && now - sv->since > start_seconds(sv);
}

/* ---- from started to ready ---- */

void life_begin(server *sv)
{
    sv->since = http_now();
    sv->bad_since = 0;
    sv->life = LIFE_PROBED;
    if (sv->is_ours && process_start(sv)) {
        snprintf(sv->why, sizeof sv->why, "%s", mill_error());
        life_give_up(sv);
        return;
    }
    life_after(sv, SOON, ask_health);
}

static void not_yet(server *sv, double least)
{
    const double now = http_now();
    const double pause = fmin(SOON + (now - sv->since) / 8, sv->is_ours ? 1 : LATEST);

    if (sv->is_ours && now - sv->since > start_seconds(sv)) {
        char why[300];
        snprintf(why, sizeof why, "%.299s", sv->why);
        snprintf(sv->why, sizeof sv->why, "it was not ready after %g s: %s", start_seconds(sv),
                 why);
        sv->restarts = sv->all->o.most_restarts; /* it would take as long again */
        process_end(sv);
        return;
    }
    life_after(sv, fmax(pause, least), ask_health);
    if (!sv->is_ours && now - sv->since > hang_seconds(sv)) sv->is_lost = true;
    if (sv->is_lost || life_is_hopeless(sv, now)) life_tell(sv);
}

/* It answers, but as no server of the model. */
static void is_wrong(server *sv, const char *words)
{
    const double now = http_now();

    snprintf(sv->why, sizeof sv->why, "%s", words);
    if (sv->bad_since == 0) sv->bad_since = now;
    if (!sv->is_ours || now - sv->bad_since > ALIEN)
        be_fatal(sv, words);
    else
        not_yet(sv, 0);
}

static void ask(server *sv, const char *path, double seconds,
                void (*end)(void *ctx, const http_result *r))
{
    char url[sizeof sv->url + 32];
    const http_request r = {.url = url,
                            .socket = sv->has_socket ? sv->socket : NULL,
                            .key = sv->all->o.key,
                            .limits = {.connect = fmin(seconds, 5), .total = seconds},
                            .end = end,
                            .ctx = sv};

    snprintf(url, sizeof url, "%s%s", sv->url, path);
    if (!http_start(&sv->asked, sv->all->loop, &r)) return;
    snprintf(sv->why, sizeof sv->why, "%s", mill_error());
    sv->asked = NULL;
    not_yet(sv, LATEST);
}

static void be_ready(server *sv)
{
    const double now = http_now();

    sv->life = LIFE_READY;
    sv->was_ready = true;
    sv->is_lost = sv->refuses = false;
    sv->ready_at = sv->sign_at = now;
    sv->timeouts = 0;
    sv->ports_tried = 0;
    sv->told = (server_metrics){-1, -1, -1, -1};
    sv->idle_from = sv->window.in_flight ? -1 : now;
    if (!sv->is_ours) sv->pause = SOON;
    window_restart(&sv->window, now);
    mill_log(MILL_LOG_INFO, "%s is ready after %.1f s", sv->name, now - sv->since);
    look_after(sv, SOON);
    life_tell(sv);
}

static void tried(void *ctx, const chat_reply *r)
{
    server *sv = ctx;
    char words[720];

    sv->tried = NULL;
    if (r->status == 200) {
        be_ready(sv);
        return;
    }
    snprintf(sv->why, sizeof sv->why, "a request of one token: %s", r->why);
    if (r->is == CHAT_AGAIN || r->is == CHAT_GARBLED) {
        not_yet(sv, r->rates.retry_after);
        return;
    }
    snprintf(words, sizeof words, "%s: %.500s", sv->name, sv->why);
    is_wrong(sv, words);
}

static void try_one_token(server *sv)
{
    const chat_message m = {"user", "1", 1};
    const chat_params p = {.model = sv->listed, .max_tokens = 1, .top_p = 1};
    mill_text body = {0};

    mill_err err = chat_body(&body, &p, &m, 1);
    const chat_request r = {.url = sv->url,
                            .socket = sv->has_socket ? sv->socket : NULL,
                            .key = sv->all->o.key,
                            .body = body.s,
                            .n = body.len,
                            .limits = {.connect = 5, .total = start_seconds(sv)},
                            .end = tried,
                            .ctx = sv};
    if (!err) err = chat_start(&sv->tried, sv->all->loop, &r);
    text_free(&body);
    if (!err) return;
    sv->tried = NULL;
    snprintf(sv->why, sizeof sv->why, "%s", mill_error());
    not_yet(sv, LATEST);
}

static bool is_busy(const http_result *r)
{
    return r->status == 408 || r->status == 429 || r->status >= 500;
}

/* Of a server by URL, whose manners nobody told, they are those of who owns the model. */
static void take_model(server *sv, model_listed *m)
{
    mill_free(sv->listed);
    sv->listed = m->name;
    sv->context = m->context;
    if (sv->preset || !(sv->preset = preset_of_owner(m->owner)) || !sv->preset->window) return;
    server_window *w = &sv->window;
    w->size = fmin(w->is_fixed ? w->size : w->most, (double)sv->preset->window);
    w->is_fixed = true;
}

static void heard_models(void *ctx, const http_result *r)
{
    server *sv = ctx;
    model_listed m = {0};
    char words[700];

    sv->asked = NULL;
    if (r->end != HTTP_DONE && r->end != HTTP_BROKEN) {
        snprintf(sv->why, sizeof sv->why, "/v1/models: %s", r->why);
        not_yet(sv, 0);
    } else if (r->end == HTTP_DONE && is_busy(r)) {
        snprintf(sv->why, sizeof sv->why, "/v1/models says status %d", r->status);
        not_yet(sv, r->rates.retry_after);
    } else if (r->end == HTTP_BROKEN || r->status != 200) {
        const bool is_key = r->status == 401 || r->status == 403;
        snprintf(words, sizeof words, "%s: %s: /v1/models says %s%d%s%.200s", sv->name,
                 is_key ? "it refuses the key" : "no OpenAI-compatible server", "status ",
                 r->status, r->end == HTTP_BROKEN ? ": " : "", r->end == HTTP_BROKEN ? r->why : "");
        is_wrong(sv, words);
    } else if (probe_models(&m, r->body, r->n, sv->all->o.model, sv->is_ours, sv->name)) {
        is_wrong(sv, mill_error());
    } else {
        take_model(sv, &m);
        if (sv->is_ours)
            try_one_token(sv);
        else
            be_ready(sv);
    }
}

static void ask_models(server *sv)
{
    ask(sv, "/v1/models", PROBE_SECONDS, heard_models);
}

static void heard_health(void *ctx, const http_result *r)
{
    server *sv = ctx;

    sv->asked = NULL;
    if (r->end == HTTP_DONE && !is_busy(r)) { /* another status: it has no such path */
        sv->health = r->status == 200 ? HAS : HAS_NOT;
        ask_models(sv);
    } else if (r->end == HTTP_BROKEN) {
        ask_models(sv); /* which says what is wrong */
    } else {
        if (r->end == HTTP_DONE)
            snprintf(sv->why, sizeof sv->why, "/health says status %d", r->status);
        else
            snprintf(sv->why, sizeof sv->why, "%s", r->why);
        not_yet(sv, r->rates.retry_after);
    }
}

static void ask_health(server *sv)
{
    if (sv->preset && !sv->preset->health)
        ask_models(sv);
    else
        ask(sv, sv->preset ? sv->preset->health : "/health", PROBE_SECONDS, heard_health);
}

/* ---- while it is ready ---- */

/* One by URL that answers no more. */
static void went_down(server *sv, const char *why)
{
    if (sv->life != LIFE_READY) return;
    life_cancel(sv);
    sv->life = LIFE_PROBED;
    sv->since = http_now();
    sv->deaths++;
    sv->idle_from = -1;
    snprintf(sv->why, sizeof sv->why, "%s", why);
    mill_log(MILL_LOG_WARN, "%s is down: %s", sv->name, why);
    life_after(sv, sv->pause, ask_health);
    sv->pause = fmin(2 * sv->pause, LATEST);
}

/* How, in words; NULL: it does not. */
static const char *hangs(const server *sv, double now)
{
    const bool is_silent = now - sv->sign_at >= hang_seconds(sv);
    const bool is_stuck = sv->timeouts >= MANY_TIMEOUTS && now - sv->answer_at >= hang_seconds(sv);
    const bool may_compute = sv->health != HAS && sv->metrics != HAS && sv->window.in_flight;

    if (is_silent && (!may_compute || sv->timeouts)) return "it answers no more";
    return is_stuck ? "all requests time out" : NULL;
}

static void look_again(server *sv)
{
    const double now = http_now(), hang = hang_seconds(sv);

    const char *how = hangs(sv, now);
    if (!how && sv->refuses) {
        look_after(sv, OFTEN);
        return;
    }
    if (!how) {
        const double often = window_is_sought(&sv->window) ? OFTEN : 1;
        look_after(sv, sv->metrics == HAS ? fmin(often, hang / 6) : hang / 6);
        return;
    }
    if (!sv->is_ours) {
        went_down(sv, how);
        sv->is_lost = true;
        life_tell(sv);
        return;
    }
    snprintf(sv->why, sizeof sv->why, "it hung: %s for %g s", how, hang);
    mill_log(MILL_LOG_WARN, "%s hangs: %s; it is ended", sv->name, how);
    process_end(sv);
}

/* A connection stood: it may have requests again. */
static void accepts(server *sv)
{
    if (!sv->refuses) return;
    sv->refuses = false;
    life_tell(sv);
}

void life_sign(server *sv, double seconds)
{
    sv->sign_at = http_now();
    sv->alive_at = fmax(sv->alive_at, sv->sign_at - seconds);
    accepts(sv);
}

static void heard_look(void *ctx, const http_result *r)
{
    server *sv = ctx;

    sv->asked = NULL;
    if (r->end == HTTP_NO_CONNECTION && !sv->is_ours) {
        went_down(sv, r->why);
        life_tell(sv);
        return;
    }
    if (r->end == HTTP_NO_CONNECTION)
        sv->refuses = true;
    else
        accepts(sv);
    if (r->end == HTTP_DONE && !is_busy(r)) life_sign(sv, r->seconds);
    look_again(sv);
}

static void heard_metrics(void *ctx, const http_result *r)
{
    server *sv = ctx;
    server_metrics m;

    if (r->end == HTTP_DONE && !is_busy(r)) {
        sv->metrics = r->status == 200 && probe_metrics(&m, r->body) ? HAS : HAS_NOT;
        if (sv->metrics == HAS) {
            const int64_t before = window_size(&sv->window);
            sv->told = m;
            window_steer(&sv->window, &m, http_now());
            if (window_size(&sv->window) > before) life_tell(sv);
        }
    }
    heard_look(sv, r);
}

static void look(server *sv)
{
    const double seconds = fmin(PROBE_SECONDS, hang_seconds(sv) / 2);

    if (sv->metrics != HAS_NOT)
        ask(sv, "/metrics", seconds, heard_metrics);
    else if (sv->health == HAS)
        ask(sv, sv->preset ? sv->preset->health : "/health", seconds, heard_look);
    else if (sv->is_ours)
        ask(sv, "/v1/models", seconds, heard_look);
    /* else a hosted one: its answers are its signs of life */
}

void life_lost_connection(server *sv, http_end end, const char *why)
{
    if (!sv->is_ours) {
        if (end == HTTP_NO_CONNECTION) went_down(sv, why);
        return;
    }
    if (end == HTTP_NO_CONNECTION) sv->refuses = true;
    const bool is_looked_at = sv->asked || sv->look_at < http_now() + SOON;
    if (sv->life == LIFE_READY && !is_looked_at) look_after(sv, SOON);
}
