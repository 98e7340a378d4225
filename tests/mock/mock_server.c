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
#include "mock/mock_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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
        S.heap = realloc(S.heap, (size_t)S.cap_heap * sizeof(void *));
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
    count_end(c, whole);
    count_running(S.running - 1);
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
            wake_at(c, mock_now() + s->wait);
            return;
        }
        c->has_waited = false;
        if (s->then == THEN_HANG) return;
        c->at_step++;
        if (s->then == THEN_EXIT) {
            count_end(c, false);
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
    count_running(S.running + 1);
    if (latency > 0)
        wake_at(c, mock_now() + latency);
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
        const int64_t context = S.context ? S.context : a->prompt_tokens + 20;
        const int64_t asked = a->prompt_tokens + a->max_tokens;
        snprintf(message, sizeof message,
                 "This model's maximum context length is %lld tokens. However, you requested %lld "
                 "tokens (%lld in the messages, %lld in the completion). Please reduce the length "
                 "of the messages or completion.",
                 (long long)context, (long long)asked, (long long)a->prompt_tokens,
                 (long long)a->max_tokens);
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
    count_arrival();
    const fault_case k = {"", body, n, c->number, c->attempt, c->a.hash, (int)c->a.stage};
    c->f = S.has_script ? faults_find(&S.faults, &k) : NULL;
    c->is_chat = true;
    c->r.n = 0;
    c->sent = c->at_step = 0;
    c->has_waited = false;
    if (refuse(c, head, head_bytes)) {
        c->state = SERVING;
        count_running(S.running + 1);
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

static void take_plain(conn *c, const char *path, bool is_get)
{
    const fault_case k = {path, "", 0, ++S.plain, 1, (uint64_t)S.plain, -1};
    bytes b = {0};

    c->f = S.has_script ? faults_find(&S.faults, &k) : NULL;
    if (c->f && c->f->kind == FAULT_STATUS)
        wire_error(&c->w, (int)c->f->arg, "scripted", c->f);
    else if (!is_get)
        wire_error(&c->w, 405, "Method Not Allowed", NULL);
    else if (mock_now() - S.start < S.ready_after)
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
        epoll_ctl(S.epoll, EPOLL_CTL_ADD, fd, &e); /* NOLINT(clang-analyzer-unix.Malloc): has c */
        S.accepted++;
        S.open++;
    }
}

static void run_timers(void)
{
    const double t = S.n_heap ? mock_now() : 0;

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

/* In whole milliseconds it would have to come late, or to spin for the rest and keep a processor
 * from whom it serves: a hundredth of the requests came 2.5 ms later then. */
static struct timespec until(double due)
{
    const double left = due - mock_now(), seconds = left > 0 ? left : 0;

    return (struct timespec){.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
}

_Noreturn void mock_serve(void)
{
    struct epoll_event events[256];

    for (;;) {
        const struct timespec t = S.n_heap ? until(S.heap[0]->due) : (struct timespec){0};
        const int n = epoll_pwait2(S.epoll, events, 256, S.n_heap ? &t : NULL, NULL);
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
