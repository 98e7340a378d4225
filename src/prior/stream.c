/*
 * stream.c - data sets into a descriptor (stream.h).
 *
 *     workers -> slot i % ahead of shared memory -> the parent writes slot after slot
 *
 * ready[slot] is the index of the data set that lies there whole, counted from 1; the parent alone
 * moves the floor (crew.h), behind which a slot may be used again.  Memory of slots is taken from
 * the system as they are first written.
 */
#include "prior/stream.h"

#include "base/mem.h"
#include "prior/crew.h"
#include "prior/sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TEXT_ROOM = 1 << 16, PARTS = 5 };

typedef struct {
    const prior_stream_options *o;
    char *slots;
    _Atomic int64_t *ready; /* by slot */
    size_t slot_bytes, bytes;
} ring;

static void fill_head(char head[STREAM_HEAD], const prior_set *s)
{
    const int64_t a[3] = {s->index, s->rows, s->train_rows}, text = (int64_t)s->structure_len;
    const int32_t b[4] = {s->features, s->width, s->classes, s->attempts};
    static const char magic[8] = {'M', 'I', 'L', 'L', 'S', 'E', 'T', '1'};
    int32_t rejected[4];

    _Static_assert(PRIOR_N_REJECT == 4, "the frame has four");
    for (int k = 0; k < 4; k++) rejected[k] = s->rejected[k];
    memset(head, 0, STREAM_HEAD);
    memcpy(head, magic, sizeof magic);
    memcpy(head + 8, a, sizeof a);
    memcpy(head + 32, b, sizeof b);
    memcpy(head + 48, &s->imbalance, 8);
    memcpy(head + 56, &text, 8);
    snprintf(head + 64, 16, "%s", s->kind);
    memcpy(head + 80, rejected, sizeof rejected);
}

static void list_parts(struct iovec part[PARTS], char head[STREAM_HEAD], const prior_set *s)
{
    fill_head(head, s);
    part[0] = (struct iovec){head, STREAM_HEAD};
    part[1] = (struct iovec){s->x, (size_t)(s->rows * s->features) * sizeof *s->x};
    part[2] = (struct iovec){s->y, (size_t)s->rows * sizeof *s->y};
    part[3] = (struct iovec){s->levels, (size_t)s->features * sizeof *s->levels};
    part[4] = (struct iovec){(char *)s->structure, s->structure_len};
}

/* All of it; *left: the reader has closed its end. */
static mill_err send_parts(bool *left, int fd, struct iovec *part, int n)
{
    while (n) {
        ssize_t done = writev(fd, part, n);
        if (done < 0 && errno == EINTR) continue;
        *left = done < 0 && (errno == EPIPE || errno == ECONNRESET);
        if (*left) return MILL_OK;
        if (done < 0) return mill_fail(MILL_EIO, "cannot write the stream: %s", strerror(errno));
        for (; n && (size_t)done >= part->iov_len; part++, n--) done -= (ssize_t)part->iov_len;
        if (!n) break;
        part->iov_base = (char *)part->iov_base + done;
        part->iov_len -= (size_t)done;
    }
    return MILL_OK;
}

static mill_err stream_alone(prior_stream_result *r, const prior_stream_options *o)
{
    prior_maker *maker;
    mill_err err;

    TRY(prior_maker_new(&maker, o->config));
    for (err = MILL_OK; !err && !r->reader_left && (!o->n || r->sent < o->n);) {
        char head[STREAM_HEAD];
        struct iovec part[PARTS];
        prior_set set;

        if ((err = prior_make(&set, maker, o->first + r->sent, false))) break;
        list_parts(part, head, &set);
        err = send_parts(&r->reader_left, o->fd, part, PARTS);
        r->sent += !err && !r->reader_left;
    }
    prior_maker_free(maker);
    return err;
}

/* ---- with workers ---- */

static size_t slot_bytes(const prior_config *c)
{
    const int64_t n = STREAM_HEAD +
                      4 * (prior_most_cells(c) + prior_most_rows(c) + prior_most_width(c)) +
                      (int64_t)sizeof(size_t) + TEXT_ROOM + prior_text_bytes(c);

    return (size_t)(n + 4095) / 4096 * 4096;
}

static mill_err put_in_slot(char *slot, const ring *g, const prior_set *set)
{
    char head[STREAM_HEAD], *at = slot + sizeof(size_t);
    struct iovec part[PARTS];
    size_t n = 0;

    list_parts(part, head, set);
    for (int k = 0; k < PARTS; k++) n += part[k].iov_len;
    if (n + sizeof n > g->slot_bytes)
        return mill_fail(MILL_ENOMEM, "data set %lld takes %zu bytes, more than %zu",
                         (long long)set->index, n, g->slot_bytes);
    memcpy(slot, &n, sizeof n);
    for (int k = 0; k < PARTS; k++) {
        if (part[k].iov_len) memcpy(at, part[k].iov_base, part[k].iov_len);
        at += part[k].iov_len;
    }
    return MILL_OK;
}

static mill_err work(void *ctx, crew_board *b, int seat)
{
    const ring *g = ctx;
    prior_maker *maker;
    prior_set set;
    int64_t piece;
    mill_err err;

    TRY(prior_maker_new(&maker, g->o->config));
    for (err = MILL_OK; !err && (piece = crew_take(b, seat)) >= 0; crew_finish(b, seat)) {
        const int64_t slot = piece % g->o->ahead;

        if (piece < b->floor || g->ready[slot] == piece + 1) continue; /* made twice (crew.c) */
        b->seat[seat].at = g->o->first + piece;
        err = prior_make(&set, maker, g->o->first + piece, false);
        if (!err) err = put_in_slot(g->slots + (size_t)slot * g->slot_bytes, g, &set);
        if (!err) atomic_store(&g->ready[slot], piece + 1);
    }
    prior_maker_free(maker);
    return err;
}

static mill_err send_all(prior_stream_result *r, crew *c, const ring *g)
{
    crew_board *b = c->board;

    while (r->sent < b->n) {
        const unsigned seen = atomic_load(&b->news);
        const int64_t slot = r->sent % g->o->ahead;
        char *at = g->slots + (size_t)slot * g->slot_bytes;

        if (atomic_load(&g->ready[slot]) != r->sent + 1) {
            TRY(crew_look(c));
            crew_wait(b, seen, 0.1);
            continue;
        }
        struct iovec part = {at + sizeof(size_t), 0};
        memcpy(&part.iov_len, at, sizeof(size_t));
        TRY(send_parts(&r->reader_left, g->o->fd, &part, 1));
        if (r->reader_left) return MILL_OK;
        r->sent++;
        atomic_store(&b->floor, r->sent);
        crew_tell(b);
    }
    return MILL_OK;
}

static mill_err ring_new(ring *g, const prior_stream_options *o)
{
    *g = (ring){.o = o, .slot_bytes = slot_bytes(o->config)};
    g->bytes = (size_t)o->ahead * (g->slot_bytes + sizeof *g->ready);
    char *at = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return mill_fail(MILL_ENOMEM, "no memory for %lld data sets ahead: %s", (long long)o->ahead,
                         strerror(errno));
    g->slots = at;
    g->ready = (_Atomic int64_t *)(void *)(at + (size_t)o->ahead * g->slot_bytes);
    return MILL_OK;
}

static mill_err stream_crew(prior_stream_result *r, const prior_stream_options *o)
{
    char words[CREW_WORDS];
    ring g;
    crew *c = NULL;

    TRY(ring_new(&g, o));
    mill_err err = crew_new(&c, o->workers, o->n ? o->n : INT64_MAX, o->ahead);
    if (!err) err = crew_start(c, work, &g);
    if (!err) err = send_all(r, c, &g);
    snprintf(words, sizeof words, "%s", mill_error());
    if (c) r->n_died = c->n_died;
    crew_free(c);
    munmap(g.slots, g.bytes);
    return err ? mill_fail(err, "%s", words) : MILL_OK;
}

int64_t prior_stream_memory(const prior_stream_options *o)
{
    return o->workers * prior_config_memory(o->config) + o->ahead * (int64_t)slot_bytes(o->config);
}

mill_err prior_stream(prior_stream_result *result, const prior_stream_options *o)
{
    *result = (prior_stream_result){0};
    return o->ahead ? stream_crew(result, o) : stream_alone(result, o);
}
