/*
 * nodes.c - the launchers of several hosts know of each other: who is there, who failed.
 *
 *     launcher of host 0, at MASTER_PORT + 1  ---  launcher of host 1
 *                                             ---  launcher of host 2 ...
 *
 * Notes of one size go both ways: a hello with what the job looks like (another number of hosts or
 * ranks, or a host that is there already, is refused, and both sides say so), one a second, and how
 * an attempt ended; host 0 passes that on.  A launcher that goes without a word, or is not heard of
 * for LEASE seconds, takes the job with it: status 69, as when not all have come.  The ranks never
 * wait for this: programs that run on several hosts bring their own way to meet.
 *
 * Looked at from tick to tick; nothing here blocks.
 */
#include "rank/launcher.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_WIRES = RANK_MAX_WORLD, STATUS_RENDEZVOUS = 69 };
static const double LEASE = 10, BEAT = 1; /* seconds */

typedef enum { NOTE_HELLO, NOTE_WELCOME, NOTE_REFUSED, NOTE_BEAT, NOTE_PAUSE, NOTE_END } note_kind;

typedef struct {
    char magic[8];
    int32_t kind, node, nodes, n, attempt, status;
    char words[224];
} note;

static const char MAGIC[8] = "millhst1";

typedef struct {
    int fd;             /* -1: none */
    int node;           /* of the other side; -1: not known yet */
    bool is_open;       /* connected */
    bool is_paused;     /* it was stopped and said so */
    double heard, said; /* when, last */
    note in;            /* as far as it has come */
    size_t n_in;
    note end; /* how its last attempt ended, or that it was refused; .attempt -1: none has */
} wire;

static const wire NO_WIRE = {.fd = -1, .node = -1, .end = {.attempt = -1}};

struct launcher_nodes {
    int listen_fd; /* of host 0; else -1 */
    wire wire[MOST_WIRES];
    int n; /* of host 0: that ever were; else 1 */
    double since, meet;
    bool has_met, was_told;
};

/* Small, and one a second: a buffer that does not take it belongs to a host that is gone. */
static void put_note(wire *k, const note *o)
{
    if (k->fd < 0 || !k->is_open) return;
    (void)!send(k->fd, o, sizeof *o, MSG_NOSIGNAL | MSG_DONTWAIT);
    k->said = mill_clock();
}

static void send_note(const launcher *l, wire *k, note_kind kind, int status, const char *words)
{
    note o = {.kind = kind,
              .node = l->job->node,
              .nodes = l->job->nodes,
              .n = l->n,
              .attempt = l->attempt,
              .status = status};

    memcpy(o.magic, MAGIC, sizeof MAGIC);
    snprintf(o.words, sizeof o.words, "%s", words);
    put_note(k, &o);
}

/* What was sent is to arrive: a socket that is closed with something unread is reset.  Of the
 * launcher alone: this ends the connection, whoever else has it. */
static void drop_wire(wire *k)
{
    note unread;

    if (k->fd >= 0 && k->is_open) {
        shutdown(k->fd, SHUT_WR);
        while (recv(k->fd, &unread, sizeof unread, MSG_DONTWAIT) > 0) continue;
    }
    if (k->fd >= 0) close(k->fd);
    k->fd = -1;
    k->is_open = false;
}

/* The first thing that is wrong is what counts. */
static void give_up(launcher *l, int status, const char *words)
{
    if (l->verdict >= 0 || l->culprit >= 0 || l->signal) return;
    mill_log(MILL_LOG_ERROR, "%s", words);
    l->verdict = status;
    l->nodes->was_told = true;
}

/* ---- meeting ---- */

mill_err nodes_open(launcher *l)
{
    const char *meet = getenv("TABMILL_RANK_MEET");

    if (l->job->nodes < 2) return MILL_OK;
    struct launcher_nodes *h = l->nodes = mill_alloc(1, sizeof *h);
    if (!h) return MILL_ENOMEM;
    h->listen_fd = -1;
    h->since = mill_clock();
    h->meet = meet && strtod(meet, NULL) > 0 ? strtod(meet, NULL) : 60;
    for (int i = 0; i < MOST_WIRES; i++) h->wire[i] = NO_WIRE;
    if (l->job->node > 0) {
        h->n = 1;
        h->wire[0].node = 0;
        return MILL_OK;
    }
    int port;
    TRY(port_hold(&h->listen_fd, &port, l->job->address ? l->job->address : "127.0.0.1",
                  l->port + 1, 0));
    if (listen(h->listen_fd, MOST_WIRES))
        return mill_fail(MILL_EIO, "port %d: %s", port, strerror(errno));
    return MILL_OK;
}

void nodes_drop(launcher *l)
{
    struct launcher_nodes *h = l->nodes;

    if (!h) return;
    for (int i = 0; i < h->n; i++)
        if (h->wire[i].fd >= 0) close(h->wire[i].fd);
    if (h->listen_fd >= 0) close(h->listen_fd);
    mill_free(h);
    l->nodes = NULL;
}

void nodes_close(launcher *l)
{
    for (int i = 0; l->nodes && i < l->nodes->n; i++) drop_wire(&l->nodes->wire[i]);
    nodes_drop(l);
}

static void accept_wires(struct launcher_nodes *h)
{
    struct pollfd p = {.fd = h->listen_fd, .events = POLLIN};

    while (h->n < MOST_WIRES && poll(&p, 1, 0) == 1) {
        const int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        wire *k = &h->wire[h->n++];
        *k = NO_WIRE;
        k->fd = fd;
        k->is_open = true;
        k->heard = mill_clock();
    }
}

static void begin_connect(const launcher *l, wire *k)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *a;
    char port[12];

    snprintf(port, sizeof port, "%d", l->port + 1);
    if (getaddrinfo(l->job->address, port, &hints, &a)) return;
    k->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd >= 0 && connect(k->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)
        drop_wire(k);
    freeaddrinfo(a);
}

/* A step towards host 0; it may not be up yet. */
static void come_to(const launcher *l, wire *k)
{
    struct pollfd p = {.fd = k->fd, .events = POLLOUT};
    int e = 0;
    socklen_t len = sizeof e;

    if (k->fd < 0) {
        begin_connect(l, k);
        return;
    }
    if (poll(&p, 1, 0) != 1) return;
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &e, &len) || e) {
        drop_wire(k);
        return;
    }
    k->is_open = true;
    k->heard = mill_clock();
    send_note(l, k, NOTE_HELLO, 0, "");
}

/* Host 0 looks at who comes. */
static void greet(const launcher *l, wire *k, const note *o)
{
    const struct launcher_nodes *h = l->nodes;
    char words[200] = "";

    if (o->nodes != l->job->nodes || o->n != l->n)
        snprintf(words, sizeof words, "it has %d hosts of %d ranks, and host 0 has %d of %d",
                 o->nodes, o->n, l->job->nodes, l->n);
    else if (o->node < 1 || o->node >= o->nodes)
        snprintf(words, sizeof words, "there is no host %d of %d", o->node, o->nodes);
    for (int i = 0; i < h->n && !*words; i++)
        if (h->wire[i].fd >= 0 && h->wire[i].node == o->node)
            snprintf(words, sizeof words, "host %d is there already", o->node);
    if (!*words) {
        k->node = o->node;
        send_note(l, k, NOTE_WELCOME, 0, "");
        return;
    }
    mill_log(MILL_LOG_WARN, "a launcher that calls itself host %d was refused: %s", o->node, words);
    send_note(l, k, NOTE_REFUSED, STATUS_RENDEZVOUS, words);
    drop_wire(k);
}

/* ---- notes ---- */

/* A host may be an attempt ahead: what it says counts for all attempts up to that. */
static void take_end(launcher *l, wire *from, const note *o)
{
    struct launcher_nodes *h = l->nodes;

    if (o->attempt >= from->end.attempt) from->end = *o;
    for (int i = 0; i < h->n && l->job->node == 0 && o->status; i++)
        if (&h->wire[i] != from && h->wire[i].node > 0) put_note(&h->wire[i], o);
}

/* Whether it has said how this attempt ended there. */
static bool has_ended(const launcher *l, const wire *k)
{
    return k->end.attempt >= l->attempt;
}

/* A failure there is that of all. */
static void heed_end(launcher *l, const wire *k)
{
    const note *o = &k->end;
    char words[300];

    if (!has_ended(l, k) || !o->status) return;
    snprintf(words, sizeof words, "%s%.*s",
             o->kind == NOTE_REFUSED ? "the launcher of host 0 refuses this one: " : "",
             (int)sizeof o->words, o->words);
    give_up(l, o->status, words);
}

static void take_note(launcher *l, wire *k, const note *o)
{
    k->heard = mill_clock();
    k->is_paused = o->kind == NOTE_PAUSE;
    if (o->kind == NOTE_HELLO && l->job->node == 0) greet(l, k, o);
    if (o->kind == NOTE_WELCOME) l->nodes->has_met = true;
    if (o->kind == NOTE_END) take_end(l, k, o);
    if (o->kind != NOTE_REFUSED) return;
    k->end = *o;
    k->end.attempt = INT_MAX;
}

static void lose(launcher *l, wire *k, const char *how)
{
    char words[200];

    drop_wire(k);
    if (k->node < 0 || has_ended(l, k)) return; /* no host yet, or at its end */
    snprintf(words, sizeof words, "the launcher of host %d %s", k->node, how);
    give_up(l, STATUS_RENDEZVOUS, words);
    for (int i = 0; i < l->nodes->n && l->job->node == 0; i++)
        if (l->nodes->wire[i].node > 0)
            send_note(l, &l->nodes->wire[i], NOTE_END, STATUS_RENDEZVOUS, words);
}

static void read_wire(launcher *l, wire *k)
{
    while (k->fd >= 0) {
        const ssize_t n =
            recv(k->fd, (char *)&k->in + k->n_in, sizeof k->in - k->n_in, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            lose(l, k, "is gone");
            return;
        }
        if ((k->n_in += (size_t)n) < sizeof k->in) continue;
        const note o = k->in;
        k->n_in = 0;
        if (memcmp(o.magic, MAGIC, sizeof MAGIC) != 0)
            drop_wire(k);
        else
            take_note(l, k, &o);
    }
}

/* Who is missing when the time to meet is over. */
static void look_for_all(launcher *l, double now)
{
    struct launcher_nodes *h = l->nodes;
    char words[160];
    int n_in = 0, missing = 0;

    if (h->has_met) return;
    for (int node = 1; node < l->job->nodes && l->job->node == 0; node++) {
        bool is_in = false;
        for (int i = 0; i < h->n; i++) is_in |= h->wire[i].node == node;
        n_in += is_in;
        if (!is_in && !missing) missing = node;
    }
    h->has_met = l->job->node == 0 && n_in == l->job->nodes - 1;
    if (h->has_met || now - h->since < h->meet) return;
    snprintf(words, sizeof words, "the launcher of host %d did not come within %g s%s", missing,
             h->meet, l->job->node ? " to MASTER_PORT + 1" : "");
    h->has_met = true; /* said once */
    give_up(l, STATUS_RENDEZVOUS, words);
}

static void look_at_wire(launcher *l, wire *k, double now)
{
    if (now - k->said > BEAT) send_note(l, k, NOTE_BEAT, 0, "");
    read_wire(l, k);
    if (k->is_open && !k->is_paused && now - k->heard > LEASE)
        lose(l, k, "has not been heard of for 10 s");
}

void nodes_look(launcher *l, bool was_stopped)
{
    struct launcher_nodes *h = l->nodes;
    const double now = mill_clock();

    if (!h) return;
    if (h->listen_fd >= 0) accept_wires(h);
    for (int i = 0; i < h->n; i++) {
        wire *k = &h->wire[i];
        if (l->job->node > 0 && !k->is_open && !has_ended(l, k) && !h->has_met) come_to(l, k);
        if (was_stopped) k->heard = now;
        if (k->is_open) look_at_wire(l, k, now);
        heed_end(l, k);
    }
    look_for_all(l, now);
}

void nodes_tell_pause(launcher *l)
{
    for (int i = 0; l->nodes && i < l->nodes->n; i++)
        send_note(l, &l->nodes->wire[i], NOTE_PAUSE, 0, "");
}

void nodes_tell_end(launcher *l, int status, const char *how)
{
    struct launcher_nodes *h = l->nodes;
    char words[220];

    if (!h) return;
    snprintf(words, sizeof words, "host %d: %s", l->job->node, how);
    for (int i = 0; i < h->n && !h->was_told; i++)
        send_note(l, &h->wire[i], NOTE_END, status, words);
    h->was_told = false;
}
