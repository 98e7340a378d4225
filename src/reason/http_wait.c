/*
 * http_wait.c - timers in a binary heap, and descriptors under epoll.
 *
 * Room for a timer is made when it comes to be, so that setting it again, which happens in the
 * middle of things, cannot fail.
 */
#include "base/mem.h"
#include "reason/http_inner.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* ---- timers ---- */

mill_err timers_own(timer_heap *h)
{
    if (h->owned == h->cap) {
        const int cap = h->cap ? 2 * h->cap : 64;
        http_timer **more =
            mill_realloc(h->heap, (size_t)cap, sizeof(void *)); /* pointers to timers */
        if (!more) return MILL_ENOMEM;
        h->heap = more;
        h->cap = cap;
    }
    h->owned++;
    return MILL_OK;
}

static void place(timer_heap *h, int i, http_timer *t)
{
    h->heap[i] = t;
    t->at = i;
}

/* t belongs at i or somewhere above or below it. */
static void settle(timer_heap *h, int i, http_timer *t)
{
    for (; i && h->heap[(i - 1) / 2]->due > t->due; i = (i - 1) / 2)
        place(h, i, h->heap[(i - 1) / 2]);
    for (int k; (k = 2 * i + 1) < h->n; i = k) {
        if (k + 1 < h->n && h->heap[k + 1]->due < h->heap[k]->due) k++;
        if (h->heap[k]->due >= t->due) break;
        place(h, i, h->heap[k]);
    }
    place(h, i, t);
}

void timer_set(timer_heap *h, http_timer *t, double due)
{
    t->due = due;
    settle(h, t->at >= 0 ? t->at : h->n++, t);
}

void timer_unset(timer_heap *h, http_timer *t)
{
    const int i = t->at;

    if (i < 0) return;
    t->at = -1;
    http_timer *last = h->heap[--h->n];
    if (last != t) settle(h, i, last);
}

/* ---- descriptors ---- */

mill_err fds_room(fd_table *t, int fd)
{
    if (fd < t->cap) return MILL_OK;
    const int cap = fd + 1 > 2 * t->cap ? fd + 64 : 2 * t->cap;
    fd_slot *more = mill_realloc(t->slot, (size_t)cap, sizeof *more);
    if (!more) return MILL_ENOMEM;
    t->slot = more;
    t->cap = cap;
    return MILL_OK;
}

mill_err fds_want(fd_table *t, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    fd_slot *s = t->slot + fd;

    if (s->has == events) return MILL_OK;
    int op = !events ? EPOLL_CTL_DEL : s->has ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int bad = epoll_ctl(t->epoll, op, fd, &e);
    if (bad && op == EPOLL_CTL_MOD && errno == ENOENT)
        bad = epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e);
    if (bad && op == EPOLL_CTL_ADD && errno == EEXIST)
        bad = epoll_ctl(t->epoll, EPOLL_CTL_MOD, fd, &e);
    if (bad && op != EPOLL_CTL_DEL) return mill_fail(MILL_EIO, "epoll_ctl: %s", strerror(errno));
    s->has = events;
    return MILL_OK;
}
