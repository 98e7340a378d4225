/*
 * server_process.c - a server of ours as a process: where it listens, how it starts and dies.
 *
 * A port can be another's before our server listens there.  It then ends with "address in use" and
 * is started with the next one.
 */
#include "reason/server_inner.h"

#include "base/log.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const double NEXT_PORT_SECONDS = 0.05, LONGEST_PAUSE = 60;
enum { MOST_PORTS = 20, EXIT_CANNOT = 126 };

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
        life_after(sv, NEXT_PORT_SECONDS, life_begin);
        return;
    }
    if (!was_ended) sv->deaths++;
    const bool cannot = WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CANNOT && !was_ready;
    if (cannot || ++sv->restarts > s->o.most_restarts) {
        life_give_up(sv);
        return;
    }
    mill_log(MILL_LOG_WARN, "%s: %s; it is started again in %g s (%lld of %lld)", sv->name, sv->why,
             sv->pause, (long long)sv->restarts, (long long)s->o.most_restarts);
    life_after(sv, sv->pause, life_begin);
    sv->pause = fmin(2 * sv->pause, LONGEST_PAUSE);
    life_tell(sv);
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

mill_err process_start(server *sv)
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

void process_end(server *sv)
{
    life_cancel(sv);
    sv->life = LIFE_ENDING;
    sv->deaths++;
    sv->idle_from = -1;
    child_signal(&sv->child, sv->all->o.cleanup_seconds > 0 ? SIGTERM : SIGKILL);
    if (sv->all->o.cleanup_seconds > 0) life_after(sv, sv->all->o.cleanup_seconds, end_slow);
    life_tell(sv);
}
