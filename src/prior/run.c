/*
 * run.c - data sets into a folder (run.h): what the workers do, and the one that waits for them.
 *
 * A worker takes a unit, makes its data sets one after another and hands them to the format; when
 * the unit's files have their names it writes the journal's line.  The parent computes nothing: it
 * replaces workers that were killed, shows how far the run is, and writes the index at the end.
 */
#include "prior/run.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "prior/crew.h"
#include "prior/shard.h"
#include "train/loop.h"
#include "train/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HELD_BYTES = 8 << 20 };

/* Finished data sets that are not written yet: copies, behind one another. */
typedef struct {
    prior_set *set;
    int64_t n;
    mill_text bytes;
} held_sets;

typedef struct {
    const prior_folder *folder;
    const int64_t *todo; /* units, by number less the first */
    crew_seat *seat;
    const crew_board *board;
    prior_maker *maker;
    prior_sink sink;
    held_sets held;
    shard source;               /* that was read last; .file NULL: none */
    int64_t wall_ns, system_ns; /* clocks when time was last added to the seat's */
} worker;

static int64_t now_ns(void)
{
    return (int64_t)(mill_clock() * 1e9);
}

/* ---- in a worker ---- */

/* What has passed since the last call: in the system's writes and syncs, and the rest.  Formatting
 * CSV takes long too, and is no fault of the disk. */
static void add_time(worker *w)
{
    const int64_t wall = now_ns(), in_system = file_busy_ns();
    const int64_t writing = in_system - w->system_ns;

    atomic_fetch_add(&w->seat->written_ns, writing);
    atomic_fetch_add(&w->seat->busy_ns, wall - w->wall_ns - writing);
    w->wall_ns = wall;
    w->system_ns = in_system;
}

static mill_err write_set(worker *w, const prior_set *set)
{
    TRY(prior_sink_add(&w->sink, set));
    atomic_fetch_add(&w->seat->begun, 1);
    atomic_fetch_add(&w->seat->made, 1);
    add_time(w);
    return MILL_OK;
}

static size_t x_bytes(const prior_set *s)
{
    return (size_t)(s->rows * s->features) * sizeof *s->x;
}

static mill_err write_held(worker *w)
{
    const char *at = w->held.bytes.s;

    for (int64_t k = 0; k < w->held.n; k++) {
        prior_set s = w->held.set[k];
        s.x = (float *)at;
        at += x_bytes(&s);
        s.y = (float *)at;
        at += (size_t)s.rows * sizeof *s.y;
        s.levels = (int32_t *)at;
        at += (size_t)s.features * sizeof *s.levels;
        s.structure = at;
        at += (s.structure_len + 63) / 64 * 64;
        TRY(write_set(w, &s));
    }
    w->held.n = 0;
    text_clear(&w->held.bytes);
    return MILL_OK;
}

static mill_err hold(worker *w, const prior_set *s)
{
    static const char zeros[64];
    mill_text *t = &w->held.bytes;

    text_add_bytes(t, s->x, x_bytes(s));
    text_add_bytes(t, s->y, (size_t)s->rows * sizeof *s->y);
    text_add_bytes(t, s->levels, (size_t)s->features * sizeof *s->levels);
    text_add_bytes(t, s->structure, s->structure_len);
    text_add_bytes(t, zeros, (64 - s->structure_len % 64) % 64);
    TRY(text_check(t));
    w->held.set[w->held.n++] = *s;
    if (w->held.n < w->folder->o.inner && t->len < HELD_BYTES) return MILL_OK;
    return write_held(w);
}

/* The data set from a shard of another run. */
static mill_err read_set(prior_set *set, worker *w, int64_t index)
{
    const prior_run_options *o = &w->folder->o;
    const prior_unit u = {.unit = index / prior_shards.unit_size(o->config)};
    const prior_sink there = {.dir = o->from};
    char path[PRIOR_PATH];
    shard *s = &w->source;

    if (!s->file || index < s->first || index >= s->first + s->count) {
        shard_close(s);
        if (!prior_shards.path(path, &there, &u, 0))
            return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", o->from);
        TRY(shard_open(s, path));
    }
    if (index < s->first || index >= s->first + s->count)
        return mill_fail(MILL_EINPUT, "%s: shard %lld has no data set %lld", o->from,
                         (long long)u.unit, (long long)index);
    return shard_read(set, s, index - s->first);
}

static mill_err make_set(worker *w, int64_t index)
{
    prior_set set;

    atomic_store(&w->seat->at, index);
    TRY(w->folder->o.from ? read_set(&set, w, index) : prior_make(&set, w->maker, index, false));
    return w->folder->o.inner > 1 ? hold(w, &set) : write_set(w, &set);
}

static mill_err make_unit(worker *w, int64_t unit)
{
    int64_t first, count;

    folder_span(w->folder, unit, &first, &count);
    TRY(prior_sink_begin(&w->sink, w->folder->first_unit + unit, first, count));
    for (int64_t k = 0; k < count; k++) {
        if (crew_must_stop(w->board)) return MILL_OK;
        TRY(make_set(w, first + k));
    }
    TRY(write_held(w));
    TRY(prior_sink_end(&w->sink));
    TRY(folder_note(w->folder->o.dir, &w->sink.unit));
    add_time(w);
    atomic_fetch_add(&w->seat->bytes, w->sink.unit.bytes);
    atomic_store(&w->seat->begun, 0);
    return MILL_OK;
}

typedef struct {
    const prior_folder *folder;
    const int64_t *todo;
} plan;

static mill_err work(void *ctx, crew_board *b, int seat)
{
    const plan *p = ctx;
    const prior_run_options *o = &p->folder->o;
    worker w = {.folder = p->folder,
                .board = b,
                .seat = &b->seat[seat],
                .wall_ns = now_ns(),
                .system_ns = file_busy_ns()};
    int64_t piece;
    mill_err err = prior_maker_new(&w.maker, o->config);

    if (!err) err = prior_sink_open(&w.sink, o->format, o->config, o->dir);
    w.sink.csv = o->csv;
    w.sink.folders = prior_folders_for(o->format, o->n);
    w.held.set = mill_alloc((size_t)o->inner, sizeof *w.held.set);
    if (!err && !w.held.set) err = MILL_ENOMEM;
    while (!err && (piece = crew_take(b, seat)) >= 0) {
        err = make_unit(&w, p->todo[piece]);
        prior_sink_abandon(&w.sink);
        w.held.n = 0;
        text_clear(&w.held.bytes);
        if (!crew_must_stop(b) && !err) crew_finish(b, seat);
    }
    shard_close(&w.source);
    text_free(&w.held.bytes);
    mill_free(w.held.set);
    prior_sink_close(&w.sink);
    prior_maker_free(w.maker);
    return err;
}

/* ---- in the parent ---- */

int64_t prior_run_units(const prior_run_options *o)
{
    const int64_t size = o->format->unit_size(o->config);

    return (o->first + o->n + size - 1) / size - o->first / size;
}

static int fewer(int workers, int64_t units)
{
    return units < workers ? (int)units : workers;
}

int prior_run_workers(const prior_run_options *o)
{
    return fewer(o->workers, prior_run_units(o));
}

int64_t prior_run_memory(const prior_run_options *o)
{
    const int64_t a_set = (prior_most_cells(o->config) + prior_most_rows(o->config)) * 4 +
                          prior_text_bytes(o->config);
    const int64_t held = o->inner < 2                    ? 0
                         : o->inner * a_set < HELD_BYTES ? 2 * o->inner * a_set
                                                         : 2 * (HELD_BYTES + a_set);

    return prior_config_memory(o->config) + o->format->memory(o->config) + held;
}

/* Data sets, bytes and where the time went, over all seats. */
typedef struct {
    int64_t made, bytes;
    double busy, written;
} sums;

static sums add_seats(const crew *c)
{
    sums s = {0};

    for (int k = 0; k < c->n_workers; k++) {
        s.made += c->board->seat[k].made;
        s.bytes += c->board->seat[k].bytes;
        s.busy += 1e-9 * (double)c->board->seat[k].busy_ns;
        s.written += 1e-9 * (double)c->board->seat[k].written_ns;
    }
    return s;
}

static double disk_share(const sums *s)
{
    return s->busy + s->written > 0 ? s->written / (s->busy + s->written) : 0;
}

static void show(train_progress *p, const crew *c, int64_t before)
{
    const sums s = add_seats(c);
    const double share = disk_share(&s);
    char facts[96], size[32];

    snprintf(facts, sizeof facts, "%s%s  writing %.0f%%%s", s.bytes ? "  " : "",
             s.bytes ? mill_format_size(size, (double)s.bytes) : "", 100 * share,
             share > 0.5 ? ": the disk is the limit" : "");
    progress_show(p, before + s.made, facts + 2);
}

/* Until all workers are gone; the first error of theirs. */
static mill_err tend(crew *c, const prior_folder *f, train_progress *p, int64_t before, int *signal)
{
    mill_err first = MILL_OK;
    char words[CREW_WORDS] = "";
    int n_died = 0;

    while (!crew_is_done(c)) {
        const unsigned seen = atomic_load(&c->board->news);
        const mill_err err = crew_look(c);

        if (err && !first) {
            first = err;
            snprintf(words, sizeof words, "%s", mill_error());
        }
        if (c->n_died > n_died) {
            n_died = c->n_died;
            folder_log(f, "worker%s killed so far: %d", mill_s(n_died), n_died);
        }
        if (!*signal && (*signal = train_signal_received())) crew_stop(c);
        show(p, c, before);
        const bool is_ending = crew_must_stop(c->board) || c->board->n_done >= c->board->n;
        if (!crew_is_done(c)) crew_wait(c->board, seen, is_ending ? 0.002 : 0.1);
    }
    return first ? mill_fail(first, "%s", words) : MILL_OK;
}

static int64_t sum_units(prior_run_result *r, const prior_folder *f)
{
    int64_t left = 0;

    r->made = r->bytes = r->attempts = 0;
    memset(r->rejected, 0, sizeof r->rejected);
    for (int64_t u = 0; u < f->n_units; u++) {
        const prior_unit *x = &f->unit[u];
        left += !x->count;
        r->made += x->count;
        r->bytes += x->bytes;
        r->attempts += x->attempts;
        for (int k = 0; k < PRIOR_N_REJECT; k++) r->rejected[k] += x->rejected[k];
    }
    return left;
}

static mill_err run_crew(prior_run_result *r, prior_folder *f, const int64_t *todo, int64_t n)
{
    plan p = {f, todo};
    const int64_t before = r->made;
    train_progress progress;
    crew *c;

    TRY(crew_new(&c, f->o.workers, n, n));
    progress_begin(&progress, STDERR_FILENO, f->o.quiet, f->o.config->prior, "data sets");
    progress_range(&progress, before, f->o.n);
    const double began = mill_clock();
    mill_err err = crew_start(c, work, &p);
    if (!err) err = tend(c, f, &progress, before, &r->signal);
    const sums s = add_seats(c);
    char words[CREW_WORDS];
    snprintf(words, sizeof words, "%s", mill_error());
    r->n_died = c->n_died;
    r->seconds = mill_clock() - began;
    r->disk_share = disk_share(&s);
    crew_free(c);
    if (folder_read_journal(f) && !err) return MILL_EIO;
    sum_units(r, f);
    r->made_now = r->made - before;
    progress_end(&progress, r->made, "", err ? "failed" : r->signal ? "interrupted" : "done");
    return err ? mill_fail(err, "%s", words) : MILL_OK;
}

/* The units that are not complete. */
static mill_err list_todo(int64_t **out, int64_t *n, const prior_folder *f)
{
    int64_t *todo = mill_alloc((size_t)f->n_units, sizeof *todo);

    if (!todo) return MILL_ENOMEM;
    *n = 0;
    for (int64_t u = 0; u < f->n_units; u++)
        if (!f->unit[u].count) todo[(*n)++] = u;
    *out = todo;
    return MILL_OK;
}

static mill_err check_memory(const prior_run_options *o)
{
    const int workers = prior_run_workers(o);
    const int64_t each = prior_run_memory(o), all = each * workers;
    char a[32], b[32], c[32];

    if (!o->memory_limit || all <= o->memory_limit) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%d worker%s may take %s each, %s together, above --memory-limit %s: fewer "
                     "--nproc, a smaller --inner-bsz, or fewer rows and features",
                     workers, mill_s(workers), mill_format_size(a, (double)each),
                     mill_format_size(b, (double)all),
                     mill_format_size(c, (double)o->memory_limit));
}

static const char *how_it_ended(const prior_run_result *r, mill_err err)
{
    return err ? "failed" : r->signal ? "interrupted" : "finished";
}

static mill_err run_in(prior_run_result *r, prior_folder *f)
{
    int64_t *todo, n;
    mill_err err = MILL_OK;

    sum_units(r, f);
    TRY(list_todo(&todo, &n, f));
    f->o.workers = fewer(f->o.workers, n);
    folder_log(
        f,
        "begun by version %s: %lld data set%s of %s from %lld, %lld of them complete; %d worker%s",
        f->o.version, (long long)f->o.n, mill_s(f->o.n), f->o.config->prior, (long long)f->o.first,
        (long long)r->made, f->o.workers, mill_s(f->o.workers));
    if (n) err = run_crew(r, f, todo, n);
    mill_free(todo);
    if (!err && !r->signal && !sum_units(r, f)) err = folder_finish(f);
    char words[CREW_WORDS];
    snprintf(words, sizeof words, "%s", mill_error());
    folder_log(f, "%s after %.1f s: %lld data set%s complete, %lld of them made now%s%s",
               how_it_ended(r, err), r->seconds, (long long)r->made, mill_s(r->made),
               (long long)r->made_now, err ? "; " : "", err ? words : "");
    const mill_err status = folder_write_status(f, r, how_it_ended(r, err));
    if (err) return mill_fail(err, "%s", words);
    return status;
}

mill_err prior_run(prior_run_result *result, const prior_run_options *o)
{
    prior_folder f;

    *result = (prior_run_result){0};
    TRY(check_memory(o));
    TRY(folder_open(&f, o));
    const mill_err err = run_in(result, &f);
    folder_close(&f);
    return err;
}
