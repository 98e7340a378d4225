/*
 * http.c - see http.h: libcurl's multi interface by socket action, over one epoll descriptor.
 *
 * A request costs little where nothing about it has to be set up again: its route is kept
 * (http_route.c), its call and easy handle (http_call.c), and what epoll knows.  libcurl lets go of
 * a connection's descriptor after each response and takes it up again with the next request; epoll
 * is told neither.  If the server closes a kept connection in between, its descriptor turns
 * readable while nobody wants it, and is taken out then.  A closed descriptor is known by libcurl's
 * close callback.
 *
 * Each request in flight holds a descriptor, so the soft limit of them (Debian: 1024) is raised as
 * far as it may be.  That there is none left is no fault of a server's: it stops the loop.
 */
#include "base/mem.h"
#include "reason/http_inner.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, KEPT_CONNECTIONS = 4096, MOST_DESCRIPTORS = 1 << 17 };

static const char *const end_names[HTTP_N_END] = {
    "done", "no connection", "no first byte", "idle", "too long", "reset", "broken"};

const char *http_end_name(http_end e)
{
    return end_names[e];
}

double http_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what libcurl calls ---- */

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    http_loop *l = ctx;

    (void)multi;
    l->curl_is_due = ms == 0;
    if (ms > 0) /* not a moment too early: it would not be set again */
        timer_set(&l->timers, &l->curl_timer, http_now() + (double)(ms + 1) / 1000);
    else
        timer_unset(&l->timers, &l->curl_timer);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    http_loop *l = ctx;
    uint32_t events = 0;

    (void)easy, (void)of_socket;
    if (fds_room(&l->fds, fd)) return -1;
    fd_slot *s = l->fds.slot + fd;
    s->is_curl = true;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= EPOLLOUT;
    s->is_wanted = events != 0;
    if (!events && s->has == EPOLLIN) return 0; /* it will be wanted again soon */
    return fds_want(&l->fds, fd, events) ? -1 : 0;
}

curl_socket_t loop_on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
    http_loop *l = ctx;
    const int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

    (void)purpose;
    l->has_no_descriptor |= fd < 0 && (errno == EMFILE || errno == ENFILE);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

int loop_on_close(void *ctx, curl_socket_t fd)
{
    http_loop *l = ctx;

    if (fd < l->fds.cap) l->fds.slot[fd] = (fd_slot){0};
    return close(fd);
}

/* ---- a turn ---- */

static mill_err no_descriptor(void)
{
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    return mill_fail(MILL_EIO,
                     "no descriptor for another connection: this process may have %llu (ulimit -n);"
                     " fewer requests at once (--batch-size) need fewer",
                     (unsigned long long)limit.rlim_cur);
}

static mill_err act(http_loop *l, curl_socket_t fd, int mask)
{
    int running;

    if (fd == CURL_SOCKET_TIMEOUT) l->curl_is_due = false;
    l->in_curl = true;
    const CURLMcode code = l->curl.curl_multi_socket_action(l->multi, fd, mask, &running);
    l->in_curl = false;
    if (l->has_no_descriptor) return no_descriptor();
    return !code ? MILL_OK : mill_fail(MILL_EIO, "libcurl: %s", l->curl.curl_multi_strerror(code));
}

static void collect(http_loop *l)
{
    CURLMsg *m;
    int left;

    if (l->has_doomed) calls_drop_cancelled(l);
    while ((m = l->curl.curl_multi_info_read(l->multi, &left))) {
        http_call *c = NULL;
        const CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        l->curl.curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
        call_ended(c, code); /* m is gone with its handle */
    }
}

/* Until nothing is left that can be done at once: a response's end starts the next request. */
static mill_err settle_all(http_loop *l)
{
    enum { MOST_ROUNDS = 16 }; /* others want their turn */

    for (int i = 0; i < MOST_ROUNDS && (l->starting || l->curl_is_due); i++) {
        TRY(calls_hand_over(l));
        if (l->curl_is_due) TRY(act(l, CURL_SOCKET_TIMEOUT, 0));
        collect(l);
    }
    return MILL_OK;
}

static void run_timers(http_loop *l)
{
    const double now = l->timers.n ? http_now() : 0;

    while (l->timers.n && l->timers.heap[0]->due <= now) {
        http_timer *t = l->timers.heap[0];
        timer_unset(&l->timers, t);
        if (!t->is_once) {
            t->fn(t->ctx);
            continue;
        }
        l->has_called = true;
        l->running = t;
        t->fn(t->ctx);
        l->running = NULL;
        l->timers.owned--;
        mill_free(t);
    }
}

static mill_err on_event(http_loop *l, int fd, uint32_t events)
{
    const fd_slot s = l->fds.slot[fd];

    if (s.fn) {
        l->has_called = true;
        s.fn(s.ctx);
        return MILL_OK;
    }
    if (!s.is_curl) return MILL_OK; /* unwatched by what came before it */
    if (!s.is_wanted) return fds_want(&l->fds, fd, 0);
    return act(l, fd,
               (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static int wait_ms(const http_loop *l, double seconds)
{
    if (l->has_called || l->starting || l->curl_is_due) return 0;
    if (l->timers.n) {
        const double left = l->timers.heap[0]->due - http_now();
        if (seconds < 0 || left < seconds) seconds = left < 0 ? 0 : left;
    }
    if (seconds < 0) return -1;
    return seconds > 1e6 ? 1000000000 : (int)(1000 * seconds + 0.999);
}

mill_err http_turn(http_loop *l, double seconds)
{
    struct epoll_event events[EVENTS];

    l->has_called = false;
    TRY(settle_all(l));
    const int n = epoll_wait(l->fds.epoll, events, EVENTS, wait_ms(l, seconds));
    if (n < 0 && errno != EINTR) return mill_fail(MILL_EIO, "epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) TRY(on_event(l, events[i].data.fd, events[i].events));
    collect(l);
    run_timers(l);
    return settle_all(l);
}

/* ---- the interface ---- */

int http_in_flight(const http_loop *l)
{
    return l->in_flight;
}

mill_err http_watch(http_loop *l, int fd, void (*fn)(void *ctx), void *ctx)
{
    TRY(fds_room(&l->fds, fd));
    TRY(fds_want(&l->fds, fd, EPOLLIN));
    l->fds.slot[fd].fn = fn;
    l->fds.slot[fd].ctx = ctx;
    return MILL_OK;
}

void http_unwatch(http_loop *l, int fd)
{
    if (fd < 0 || fd >= l->fds.cap || !l->fds.slot[fd].fn) return;
    (void)fds_want(&l->fds, fd, 0);
    l->fds.slot[fd] = (fd_slot){0};
}

mill_err http_after(http_timer **out, http_loop *l, double seconds, void (*fn)(void *ctx),
                    void *ctx)
{
    TRY(timers_own(&l->timers));
    http_timer *t = mill_alloc(1, sizeof *t);
    if (!t) {
        l->timers.owned--;
        return MILL_ENOMEM;
    }
    *t = (http_timer){.at = -1, .is_once = true, .loop = l, .fn = fn, .ctx = ctx};
    timer_set(&l->timers, t, http_now() + seconds);
    if (out) *out = t;
    return MILL_OK;
}

void http_forget(http_timer *t)
{
    if (!t || t == t->loop->running) return;
    timer_unset(&t->loop->timers, t);
    t->loop->timers.owned--;
    mill_free(t);
}

static void on_curl_timer(void *ctx)
{
    ((http_loop *)ctx)->curl_is_due = true;
}

static mill_err open_multi(http_loop *l)
{
    static const char *const names[] = {CURL_FUNCTIONS(LIBRARY_NAME)};

    TRY(library_open(&l->curl, names, LIBRARY_COUNT(names), "libcurl.so.4", "libcurl4"));
    if (l->curl.curl_global_init(CURL_GLOBAL_DEFAULT) || !(l->multi = l->curl.curl_multi_init()))
        return mill_fail(MILL_ENOMEM, "libcurl cannot start");
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return MILL_OK;
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= MOST_DESCRIPTORS) return;
    limit.rlim_cur = limit.rlim_max < MOST_DESCRIPTORS ? limit.rlim_max : MOST_DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

mill_err http_open(http_loop **out)
{
    http_loop *l = mill_alloc(1, sizeof *l);

    if (!l) return MILL_ENOMEM;
    raise_limit();
    l->curl_timer = (http_timer){.at = -1, .loop = l, .fn = on_curl_timer, .ctx = l};
    mill_err err = timers_own(&l->timers);
    l->fds.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!err && l->fds.epoll < 0) err = mill_fail(MILL_EIO, "epoll_create1: %s", strerror(errno));
    if (!err) err = open_multi(l);
    if (err) {
        http_close(l);
        return err;
    }
    *out = l;
    return MILL_OK;
}

void http_close(http_loop *l)
{
    route *r;

    if (!l) return;
    calls_free(l);
    while ((r = l->routes)) {
        l->routes = r->next;
        route_free(l, r);
    }
    if (l->multi) l->curl.curl_multi_cleanup(l->multi); /* sets its timer, closes connections */
    timer_unset(&l->timers, &l->curl_timer);
    while (l->timers.n) http_forget(l->timers.heap[0]); /* what is left is of http_after */
    mill_free(l->timers.heap);
    if (l->fds.epoll >= 0) close(l->fds.epoll);
    mill_free(l->fds.slot);
    mill_free(l);
}
