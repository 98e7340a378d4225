/*
 * server_inner.h - what the parts of the servers share.
 *
 *     servers.c          opened, asked for room, given back what came of it, closed
 *     server_life.c      the states and what leads from one to the next
 *     server_process.c   one of ours as a process, by server_child.c
 *     server_command.c   its command line
 *     server_probe.c     what is read from answers to probes
 *     server_window.c    how many requests may be in flight
 */
#ifndef MILL_REASON_SERVER_INNER_H
#define MILL_REASON_SERVER_INNER_H

#include "base/mem.h"
#include "reason/server_child.h"
#include "reason/server_window.h"
#include "reason/servers.h"

typedef struct {
    const char *name, *command, *fast, *environment, *health, *owner;
    int64_t window;
    bool schema_as_object;
} server_preset;

/* NULL: none */
const server_preset *preset_find(const char *name);
const server_preset *preset_of_owner(const char *owner);

typedef enum {
    LIFE_WAITS,  /* for a time to be started, or asked again */
    LIFE_PROBED, /* it may be there: is asked until it is ready */
    LIFE_READY,
    LIFE_ENDING, /* one of ours that hangs: until it is gone */
    LIFE_OVER
} server_life;

/* Whether it has /metrics, or health */
typedef enum { HAS_MAYBE, HAS_NOT, HAS } server_has;

typedef struct one_server server;
struct one_server {
    servers *all;
    int i;
    server_life life;
    const server_preset *preset; /* NULL: of unknown manners */
    char name[200], url[1024], socket[600], gpu[96];
    bool has_socket, is_ours, is_on_gpu, was_ready, is_lost;
    bool refuses; /* connections, though it should be ready: it is dying, or full */
    char *listed; /* of /v1/models; NULL before */
    int64_t context;

    server_child child; /* if it is ours */
    int port, ports_tried;
    int64_t restarts; /* since its last answer */

    http_call *asked; /* what is under way: at most one of the three */
    chat_call *tried;
    http_timer *timer;
    void (*next)(server *sv); /* when the timer runs out */
    double look_at;           /* while it is ready: when it does */
    server_has metrics, health;
    double pause;                        /* until it is asked or started again */
    double since;                        /* begins to be probed, or went down */
    double bad_since;                    /* answers, but not as a server of the model; 0: not */
    double ready_at, sign_at, answer_at; /* its last sign of life; request that it answered */
    double alive_at;  /* when the latest request that it answered was sent: it lived then */
    int64_t timeouts; /* without an answer in between */
    char why[512];    /* why it is not ready */

    server_window window;
    server_metrics told;
    int64_t deaths, done, failed, tokens;
    double idle_sum, idle_from; /* from: < 0 not idle */
};

struct servers {
    http_loop *loop;
    servers_options o; /* with copies of its text in the arena */
    mill_arena *arena;
    rank_guard guard;
    int folder_fd; /* for sockets whose path would be too long; -1: not needed */
    server *sv;
    int n;
    int64_t last_tokens; /* of the last request that was to be taken */
    mill_err fatal;
    char words[700]; /* of fatal */
};

/* ---- server_life.c ---- */

void life_begin(server *sv);
void life_sign(server *sv, double seconds); /* it answered what was sent so long ago */
/* end: HTTP_NO_CONNECTION or HTTP_RESET.  It is looked at, or is down. */
void life_lost_connection(server *sv, http_end end, const char *why);
bool life_is_hopeless(const server *sv, double now);
void life_stop(server *sv);   /* cancels what is under way and watched; the process stays */
void life_cancel(server *sv); /* what is under way, and its timer */
void life_give_up(server *sv);
void life_tell(const server *sv); /* servers_options.changed */
/* Calls `next` then, and not what was to be called before. */
void life_after(server *sv, double seconds, void (*next)(server *sv));

/* ---- server_process.c: of a server that is ours ---- */

mill_err process_start(server *sv);
/* To be replaced: it counts as dead from now on, and is begun again when it is gone. */
void process_end(server *sv);

/* ---- server_command.c ---- */

/* What stands for {model} and so on; NULL: not to be had. */
typedef struct {
    const char *model, *port, *gpu, *socket, *cache;
} command_fill;

/* Whether `text` names {what}. */
bool command_names(const char *text, const char *what);
/*
 * The words of a command, NULL-terminated, filled in and in the arena.  Words are as a shell makes
 * them of quotes and backslashes, and nothing else of a shell's: `sh -c '...'` has the rest.
 * MILL_EINPUT: a quote that is not closed, no words, {model} without a model.  Other braces are
 * text.
 */
mill_err command_words(char ***words, int *n, mill_arena *a, const char *text,
                       const command_fill *fill);
/* Appends to n words. */
mill_err command_join(char ***words, mill_arena *a, int n, char *const *more, int n_more);
/* Our environment, NAME=VALUE words that it lacks, and one more that goes over what it has; NULL:
 * none. */
mill_err command_environment(char ***env, mill_arena *a, char *const *words, int n,
                             const char *over);

/* ---- server_probe.c ---- */

/* True if there was anything that we know in Prometheus' text. */
bool probe_metrics(server_metrics *out, const char *text);
typedef struct {
    char *name;      /* as it is listed; mill_free */
    int64_t context; /* 0: not told */
    char owner[32];  /* owned_by */
} model_listed;
/*
 * Of /v1/models.  model NULL: the only one.  `any_name`: a server that we started and that lists
 * one model serves that one, whatever its name.  MILL_EINPUT, beginning with `who`: no such list,
 * or not in it.
 */
mill_err probe_models(model_listed *out, const char *body, size_t n, const char *model,
                      bool any_name, const char *who);

#endif
