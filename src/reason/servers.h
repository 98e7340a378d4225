/*
 * servers.h - the servers that answer: given by URL, or started here, one on each device.
 *
 * Each has a window, the number of requests that it may have in flight: --batch-size, or by itself
 * (additive increase while answers come, halved by 429, 503 and time-outs; steered by /metrics
 * where the server has it, so that a few requests wait there, but not many).  A server that is down
 * has no room; one that was started here is started again, after a pause that doubles.
 */
#ifndef MILL_REASON_SERVERS_H
#define MILL_REASON_SERVERS_H

#include "reason/chat.h"

enum { SERVERS_MAX = 256 };

typedef struct servers servers;

typedef struct {
    const char *const *url; /* (n_url) servers that run; http://, https:// or unix:PATH */
    int n_url;
    /* A preset's name or a command with {model} {port} {gpu} {socket}; NULL: none. */
    const char *serve;
    int n_serve; /* how many to start; 0: one on each GPU that is visible, 1 where there is none */
    const char *model;  /* NULL: the only one that is served */
    const char *key;    /* from the environment */
    const char *folder; /* for sockets of servers started here, and logs/ */
    int64_t window;     /* at most in flight for each; 0: automatic */
    int64_t most;       /* of automatic windows; 0: 256 */
    double requests_per_minute, tokens_per_minute; /* of each server; 0: as its headers say */
    double start_seconds;   /* a server not ready by then has failed; 0: 900, and 60 for one that is
                               given by URL and was never ready */
    double hang_seconds;    /* neither health nor an answer for so long: it hangs; 0: 60 */
    double restart_seconds; /* the first pause, which doubles; 0: 1 */
    double cleanup_seconds; /* from SIGTERM to SIGKILL; 0: at once */
    int64_t most_restarts;  /* of one server without an answer in between; then it is given up */
    bool is_judge;          /* words for people: "judge server" */
    bool fast;              /* --optimize-gpu */
    const char *preset;     /* for url servers: which preset's manners; NULL: found out */
    void (*changed)(void *ctx); /* there may be room where there was none, or a server died */
    void *ctx;
} servers_options;

/* Starts what is to be started; readiness comes later, by `changed`.  MILL_EINPUT: no such preset,
 * a command without {port} or {socket}, a URL that is none. */
mill_err servers_open(servers **out, http_loop *l, const servers_options *o);
void servers_close(servers *s); /* ends those started here, waits for them; NULL is allowed */

/* MILL_EIO or MILL_EINPUT, with the last words of its log, once no server is or will be ready, one
 * is no such server, or does not serve the model. */
mill_err servers_check(const servers *s);

int servers_n(const servers *s);
/* A server with room, `prefer` first (-1: none), else the least loaded by share of its window; its
 * slot is taken. -1: none now.  `tokens`: what the request may cost, for limits. */
int servers_take(servers *s, int prefer, int64_t tokens);
/* The slot back, with what came; `tokens` as it was taken for, `used` in all. */
void servers_give(servers *s, int i, int64_t tokens, const chat_reply *r, int64_t used);
void servers_give_unused(servers *s, int i, int64_t tokens);
/* Seconds until a limit leaves room; < 0: nothing to wait for. */
double servers_wait(const servers *s);

/* What became of server i, to which a connection was lost at `lost_at` (0: it was not), with a
 * request in flight that was sent when it had died `deaths` times. */
typedef enum {
    FATE_LIVES,   /* it gave a sign of life since, or none was to be had for half a minute */
    FATE_DIED,    /* or was given up as hung */
    FATE_UNKNOWN, /* one of ours, silent since, whose process may be on its way out */
} server_fate;
server_fate servers_fate(const servers *s, int i, int64_t deaths, double lost_at);

typedef struct {
    const char *url, *socket, *key, *name; /* borrowed; for chat_request.  name: for people */
    const char *model;     /* as the server lists it: what requests name; NULL before it is ready */
    bool schema_as_object; /* chat_params */
    bool is_ready;
    bool is_lost;    /* by URL, and silent for hang_seconds: what it has in flight will not come */
    int64_t context; /* max_model_len, if told; else 0 */
    int64_t window, in_flight;
    int64_t deaths; /* times that it died, or was given up as hung */
    int64_t done, failed, tokens;
    int64_t running, waiting; /* of /metrics; -1: not told */
    double cache_share;       /* of the KV cache in use; -1: not told */
    double idle_seconds;      /* ready, with nothing in flight */
} server_view;
/* Asked for with each request: a server that was started again may listen elsewhere. */
void servers_view(const servers *s, int i, server_view *out);

#endif
