/*
 * draw_ranks.c - rows from a model to one file, drawn by several ranks.
 *
 * Candidates are dealt in units, round robin: a batch, or where conditions are met by rejection a
 * block.  In a round every rank draws its unit; they tell each other how many rows it has, so that
 * each knows the numbers of its own; each formats its rows; the texts pass through a buffer that
 * rank 0 sees, and rank 0 writes them in order while the others draw the next unit.  So the bytes
 * are those of one process, whatever the number of ranks.
 *
 *     draw            gather: rows, stop?     first row, ids, format      gather: bytes, seen
 *     text to buffer  barrier                 rank 0 writes | next round
 *
 * The second gather of a round comes after rank 0 has written the one before: the buffer is free.
 */
#include "cli/cli.h"

#include "base/mem.h"
#include "train/progress.h"

#include <string.h>

enum { GO_ON, INTERRUPTED, WENT_AWAY };

/* What a rank tells the others of its unit. */
typedef struct {
    int64_t rows, stop, signal; /* before it is formatted */
    int64_t bytes, seen;        /* after */
} told;

typedef struct {
    draw_work *w;
    mill_pool *pool;
    rank_group *group;
    int rank, world;
    int64_t rows, done; /* of all; in rounds before this one */
    int64_t unit_rows;  /* candidates */
    int64_t round;
    told *all;           /* by rank */
    int32_t *at;         /* with rejection: which candidate a row was */
    csv_writer *text;    /* of this rank's rows */
    rank_buffer *buffer; /* the texts on their way; NULL before the first */
    char *message;       /* over MPI: one of them */
    int64_t room;        /* bytes of either */
    int64_t wish, stop;  /* of this rank, told in the next round; of all, heard in it */
} sharing;

/* The unit of rank r in this round; none where what is left ends before it. */
static rank_span unit_of(const sharing *s, int r)
{
    const int64_t begin = (s->round * s->world + r) * s->unit_rows, end = begin + s->unit_rows;

    if (synth_sampler_rejects(s->w->sampler)) return (rank_span){begin, end};
    return (rank_span){begin < s->rows ? begin : s->rows, end < s->rows ? end : s->rows};
}

/* Rows of rank r that go to the file, and how many lie before them; after the first gather. */
static int64_t taken(const sharing *s, int r, int64_t *before)
{
    *before = s->done;
    for (int k = 0; k < r; k++) *before += s->all[k].rows;
    const int64_t left = s->rows - *before, n = s->all[r].rows;
    if (left > 0) return n < left ? n : left;
    *before = s->rows;
    return 0;
}

static mill_err draw_unit(sharing *s, mill_table **t)
{
    const rank_span u = unit_of(s, s->rank);
    const bool is_header = !s->round && !s->rank;

    if (u.begin == u.end && !is_header) return MILL_OK;
    return synth_sampler_candidates(s->w->sampler, t, s->at, u.begin, u.end - u.begin);
}

static mill_err format_unit(sharing *s, mill_table *t)
{
    told *mine = &s->all[s->rank];
    const rank_span u = unit_of(s, s->rank);
    int64_t before, n = taken(s, s->rank, &before);
    size_t bytes;

    csv_writer_clear(s->text);
    if (t) {
        mine->seen = n == s->rows - before && n && s->at ? s->at[n - 1] + 1 : u.end - u.begin;
        t->rows = n;
        TRY(synth_put_ids(t, s->w->model->schema, before));
        TRY(csv_writer_add(s->text, t));
    }
    csv_writer_text(s->text, &bytes);
    mine->bytes = (int64_t)bytes;
    return MILL_OK;
}

static mill_err gather(sharing *s)
{
    const told mine = s->all[s->rank];
    return rank_gather(s->group, s->all, &mine, sizeof mine);
}

/* Acceptance, in the order of the candidates, as one process counts it. */
static mill_err count(sharing *s)
{
    for (int r = 0; r < s->world && synth_sampler_rejects(s->w->sampler); r++) {
        int64_t before;
        const int64_t n = taken(s, r, &before);

        if (before >= s->rows) break;
        TRY(synth_sampler_count(s->w->sampler, s->all[r].seen, n, before + n >= s->rows));
    }
    return MILL_OK;
}

static mill_err make_room(sharing *s)
{
    int64_t most = 1;

    for (int r = 0; r < s->world; r++) most = s->all[r].bytes > most ? s->all[r].bytes : most;
    if (most <= s->room) return MILL_OK;
    s->room = 0;
    most += most / 4;
    if (!strcmp(rank_body(s->group), "mpi")) {
        char *message = mill_realloc(s->message, (size_t)most, 1);
        TRY(rank_agree(s->group, message ? MILL_OK : MILL_ENOMEM));
        s->message = message;
    } else {
        rank_buffer_free(s->buffer);
        s->buffer = NULL;
        TRY(rank_buffer_new(&s->buffer, s->group, most / (int64_t)sizeof(float) + 1, RANK_EACH));
    }
    s->room = most;
    return MILL_OK;
}

static mill_err write_text(sharing *s, const void *text, int64_t n)
{
    if (s->rank || s->wish) return MILL_OK;
    const mill_err err = csv_writer_add_text(table_writer_csv(s->w->writer), text, (size_t)n);
    if (err != MILL_EIO || !cli_reader_went_away(s->w->d->output)) return err;
    s->wish = WENT_AWAY;
    return MILL_OK;
}

/* Every rank's text to rank 0's file, in order. */
static mill_err pass_texts(sharing *s)
{
    size_t n;
    const char *text = csv_writer_text(s->text, &n);

    TRY(make_room(s));
    if (s->buffer) {
        if (n) memcpy(rank_buffer_data(s->buffer), text, n);
        TRY(rank_barrier(s->group));
        for (int r = 0; r < s->world && !s->rank; r++)
            TRY(write_text(s, rank_buffer_of(s->buffer, r), s->all[r].bytes));
        return MILL_OK;
    }
    for (int r = 0; r < s->world; r++) {
        if (r == s->rank && n) memcpy(s->message, text, n);
        if (s->all[r].bytes) TRY(rank_broadcast(s->group, s->message, (size_t)s->all[r].bytes, r));
        TRY(write_text(s, s->message, s->all[r].bytes));
    }
    return MILL_OK;
}

/* Any rank's wish is everybody's. */
static void hear_stop(sharing *s)
{
    for (int r = 0; r < s->world; r++) {
        if (s->all[r].stop && !s->stop) s->stop = s->all[r].stop;
        if (s->all[r].signal && !train_signal_received()) train_signal_note((int)s->all[r].signal);
    }
}

static mill_err draw_round(sharing *s)
{
    mill_table *t = NULL;
    int64_t before;

    mill_err err = draw_unit(s, &t);
    const int signal = train_signal_received();
    s->all[s->rank] =
        (told){.rows = t ? t->rows : 0, .stop = signal ? INTERRUPTED : s->wish, .signal = signal};
    if (!err) err = gather(s);
    if (!err) hear_stop(s);
    if (!err && !s->stop) err = format_unit(s, t);
    mill_table_free(t);
    if (err || s->stop) return err;
    TRY(gather(s));
    TRY(count(s));
    TRY(pass_texts(s));
    s->done = taken(s, s->world - 1, &before) + before;
    s->round++;
    rank_beat(s->group, s->done, RANK_COMPUTING);
    return MILL_OK;
}

static mill_err draw_rounds(sharing *s)
{
    const drawing *d = s->w->d;
    train_progress progress;

    progress_begin(&progress, 2, d->quiet, s->w->model->method->name, "rows");
    progress_range(&progress, 0, s->rows);
    do {
        TRY(draw_round(s));
        progress_show(&progress, s->done, NULL);
    } while (!s->stop && s->done < s->rows);
    if (progress.is_open_line)
        progress_end(&progress, s->done, NULL, s->stop == INTERRUPTED ? "interrupted" : "done");
    return MILL_OK;
}

mill_err cli_draw_shared(draw_work *w, int64_t rows, mill_pool *pool, rank_group *group)
{
    const bool rejects = synth_sampler_rejects(w->sampler);
    sharing s = {
        .w = w,
        .pool = pool,
        .group = group,
        .rank = rank_of(group),
        .world = rank_world(group),
        .rows = rows,
        .unit_rows = rejects ? SYNTH_BLOCK : w->d->batch,
    };
    mill_err err = MILL_ENOMEM;

    s.all = mill_alloc((size_t)s.world, sizeof *s.all);
    if (rejects) s.at = mill_alloc(SYNTH_BLOCK, sizeof *s.at);
    if (s.all && (s.at || !rejects))
        err = csv_writer_open_text(&s.text, !s.rank, csv_name_delimiter(w->d->output), pool);
    if (!err) err = draw_rounds(&s);
    w->is_interrupted = s.stop == INTERRUPTED;
    w->went_away = s.wish == WENT_AWAY || s.stop == WENT_AWAY;
    rank_buffer_free(s.buffer);
    csv_writer_close(s.text);
    mill_free(s.message);
    mill_free(s.at);
    mill_free(s.all);
    return err;
}
