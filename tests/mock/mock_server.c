/*
 * mock_server.c - an OpenAI-compatible server that answers by arithmetic and fails by script.
 *
 * One thread, one epoll descriptor, sockets as they are: no HTTP library would let it misbehave.
 *
 *     GET  /health  /v1/models  /metrics (vLLM's names)  /mock (counts, JSON)
 *     POST /v1/chat/completions    whole, or streamed as server-sent events
 *
 * The reply is a function of the request's body alone (mock_reply.c): runs that ask the same get
 * the same bytes, `created` too, whatever the order, the server or the number of attempts.  The
 * first line of stdout is the URL, once it listens.  With --log each chat leaves a line:
 *
 *     number stage hash attempt prompt_tokens completion_tokens status fault sent|cut
 */
#include "mock/mock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef enum { READING, QUEUED, SERVING, SENDING } conn_state;

typedef struct conn {
    int fd, heap; /* heap: place in it, -1: not there */
    conn_state state;
    bytes in;
    size_t request_bytes; /* of `in`, that the request under way takes */
    wire w;
    size_t sent, at_step;
    double due;
    bool is_chat, closes, dead, writes, has_waited;
    ask a;
    reply r;
    const fault *f;
    int64_t number, attempt;
    struct conn *next;
} conn;

typedef struct {
    uint64_t hash;
    int64_t n;
} seen;

enum { GAP_STEPS = 100000, MOST_PLACES = 1024 };

static struct {
    const char *host, *socket, *key, *log, *latency;
    int port, listener, epoll;
    int64_t window, context;
    bool refuses, has_script;
    double ready_after, token_gap;
    reply_options reply;
    faults faults;
    FILE *log_file;
    conn **heap;
    int n_heap, cap_heap;
    conn *queue, **queue_end;
    conn *dead;
    seen *seen;
    size_t n_seen, cap_seen;
    double start, first_chat, last_chat, busy, busy_since;
    /* With --gaps: when responses ended that no request has followed yet, oldest first from
     * ended_at on; and how long the next request took to come, in steps of 10 us. */
    bool gaps;
    double *ended;
    size_t ended_at, n_ended, cap_ended;
    int64_t gap[GAP_STEPS], n_gaps;
    /* When the last chats came, as many as there are places, and how busy it had been by then. */
    struct {
        double came, busy;
    } last[MOST_PLACES];
    int64_t chats, plain, accepted, open, running, waiting, most_running, prompt_tokens,
        completion_tokens, expects;
} S = {.host = "127.0.0.1", .latency = "0", .reply = {.right = .7, .name = "mock"}};

_Noreturn void mock_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("mock_server: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a heap of connections by `due` ---- */

static void heap_put(int i, conn *c)
{
    S.heap[i] = c;
    c->heap = i;
}

static void heap_up(int i, conn *c)
{
    for (; i && S.heap[(i - 1) / 2]->due > c->due; i = (i - 1) / 2)
        heap_put(i, S.heap[(i - 1) / 2]);
    heap_put(i, c);
}

static void heap_down(int i, conn *c)
{
    for (int k; (k = 2 * i + 1) < S.n_heap; i = k) {
        if (k + 1 < S.n_heap && S.heap[k + 1]->due < S.heap[k]->due) k++;
        if (S.heap[k]->due >= c->due) break;
        heap_put(i, S.heap[k]);
    }
    heap_put(i, c);
}

static void wake_at(conn *c, double due)
{
    c->due = due;
    if (S.n_heap == S.cap_heap) {
        S.cap_heap = S.cap_heap ? 2 * S.cap_heap : 256;
        S.heap = realloc(S.heap, (size_t)S.cap_heap * sizeof *S.heap);
        if (!S.heap) mock_die("no memory");
    }
    heap_up(S.n_heap++, c);
}

static void wake_never(conn *c)
{
    if (c->heap < 0) return;
    const int i = c->heap;
    conn *last = S.heap[--S.n_heap];

    c->heap = -1;
    if (last == c) return;
    heap_down(i, last);
    heap_up(last->heap, last);
}

/* ---- counts ---- */

/* How often this request came, this time too. */
static int64_t count_attempt(uint64_t hash)
{
    if (2 * S.n_seen >= S.cap_seen) {
        seen *old = S.seen;
        const size_t n = S.cap_seen;
        S.cap_seen = n ? 2 * n : 1024;
        S.seen = calloc(S.cap_seen, sizeof *S.seen);
        if (!S.seen) mock_die("no memory");
        for (size_t i = 0; i < n; i++) {
            if (!old[i].n) continue;
            size_t k = old[i].hash & (S.cap_seen - 1);
            while (S.seen[k].n) k = (k + 1) & (S.cap_seen - 1);
            S.seen[k] = old[i];
        }
        free(old);
    }
    size_t k = hash & (S.cap_seen - 1);
    while (S.seen[k].n && S.seen[k].hash != hash) k = (k + 1) & (S.cap_seen - 1);
    if (!S.seen[k].n) S.n_seen++;
    S.seen[k].hash = hash;
    return ++S.seen[k].n;
}

static void set_running(int64_t n)
{
    const double t = now();
    const double full = S.window ? (double)S.window : 1;

    S.busy += (t - S.busy_since) * ((double)S.running < full ? (double)S.running : full) / full;
    S.busy_since = t;
    S.running = n;
    if (n > S.most_running) S.most_running = n;
}

static void log_chat(const conn *c, bool whole)
{
    S.prompt_tokens += c->a.prompt_tokens;
    S.completion_tokens += c->w.status == 200 ? (int64_t)c->r.n : 0;
    if (!S.log_file) return;
    fprintf(S.log_file, "%lld %s %016llx %lld %lld %lld %d %s %s\n", (long long)c->number,
            ask_stage_names[c->a.stage], (unsigned long long)c->a.hash, (long long)c->attempt,
            (long long)c->a.prompt_tokens, c->w.status == 200 ? (long long)c->r.n : 0LL,
            c->w.status, fault_names[c->f ? c->f->kind : FAULT_NONE], whole ? "sent" : "cut");
}

/* ---- gaps ---- */

static void note_end(void)
{
    if (S.n_ended == S.cap_ended) {
        S.cap_ended = S.cap_ended ? 2 * S.cap_ended : 4096;
        S.ended = realloc(S.ended, S.cap_ended * sizeof *S.ended);
        if (!S.ended) mock_die("no memory");
    }
    S.ended[S.n_ended++] = now();
}

static void note_request(void)
{
    if (S.ended_at == S.n_ended) return;
    const double gap = now() - S.ended[S.ended_at++];
    const int64_t k = (int64_t)(gap * 1e5);

    S.gap[k < GAP_STEPS ? k : GAP_STEPS - 1]++;
    S.n_gaps++;
    if (S.ended_at == S.n_ended) S.ended_at = S.n_ended = 0;
}

/* Microseconds that this share of the gaps did not exceed. */
static long long gap_quantile(double q)
{
    int64_t sum = 0;

    for (int i = 0; i < GAP_STEPS; i++)
        if ((double)(sum += S.gap[i]) >= q * (double)S.n_gaps) return 10LL * (i + 1);
    return 0;
}

/* ---- requests ---- */

static void begin(conn *c);

static void finish_chat(conn *c, bool whole)
{
    if (!c->is_chat) return;
    c->is_chat = false;
    if (c->state == QUEUED) {
        conn **p = &S.queue;
        while (*p != c) p = &(*p)->next;
        if (!(*p = c->next)) S.queue_end = p;
        S.waiting--;
        return;
    }
    S.last_chat = now();
    if (S.gaps && whole) note_end();
    log_chat(c, whole);
    set_running(S.running - 1);
    if (S.queue && (!S.window || S.running < S.window)) {
        conn *next = S.queue;
        if (!(S.queue = next->next)) S.queue_end = &S.queue;
        S.waiting--;
        begin(next);
    }
}

/* It is freed at the end of the turn: events for it may be waiting. */
static void drop(conn *c)
{
    if (c->dead) return;
    c->dead = true;
    finish_chat(c, false);
    wake_never(c);
    close(c->fd);
    S.open--;
    c->next = S.dead;
    S.dead = c;
}

static void reset(conn *c)
{
    const struct linger l = {1, 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    drop(c);
}

static void parse(conn *c);

static void response_done(conn *c)
{
    finish_chat(c, true);
    if (c->closes) {
        drop(c);
        return;
    }
    c->in.n -= c->request_bytes;
    memmove(c->in.s, c->in.s + c->request_bytes, c->in.n);
    c->request_bytes = 0;
    c->state = READING;
    if (c->in.n) parse(c);
}

static void want_writes(conn *c, bool writes)
{
    struct epoll_event e = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};

    if (c->writes == writes) return;
    c->writes = writes;
    epoll_ctl(S.epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* Everything up to `upto` has gone out; false: something has to be waited for, or it is gone. */
static bool send_upto(conn *c, size_t upto)
{
    while (c->sent < upto) {
        const ssize_t n = send(c->fd, c->w.out.s + c->sent, upto - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            want_writes(c, true);
            return false;
        }
        if (n < 0) {
            drop(c);
            return false;
        }
        c->sent += (size_t)n;
    }
    want_writes(c, false);
    return true;
}

static void go_on(conn *c)
{
    while (c->at_step < c->w.n) {
        const step *s = c->w.steps + c->at_step;
        if (!send_upto(c, s->upto)) return;
        if (s->wait > 0 && !c->has_waited) {
            c->has_waited = true;
            wake_at(c, now() + s->wait);
            return;
        }
        c->has_waited = false;
        if (s->then == THEN_HANG) return;
        c->at_step++;
        if (s->then == THEN_EXIT) {
            log_chat(c, false);
            exit(9);
        }
        if (s->then == THEN_RESET) {
            reset(c);
            return;
        }
        if (s->then == THEN_CLOSE) {
            drop(c);
            return;
        }
    }
    if (send_upto(c, c->w.out.n)) response_done(c);
}

static double draw_latency(const conn *c)
{
    double x = 0, y = 0;
    const double u = unit64(mix64(c->a.hash ^ 5));

    if (c->f && c->f->latency >= 0) return c->f->latency;
    if (sscanf(S.latency, "uniform:%lf:%lf", &x, &y) == 2) return x + (y - x) * u;
    if (sscanf(S.latency, "exponential:%lf", &x) == 1) /* cut at eight means */
        return u < .9997 ? x * (u < .5 ? 1.4 * u : .7 + 2.5 * (u - .5)) : 8 * x;
    return sscanf(S.latency, "%lf", &x) == 1 ? x : 0;
}

/* Its turn has come: the server computes, which takes the latency, and answers. */
static void begin(conn *c)
{
    const double latency = *S.latency == '0' && !S.latency[1] && !c->f ? 0 : draw_latency(c);

    c->state = SERVING;
    set_running(S.running + 1);
    if (latency > 0)
        wake_at(c, now() + latency);
    else {
        c->state = SENDING;
        go_on(c);
    }
}

static void start_sending(conn *c)
{
    c->state = SENDING;
    c->sent = c->at_step = 0;
    c->has_waited = false;
    go_on(c);
}

/* What a real server refuses before it computes. */
static bool refuse(conn *c, const char *head, size_t n)
{
    char key[300], message[200];
    const ask *a = &c->a;

    snprintf(key, sizeof key, "\r\nAuthorization: Bearer %s\r\n", S.key ? S.key : "");
    if (S.key && !memmem(head, n, key, strlen(key)))
        wire_error(&c->w, 401, "Unauthorized", NULL);
    else if (!a->valid)
        wire_error(&c->w, 400, "the body is no chat completion", NULL);
    else if (a->model.n != strlen(S.reply.name) + 2 ||
             memcmp(a->model.p + 1, S.reply.name, a->model.n - 2) != 0)
        wire_error(&c->w, 404, "The model does not exist.", NULL);
    else if ((c->f && c->f->kind == FAULT_CONTEXT) ||
             (S.context && a->max_tokens < INT64_MAX / 2 &&
              a->prompt_tokens + a->max_tokens > S.context)) {
        const long long context = S.context ? S.context : (long long)a->prompt_tokens + 20;
        snprintf(message, sizeof message,
                 "This model's maximum context length is %lld tokens. However, you requested %lld "
                 "tokens (%lld in the messages, %lld in the completion). Please reduce the length "
                 "of the messages or completion.",
                 context, (long long)(a->prompt_tokens + a->max_tokens),
                 (long long)a->prompt_tokens, (long long)a->max_tokens);
        wire_error(&c->w, 400, message, NULL);
    } else if (S.window && S.refuses && S.running >= S.window)
        wire_error(&c->w, 503, "too many requests", NULL);
    else
        return false;
    return true;
}

static void take_chat(conn *c, const char *head, size_t head_bytes, const char *body, size_t n)
{
    ask_read(&c->a, body, n);
    c->number = ++S.chats;
    c->attempt = S.has_script || S.log_file ? count_attempt(c->a.hash) : 1;
    if (!S.first_chat) S.first_chat = S.busy_since = now();
    set_running(S.running);
    const int64_t places = S.window && S.window < MOST_PLACES ? S.window : 1;
    S.last[S.chats % places].came = S.busy_since;
    S.last[S.chats % places].busy = S.busy;
    if (S.gaps) note_request();
    const fault_case k = {"", body, n, c->number, c->attempt, c->a.hash, (int)c->a.stage};
    c->f = S.has_script ? faults_find(&S.faults, &k) : NULL;
    c->is_chat = true;
    c->r.n = 0;
    c->sent = c->at_step = 0;
    c->has_waited = false;
    if (refuse(c, head, head_bytes)) {
        c->state = SERVING;
        set_running(S.running + 1);
        start_sending(c);
        return;
    }
    reply_make(&c->r, &c->a, &S.reply);
    wire_chat(&c->w, &c->a, &c->r, c->f, &S.reply, S.token_gap);
    if (S.window && S.running >= S.window) {
        c->state = QUEUED;
        c->next = NULL;
        *S.queue_end = c;
        S.queue_end = &c->next;
        S.waiting++;
        return;
    }
    begin(c);
}

static void put_counts(bytes *b)
{
    /* Of the time in which at least as many chats were still to come as there are places. */
    const int64_t places = S.window && S.window < MOST_PLACES ? S.window : 1;
    const int64_t oldest = S.chats >= places ? (S.chats + 1) % places : 0;
    const double while_work = S.last[oldest].came - S.first_chat;
    const double idle = while_work > 0 ? 1 - S.last[oldest].busy / while_work : 0;

    set_running(S.running);
    bytes_fmt(b,
              "{\"chats\":%lld,\"plain\":%lld,\"accepted\":%lld,\"open\":%lld,\"running\":%lld,"
              "\"waiting\":%lld,\"most_running\":%lld,\"prompt_tokens\":%lld,"
              "\"completion_tokens\":%lld,\"expects\":%lld,\"seconds\":%.6f,\"busy\":%.6f,"
              "\"idle_share\":%.6f,\"gaps\":%lld,\"gap_us_p50\":%lld,\"gap_us_p99\":%lld}\n",
              (long long)S.chats, (long long)S.plain, (long long)S.accepted, (long long)S.open,
              (long long)S.running, (long long)S.waiting, (long long)S.most_running,
              (long long)S.prompt_tokens, (long long)S.completion_tokens, (long long)S.expects,
              S.last_chat - S.first_chat, S.busy, idle, (long long)S.n_gaps, gap_quantile(.5),
              gap_quantile(.99));
}

static void put_metrics(bytes *b)
{
    const double share = S.window ? (double)S.running / (double)S.window : 0;

    bytes_fmt(b,
              "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
              "# TYPE vllm:num_requests_running gauge\n"
              "vllm:num_requests_running{engine=\"0\",model_name=\"%s\"} %lld.0\n"
              "# TYPE vllm:num_requests_waiting gauge\n"
              "vllm:num_requests_waiting{engine=\"0\",model_name=\"%s\"} %lld.0\n"
              "# TYPE vllm:kv_cache_usage_perc gauge\n"
              "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"%s\"} %g\n"
              "# TYPE vllm:num_preemptions_total counter\n"
              "vllm:num_preemptions_total{engine=\"0\",model_name=\"%s\"} 0.0\n",
              S.reply.name, (long long)S.running, S.reply.name, (long long)S.waiting, S.reply.name,
              share, S.reply.name);
}

static void take_plain(conn *c, const char *path, bool is_get)
{
    const fault_case k = {path, "", 0, ++S.plain, 1, (uint64_t)S.plain, -1};
    bytes b = {0};

    c->f = S.has_script ? faults_find(&S.faults, &k) : NULL;
    if (c->f && c->f->kind == FAULT_STATUS)
        wire_error(&c->w, (int)c->f->arg, "scripted", c->f);
    else if (!is_get)
        wire_error(&c->w, 405, "Method Not Allowed", NULL);
    else if (now() - S.start < S.ready_after)
        wire_error(&c->w, 503, "Loading model", NULL);
    else if (!strcmp(path, "/health"))
        bytes_str(&b, "{\"status\":\"ok\"}");
    else if (!strcmp(path, "/v1/models"))
        bytes_fmt(&b,
                  "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\","
                  "\"created\":1700000000,\"owned_by\":\"mock\",\"max_model_len\":%lld}]}",
                  S.reply.name, (long long)(S.context ? S.context : 32768));
    else if (!strcmp(path, "/metrics"))
        put_metrics(&b);
    else if (!strcmp(path, "/mock"))
        put_counts(&b);
    else
        wire_error(&c->w, 404, "Not Found", NULL);
    if (!c->w.status)
        wire_plain(&c->w, 200, strcmp(path, "/metrics") ? "application/json" : "text/plain", "",
                   &b);
    free(b.s);
    if (c->f && c->f->kind == FAULT_HANG) wire_stop(&c->w, 0, 0, THEN_HANG);
    if (c->f && c->f->kind == FAULT_CRASH) exit(9);
    start_sending(c);
}

static const char *header_of(const char *head, size_t n, const char *name)
{
    const char *p = head;

    while ((p = memmem(p, (size_t)(head + n - p), "\r\n", 2))) {
        p += 2;
        if (!strncasecmp(p, name, strlen(name))) return p + strlen(name);
    }
    return NULL;
}

/* A request that is whole is acted upon. */
static void parse(conn *c)
{
    const char *s = c->in.s, *end = memmem(s, c->in.n, "\r\n\r\n", 4);
    char path[200] = "";

    if (!end) return;
    const size_t head = (size_t)(end + 4 - s);
    const char *length = header_of(s, head, "content-length:");
    const size_t body = length ? strtoull(length, NULL, 10) : 0;
    if (header_of(s, head, "expect:")) S.expects++;
    if (c->in.n < head + body) return;
    c->request_bytes = head + body;
    c->closes = memmem(s, head, "\r\nConnection: close\r\n", 21) != NULL;
    wire_clear(&c->w);
    sscanf(s, "%*s %199s", path);
    if (!strcmp(path, "/v1/chat/completions") && !strncmp(s, "POST ", 5))
        take_chat(c, s, head, s + head, body);
    else
        take_plain(c, path, !strncmp(s, "GET ", 4));
}

static void read_some(conn *c)
{
    char *to = bytes_room(&c->in, 16384 + 1);
    const ssize_t n = recv(c->fd, to, c->in.cap - c->in.n - 1, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(c);
        return;
    }
    if (n < 0) return;
    c->in.n += (size_t)n;
    c->in.s[c->in.n] = 0;
    if (c->state == READING) parse(c);
}

static void accept_all(void)
{
    const int one = 1;
    int fd;

    while ((fd = accept4(S.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        conn *c = calloc(1, sizeof *c);
        if (!c) mock_die("no memory");
        c->fd = fd;
        c->heap = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (!S.socket) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(S.epoll, EPOLL_CTL_ADD, fd, &e);
        S.accepted++;
        S.open++;
    }
}

static void run_timers(void)
{
    const double t = S.n_heap ? now() : 0;

    while (S.n_heap && S.heap[0]->due <= t) {
        conn *c = S.heap[0];
        wake_never(c);
        if (c->state == SERVING)
            start_sending(c);
        else
            go_on(c);
    }
}

static void bury(void)
{
    for (conn *c; (c = S.dead);) {
        S.dead = c->next;
        free(c->in.s);
        free(c->r.text.s);
        free(c->r.end);
        wire_free(&c->w);
        free(c);
    }
}

static void serve(void)
{
    struct epoll_event events[256];

    for (;;) {
        int wait_ms = -1;
        if (S.n_heap) {
            const double left = S.heap[0]->due - now();
            wait_ms = left <= 0 ? 0 : (int)(left * 1000) + (left < .001 ? 0 : 1);
        }
        const int n = epoll_wait(S.epoll, events, 256, wait_ms);
        for (int i = 0; i < n; i++) {
            conn *c = events[i].data.ptr;
            if (!c)
                accept_all();
            else if (!c->dead && events[i].events & EPOLLOUT)
                go_on(c);
            else if (!c->dead)
                read_some(c);
        }
        run_timers();
        bury();
        if (S.log_file) fflush(S.log_file);
    }
}

/* ---- the start ---- */

static int listen_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)S.port)};
    socklen_t n = sizeof a;
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (inet_pton(AF_INET, S.host, &a.sin_addr) != 1) mock_die("%s is no address", S.host);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
        mock_die("port %d: %s", S.port, strerror(errno));
    getsockname(fd, (struct sockaddr *)&a, &n);
    printf("http://%s:%d\n", S.host, ntohs(a.sin_port));
    return fd;
}

static int listen_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(S.socket) >= sizeof a.sun_path) mock_die("%s is too long", S.socket);
    memcpy(a.sun_path, S.socket, strlen(S.socket) + 1);
    unlink(S.socket);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
        mock_die("%s: %s", S.socket, strerror(errno));
    printf("unix:%s\n", S.socket);
    return fd;
}

static const char usage[] =
    "mock_server [--port N] [--host A] [--socket PATH] [--model NAME] [--key KEY] [--log FILE]\n"
    "  [--faults FILE] [--fault 'LINE']... [--latency S|uniform:A:B|exponential:MEAN]\n"
    "  [--token-gap S] [--reply-bytes N] [--reasoning] [--right SHARE] [--good LEAST]\n"
    "  [--window N] [--refuse] [--context TOKENS] [--ready-after S] [--gaps]\n"
    "--port 0: a free one.  --window: so many at a time, others wait (--refuse: get 503).\n"
    "--gaps: measure how long after a response the next request comes (GET /mock).\n"
    "--right: share of sums A + B in messages that it gets right.  --good: least score.\n";

static void take_option(int o, const char *v)
{
    switch (o) {
    case 'p':
        S.port = atoi(v);
        break;
    case 'h':
        S.host = v;
        break;
    case 's':
        S.socket = v;
        break;
    case 'm':
        S.reply.name = v;
        break;
    case 'k':
        S.key = v;
        break;
    case 'l':
        S.log = v;
        break;
    case 'F':
        faults_read(&S.faults, v);
        break;
    case 'f':
        faults_add(&S.faults, v);
        break;
    case 't':
        S.latency = v;
        break;
    case 'g':
        S.token_gap = atof(v);
        break;
    case 'b':
        S.reply.bytes = (size_t)atoll(v);
        break;
    case 'r':
        S.reply.reasoning = true;
        break;
    case 'R':
        S.reply.right = atof(v);
        break;
    case 'G':
        S.reply.good = atof(v);
        break;
    case 'w':
        S.window = atoll(v);
        break;
    case 'W':
        S.refuses = true;
        break;
    case 'c':
        S.context = atoll(v);
        break;
    case 'i':
        S.gaps = true;
        break;
    case 'a':
        S.ready_after = atof(v);
        break;
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'p'},      {"host", 1, 0, 'h'},        {"socket", 1, 0, 's'},
        {"model", 1, 0, 'm'},     {"key", 1, 0, 'k'},         {"log", 1, 0, 'l'},
        {"faults", 1, 0, 'F'},    {"fault", 1, 0, 'f'},       {"latency", 1, 0, 't'},
        {"token-gap", 1, 0, 'g'}, {"reply-bytes", 1, 0, 'b'}, {"reasoning", 0, 0, 'r'},
        {"right", 1, 0, 'R'},     {"good", 1, 0, 'G'},        {"window", 1, 0, 'w'},
        {"refuse", 0, 0, 'W'},    {"context", 1, 0, 'c'},     {"ready-after", 1, 0, 'a'},
        {"gaps", 0, 0, 'i'},      {"help", 0, 0, '?'},        {0}};
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) take_option(o, optarg);
    S.has_script = S.faults.n > 0;
    S.queue_end = &S.queue;
    S.start = now();
    signal(SIGPIPE, SIG_IGN);
    if (S.log && !(S.log_file = fopen(S.log, "a"))) mock_die("%s: %s", S.log, strerror(errno));
    S.epoll = epoll_create1(EPOLL_CLOEXEC);
    S.listener = S.socket ? listen_unix() : listen_tcp();
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(S.epoll, EPOLL_CTL_ADD, S.listener, &e);
    fflush(stdout);
    serve();
}
