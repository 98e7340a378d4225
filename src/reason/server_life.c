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
 * A port can be another's before our server listens there.  It then ends with "address in use" and
 * is started with the next; until it ends, somebody else answers our probes, so that a server of
 * ours is called a wrong one only after ALIEN seconds of it.
 */
#include "reason/server_inner.h"

#include "base/log.h"
#include "base/text.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double ALIEN = 5, SOON = 0.05, OFTEN = 0.1, LATEST = 5, LONGEST_PAUSE = 60,
                    PROBE_SECONDS = 10;
enum { MANY_TIMEOUTS = 3, MOST_PORTS = 20, EXIT_CANNOT = 126 };

static void ask_health(server *sv);
static void look(server *sv);

static void tell(const server *sv)
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

static void after(server *sv, double seconds, void (*next)(server *sv))
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
    after(sv, seconds, look);
}

static void cancel(server *sv)
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
    cancel(sv);
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
    cancel(sv);
    tell(sv);
}

static void be_over(server *sv)
{
    sv->life = LIFE_OVER;
    cancel(sv);
    mill_log(MILL_LOG_WARN, "%s is given up: %s", sv->name, sv->why);
    tell(sv);
}

bool life_is_hopeless(const server *sv, double now)
{
    if (sv->life == LIFE_OVER) return true;
    return !sv->is_ours && sv->life != LIFE_READY && now - sv->since > start_seconds(sv);
}

/* ---- one of ours: start, output, death ---- */

static void read_output(void *ctx)
{
    server *sv = ctx;

    if (child_read(&sv->child)) return;
    http_unwatch(sv->all->loop, sv->child.output); /* it has closed it, and may live on */
    close(sv->child.output);
    sv->child.output = -1;
}

static bool is_port_taken(const server *sv)
{
    return child_said(&sv->child, "address already in use") ||
           child_said(&sv->child, "address in use") || child_said(&sv->child, "errno 98") ||
           child_said(&sv->child, "couldn't bind");
}

static void died(void *ctx)
{
    server *sv = ctx;
    servers *s = sv->all;
    const bool was_ready = sv->life == LIFE_READY, was_ended = sv->life == LIFE_ENDING;
    char end[96], words[400];
    int status = 0;

    if (!child_reap(&sv->child, &s->guard, &status)) return;
    life_stop(sv);
    child_close(&sv->child);
    sv->life = LIFE_WAITS;
    sv->idle_from = -1;
    if (!was_ended) {
        child_last_words(words, sizeof words, &sv->child);
        snprintf(sv->why, sizeof sv->why, "it %s%s%s", child_describe(end, status),
                 *words ? "; its last words: " : "", words);
    }
    if (!was_ready && !was_ended && is_port_taken(sv) && ++sv->ports_tried < MOST_PORTS) {
        mill_log(MILL_LOG_INFO, "%s: port %d is another's by now; the next one", sv->name,
                 sv->port);
        after(sv, SOON, life_begin);
        return;
    }
    if (!was_ended) sv->deaths++;
    const bool cannot = WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CANNOT && !was_ready;
    if (cannot || ++sv->restarts > s->o.most_restarts) {
        be_over(sv);
        return;
    }
    mill_log(MILL_LOG_WARN, "%s: %s; it is started again in %g s (%lld of %lld)", sv->name, sv->why,
             sv->pause, (long long)sv->restarts, (long long)s->o.most_restarts);
    after(sv, sv->pause, life_begin);
    sv->pause = fmin(2 * sv->pause, LONGEST_PAUSE);
    tell(sv);
}

/* Where it is to listen: a socket in the folder, else a port. */
static mill_err choose_place(server *sv, char port[16])
{
    int taken[SERVERS_MAX], n = 0;

    if (sv->has_socket) {
        unlink(sv->socket);
        snprintf(sv->url, sizeof sv->url, "http://localhost");
        return MILL_OK;
    }
    for (int i = 0; i < sv->all->n; i++) taken[n++] = sv->all->sv[i].port;
    TRY(child_port(&sv->port, taken, n));
    snprintf(port, 16, "%d", sv->port);
    snprintf(sv->url, sizeof sv->url, "http://127.0.0.1:%d", sv->port);
    return MILL_OK;
}

/* Words and environment of its process. */
static mill_err compose(char ***words, char ***env, server *sv, mill_arena *a, const char *port)
{
    const servers_options *o = &sv->all->o;
    const server_preset *p = sv->preset;
    char cache[800], visible[128], **more = NULL, **fast;
    int n, n_more = 0, n_fast;

    snprintf(cache, sizeof cache, "%s/cache-%d", o->folder, sv->i);
    const command_fill fill = {.model = o->model,
                               .port = sv->has_socket ? NULL : port,
                               .gpu = sv->gpu,
                               .socket = sv->has_socket ? sv->socket : NULL,
                               .cache = cache};
    TRY(command_words(words, &n, a, p ? p->command : o->serve, &fill));
    if (p && o->fast && *p->fast) {
        TRY(command_words(&fast, &n_fast, a, p->fast, &fill));
        TRY(command_join(words, a, n, fast, n_fast));
    }
    if (p && *p->environment && sv->all->n > 1)
        TRY(command_words(&more, &n_more, a, p->environment, &fill));
    snprintf(visible, sizeof visible, "CUDA_VISIBLE_DEVICES=%s", sv->gpu);
    return command_environment(env, a, more, n_more, sv->is_on_gpu ? visible : NULL);
}

static mill_err launch(server *sv)
{
    servers *s = sv->all;
    char port[16] = "", **words, **env;
    mill_arena *a = NULL;
    mill_err err;

    TRY(mill_arena_new(&a));
    if ((err = choose_place(sv, port))) goto done;
    if ((err = compose(&words, &env, sv, a, port))) goto done;
    if ((err = child_start(&sv->child, &s->guard, words, env))) goto done;
    err = http_watch(s->loop, sv->child.output, read_output, sv);
    if (!err) err = http_watch(s->loop, sv->child.pidfd, died, sv);
done:
    mill_arena_free(a);
    return err;
}

static void end_slow(server *sv)
{
    child_signal(&sv->child, SIGKILL);
}

/* One of ours that is to be replaced: `died` comes when it is gone. */
static void end_ours(server *sv)
{
    cancel(sv);
    sv->life = LIFE_ENDING;
    sv->deaths++;
    sv->idle_from = -1;
    child_signal(&sv->child, sv->all->o.cleanup_seconds > 0 ? SIGTERM : SIGKILL);
    if (sv->all->o.cleanup_seconds > 0) after(sv, sv->all->o.cleanup_seconds, end_slow);
    tell(sv);
}

/* ---- from started to ready ---- */

void life_begin(server *sv)
{
    sv->since = http_now();
    sv->bad_since = 0;
    sv->life = LIFE_PROBED;
    if (sv->is_ours && launch(sv)) {
        snprintf(sv->why, sizeof sv->why, "%s", mill_error());
        be_over(sv);
        return;
    }
    after(sv, SOON, ask_health);
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
        end_ours(sv);
        return;
    }
    after(sv, fmax(pause, least), ask_health);
    if (!sv->is_ours && now - sv->since > hang_seconds(sv)) sv->is_lost = true;
    if (sv->is_lost || life_is_hopeless(sv, now)) tell(sv);
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
    tell(sv);
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
    cancel(sv);
    sv->life = LIFE_PROBED;
    sv->since = http_now();
    sv->deaths++;
    sv->idle_from = -1;
    snprintf(sv->why, sizeof sv->why, "%s", why);
    mill_log(MILL_LOG_WARN, "%s is down: %s", sv->name, why);
    after(sv, sv->pause, ask_health);
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
        tell(sv);
        return;
    }
    snprintf(sv->why, sizeof sv->why, "it hung: %s for %g s", how, hang);
    mill_log(MILL_LOG_WARN, "%s hangs: %s; it is ended", sv->name, how);
    end_ours(sv);
}

static void accepts(server *sv)
{
    if (!sv->refuses) return;
    sv->refuses = false;
    tell(sv);
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
        tell(sv);
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
            if (window_size(&sv->window) > before) tell(sv);
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
