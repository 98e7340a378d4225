/*
 * em.c - the walk of EM over the rows; formulas, layout and order of sums are in em.h.
 *
 * A step walks the pool twice: for every span of rows two stages, responsibilities (a chunk is some
 * rows) and counts (a chunk is some columns and a block of lanes); then, when the ranks have
 * added up their totals, the tables.
 */
#include "synth/em.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/vmath.h"

#include <math.h>
#include <string.h>

typedef void (*logits_fn)(float *, const float *, const float *, int, const em_columns *, int64_t);
typedef double (*softmax_fn)(float *, int64_t, float *, int64_t, int, int64_t);
typedef void (*count_fn)(float *, const float *, const float *, int, const em_columns *, int64_t);
typedef void (*logs_fn)(float *, float *, const float *, const float *, const float *, int,
                        int64_t);
static const logits_fn logits[MILL_N_LEVEL] = MILL_LEVELS(em_logits);
static const softmax_fn softmax[MILL_N_LEVEL] = MILL_LEVELS(em_softmax);
static const count_fn count[MILL_N_LEVEL] = MILL_LEVELS(em_count);
static void (*const collect[MILL_N_LEVEL])(int64_t *, float *, int64_t) = MILL_LEVELS(em_collect);
static void (*const deliver[MILL_N_LEVEL])(float *, int64_t *, int64_t) = MILL_LEVELS(em_deliver);
static const logs_fn logs[MILL_N_LEVEL] = MILL_LEVELS(em_logs);

enum { UNIT_CODES = 1024, MOST_WAIT = 256, STREAM_START = 0x454d0001, LOG_CODES = 256 };
static const float PRIOR = 1;           /* a of em.h */
static const float WEIGHT_PRIOR = 0.5f; /* s of em.h */
/* of a component's first distribution is the row that it begins at */
static const float START_ROW = 0.05f;
static const double LOG_ONE = 0x1p20; /* a nat, in sums over rows */
static const float NEVER = -1e30f;    /* logit of a lane that pads */

static int lanes_of(int64_t k)
{
    return (int)((k + 15) / 16 * 16);
}

/* A span's responsibilities take about 1 MiB. */
static int64_t span_of(int lanes)
{
    int64_t span = 4096;
    while (span > 256 && span * lanes > 1 << 18) span /= 2;
    return span;
}

int64_t em_bytes(const synth_codes *codes, int64_t rows, int64_t k)
{
    const int64_t lanes = lanes_of(k), span = span_of((int)lanes);
    const int64_t cell = rows > EM_UNIT ? 16 : 8;
    return cell * lanes * codes->n_codes + (int64_t)codes->n_codes * 12 + 2 * lanes * 4 +
           span * (lanes * 4 + 4) + span / EM_ROWS * 8;
}

void em_free(em *e)
{
    if (!e) return;
    mill_free(e->col);
    mill_free(e->logp);
    mill_free(e->acc);
    mill_free(e->total);
    mill_free(e->marginal);
    mill_free(e->logw);
    mill_free(e->mass);
    mill_free(e->strength);
    mill_free(e->wait);
    mill_free(e->r);
    mill_free(e->inverse);
    mill_free(e->chunk_sum);
    mill_free(e);
}

static mill_err make_tables(em *e)
{
    const size_t codes = (size_t)e->codes->n_codes + 1, lanes = (size_t)e->lanes;
    const size_t span = (size_t)e->span;
    size_t cells;

    TRY(mill_size_mul(&cells, codes, lanes));
    e->col = mill_alloc((size_t)e->codes->n_cols + 1, sizeof *e->col);
    e->logp = mill_alloc(cells, sizeof *e->logp);
    e->acc = mill_alloc(cells, sizeof *e->acc);
    if (e->rows > EM_UNIT && !(e->total = mill_alloc(cells, sizeof *e->total))) return MILL_ENOMEM;
    e->marginal = mill_alloc(codes, sizeof *e->marginal);
    e->wait = mill_alloc(codes, sizeof *e->wait);
    e->logw = mill_alloc(lanes, sizeof *e->logw);
    e->mass = mill_alloc(lanes, sizeof *e->mass);
    e->strength = mill_alloc(codes, sizeof *e->strength);
    e->r = mill_alloc(span * lanes, sizeof *e->r);
    e->inverse = mill_alloc(span, sizeof *e->inverse);
    e->chunk_sum = mill_alloc(span / EM_ROWS, sizeof *e->chunk_sum);
    const bool good = e->col && e->logp && e->acc && e->marginal && e->logw && e->mass &&
                      e->strength && e->wait && e->r && e->inverse && e->chunk_sum;
    return good ? MILL_OK : MILL_ENOMEM;
}

mill_err em_new(em **out, const synth_codes *codes, int k, const int32_t *row, int64_t rows,
                bool smooth, mill_pool *pool)
{
    em *e = mill_alloc(1, sizeof *e);
    if (!e) return MILL_ENOMEM;
    e->codes = codes;
    e->pool = pool;
    e->row = row;
    e->rows = rows;
    e->k = k;
    e->lanes = lanes_of(k);
    e->blocks = (e->lanes + EM_BLOCK - 1) / EM_BLOCK;
    e->span = span_of(e->lanes);
    const mill_err err = make_tables(e);
    if (err != MILL_OK) {
        em_free(e);
        return err;
    }
    for (int j = 0; j < codes->n_cols; j++) {
        if (codes->coder[j].n) e->col[e->n_cols++] = j;
    }
    for (int32_t c = 0; c < codes->n_codes; c++) {
        /* A code of the schema that no training row has (all of its rows were withheld) keeps a
         * trace. */
        const double n = codes->count[c] ? (double)codes->count[c] : 0.5;
        e->marginal[c] = (float)(n / (double)codes->rows);
    }
    for (int a = 0; a < e->n_cols; a++) {
        const int j = e->col[a];
        for (int32_t c = codes->base[j]; c < codes->base[j + 1]; c++) {
            for (e->wait[c] = 1;
                 e->wait[c] * UNIT_CODES <= codes->coder[j].n && e->wait[c] < MOST_WAIT;)
                e->wait[c] *= 2;
            if (e->wait[c] > e->most_wait) e->most_wait = e->wait[c];
            e->strength[c] = PRIOR + (smooth ? (float)codes->coder[j].n : 0.0f);
        }
    }
    *out = e;
    return MILL_OK;
}

static int64_t row_of(const em *e, int64_t i)
{
    return e->row ? e->row[i] : i;
}

void em_start(em *e, uint64_t seed)
{
    mill_rng rng = mill_rng_init(seed, STREAM_START, 0);
    const int32_t *base = e->codes->base;

    for (int k = 0; k < e->lanes; k++) {
        const int block = k / EM_BLOCK, lane = k % EM_BLOCK, width = em_width(e, block);
        const int64_t row = row_of(e, mill_rng_below(&rng, (uint32_t)e->rows));
        float *table = e->logp + em_at(e, block, 0) + lane;
        e->logw[k] = k < e->k ? -mill_logf((float)e->k) : NEVER;
        for (int32_t c = 0; c < e->codes->n_codes; c++) {
            table[(int64_t)c * width] = mill_logf((1 - START_ROW) * e->marginal[c]);
        }
        for (int a = 0; a < e->n_cols; a++) {
            const int j = e->col[a];
            const int64_t c = base[j] + codes_at(e->codes, j, row);
            table[c * width] = mill_logf((1 - START_ROW) * e->marginal[c] + START_ROW);
        }
    }
}

/* The walk's constants for one span. */
typedef struct {
    em *e;
    const int32_t *row; /* rows walked over: NULL: 0, 1, ... */
    int64_t from, to;
    bool learn;
    int64_t sum; /* of log-likelihoods, times LOG_ONE */
    mill_level level;
} walk;

/* Codes of n rows of a column among all: row[0], ..., or, without `row`, first, ... */
#define WIDEN(type)                                                               \
    do {                                                                          \
        const type *from_ = e->codes->code[j];                                    \
        for (int64_t i = 0; i < n && row; i++) out[i] = base + from_[row[i]];     \
        for (int64_t i = 0; i < n && !row; i++) out[i] = base + from_[first + i]; \
    } while (0)

static void get_column(int32_t *out, const em *e, int j, const int32_t *row, int64_t first,
                       int64_t n)
{
    const int32_t base = e->codes->base[j];

    switch (e->codes->width[j]) {
    case 1:
        WIDEN(uint8_t);
        break;
    case 2:
        WIDEN(uint16_t);
        break;
    default:
        WIDEN(int32_t);
        break;
    }
}

/* Columns a, a + 1, ..., at most `most`, of rows from, ... of the walk. */
static em_columns get_columns(int32_t *out, const walk *w, int a, int most, int64_t from, int64_t n)
{
    const em *e = w->e;
    const int left = e->n_cols - a;
    const em_columns c = {out, EM_STRIDE, left < most ? left : most};

    for (int i = 0; i < c.n_cols; i++)
        get_column(out + (ptrdiff_t)i * EM_STRIDE, e, e->col[a + i], w->row ? w->row + from : NULL,
                   from, n);
    return c;
}

/* Rows of a chunk of responsibilities: the tables of one tile of columns stay in the cache from one
 * chunk to the next, those of many are read anew for each. */
static int64_t chunk_rows(const em *e)
{
    return e->n_cols > EM_TILE ? e->span / 4 : EM_ROWS;
}

static void responsibilities(const walk *w, int64_t first, int64_t n, int64_t chunk)
{
    em *e = w->e;
    const int64_t step = chunk_rows(e), from = chunk * step, to = from + step < n ? from + step : n;
    int32_t code[EM_TILE * EM_STRIDE];
    int a = 0;

    do { /* once without columns, too */
        const em_columns c = get_columns(code, w, a, EM_TILE, first + from, to - from);
        for (int b = 0; b < e->blocks; b++) {
            const int width = em_width(e, b);
            const float *logw = a ? NULL : e->logw + (int64_t)b * EM_BLOCK;
            logits[w->level](e->r + (int64_t)b * EM_BLOCK * e->span + from * width,
                             e->logp + em_at(e, b, 0), logw, width, &c, to - from);
        }
    } while ((a += EM_TILE) < e->n_cols);
    for (int64_t i = from; i < to; i += EM_ROWS)
        e->chunk_sum[i / EM_ROWS] = softmax[w->level](e->r, i, e->inverse, e->span, e->lanes,
                                                      to - i < EM_ROWS ? to - i : EM_ROWS);
}

/* Columns of a chunk of counts: responsibilities come from further away than one L2 cache. */
static int count_columns(const em *e)
{
    return e->n_cols >= 8 * EM_TILE ? EM_TILE : EM_TOGETHER;
}

static int64_t count_chunks(const em *e)
{
    return (int64_t)(e->n_cols + count_columns(e) - 1) / count_columns(e) * e->blocks;
}

static void add_counts(const walk *w, int64_t first, int64_t n, int64_t chunk)
{
    em *e = w->e;
    const int step = count_columns(e), from = (int)(chunk / e->blocks) * step;
    const int end = e->n_cols - from < step ? e->n_cols : from + step;
    const int b = (int)(chunk % e->blocks), width = em_width(e, b);
    const float *r = e->r + (int64_t)b * EM_BLOCK * e->span;
    int32_t code[EM_TOGETHER * EM_STRIDE];

    for (int64_t i = 0; i < n; i += EM_ROWS_WIDE) {
        const int64_t rows = n - i < EM_ROWS_WIDE ? n - i : EM_ROWS_WIDE;
        for (int a = from; a < end; a += EM_TOGETHER) {
            const em_columns c = get_columns(code, w, a, EM_TOGETHER, first + i, rows);
            count[w->level](e->acc + em_at(e, b, 0), r + i * width, e->inverse + i, width, &c,
                            rows);
        }
    }
}

/*
 * Counts into totals, LOG_CODES codes of a block at a time.  A column of many codes waits for as
 * many more rows, which are spread over its codes: else 300,000 categories would be walked over
 * every unit.
 */
static void flush(const walk *w, int64_t chunk, int64_t end)
{
    em *e = w->e;
    const int b = (int)(chunk % e->blocks), width = em_width(e, b);
    const int64_t from = chunk / e->blocks * LOG_CODES;
    const int64_t to = from + LOG_CODES < e->codes->n_codes ? from + LOG_CODES : e->codes->n_codes;

    for (int64_t c = from, n; c < to; c += n) {
        for (n = 1; c + n < to && e->wait[c + n] == e->wait[c];) n++;
        if (end < w->to && end / EM_UNIT % e->wait[c]) continue;
        const int64_t at = em_at(e, b, c);
        collect[w->level](e->total + at, e->acc + at, n * width);
    }
}

/* N_k: the sum of any column's counts; the one with the fewest codes. */
static void masses(em *e)
{
    int best = -1;

    for (int a = 0; a < e->n_cols; a++) {
        const int j = e->col[a];
        if (best < 0 || e->codes->coder[j].n < e->codes->coder[best].n) best = j;
    }
    const double rows = (double)e->rows + (double)WEIGHT_PRIOR * e->k;
    for (int k = 0; k < e->lanes; k++) {
        const int block = k / EM_BLOCK, lane = k % EM_BLOCK;
        double sum = 0;
        for (int32_t c = 0; best >= 0 && c < e->codes->coder[best].n; c++) {
            sum += (double)e->acc[em_at(e, block, e->codes->base[best] + c) + lane];
        }
        if (best < 0) sum = k == 0 ? (double)e->rows : 0;
        e->mass[k] = (float)sum;
        const double weight = (sum + (double)WEIGHT_PRIOR) / rows;
        e->logw[k] = k < e->k ? (float)mill_log_f64(weight) : NEVER;
    }
}

static int64_t log_chunks(const em *e)
{
    return ((int64_t)e->codes->n_codes + LOG_CODES - 1) / LOG_CODES * e->blocks;
}

static void new_logs(const walk *w, int64_t chunk)
{
    em *e = w->e;
    const int b = (int)(chunk % e->blocks);
    const int64_t from = chunk / e->blocks * LOG_CODES, most = e->codes->n_codes - from;
    const int64_t at = em_at(e, b, from);

    logs[w->level](e->logp + at, e->acc + at, e->marginal + from, e->strength + from,
                   e->mass + (int64_t)b * EM_BLOCK, em_width(e, b),
                   most < LOG_CODES ? most : LOG_CODES);
}

static void deliver_counts(const walk *w, int64_t chunk)
{
    em *e = w->e;
    const int b = (int)(chunk % e->blocks);
    const int64_t from = chunk / e->blocks * LOG_CODES, most = e->codes->n_codes - from;
    const int64_t at = em_at(e, b, from);

    deliver[w->level](e->acc + at, e->total + at,
                      (most < LOG_CODES ? most : LOG_CODES) * em_width(e, b));
}

#define STAGE(w, n, call)                                  \
    do {                                                   \
        int64_t chunk_;                                    \
        mill_stage_begin(w, n);                            \
        while ((chunk_ = mill_stage_next(w)) >= 0) (call); \
        mill_stage_end(w);                                 \
    } while (0)

/* The chunks' log-likelihoods, as integers too. */
static void sum_chunks(walk *w, int64_t n)
{
    for (int64_t c = 0; c * EM_ROWS < n; c++) w->sum += (int64_t)rint(w->e->chunk_sum[c] * LOG_ONE);
}

static void walk_rows(void *ctx, int thread, mill_walk *p)
{
    walk *w = ctx;
    em *e = w->e;

    (void)thread;
    for (int64_t first = w->from; first < w->to; first += e->span) {
        const int64_t n = w->to - first < e->span ? w->to - first : e->span, end = first + n;
        STAGE(p, (n + chunk_rows(e) - 1) / chunk_rows(e), responsibilities(w, first, n, chunk_));
        if (!w->learn) {
            STAGE(p, 1, sum_chunks(w, n));
            continue;
        }
        /* The last chunk is the sum of the likelihoods, which nobody else touches meanwhile. */
        STAGE(p, count_chunks(e) + 1,
              chunk_ < count_chunks(e) ? add_counts(w, first, n, chunk_) : sum_chunks(w, n));
        if (e->total && (end % EM_UNIT == 0 || end == w->to))
            STAGE(p, log_chunks(e), flush(w, chunk_, end));
    }
}

static void walk_tables(void *ctx, int thread, mill_walk *p)
{
    walk *w = ctx;
    em *e = w->e;

    (void)thread;
    if (e->total) STAGE(p, log_chunks(e), deliver_counts(w, chunk_));
    STAGE(p, 1, masses(e));
    STAGE(p, log_chunks(e), new_logs(w, chunk_));
}

/* This rank's rows: whole units of the column that waits longest. */
static rank_span share_of(const em *e)
{
    const int64_t unit = (int64_t)EM_UNIT * (e->most_wait ? e->most_wait : 1);

    if (!e->group) return (rank_span){0, e->rows};
    rank_span s = rank_share((e->rows + unit - 1) / unit, rank_of(e->group), rank_world(e->group));
    s.begin *= unit;
    s.end = s.end * unit < e->rows ? s.end * unit : e->rows;
    return s;
}

static mill_err add_ranks(em *e, int64_t *log_sum)
{
    const int64_t cells = (int64_t)e->lanes * e->codes->n_codes;

    if (!e->group) return MILL_OK;
    TRY(rank_combine(e->group, log_sum, 1, RANK_I64, RANK_SUM));
    if (e->total) return rank_combine(e->group, e->total, cells, RANK_I64, RANK_SUM);
    return rank_combine(e->group, e->acc, cells, RANK_F32, RANK_SUM); /* all but one are zero */
}

mill_err em_step(em *e)
{
    const rank_span share = share_of(e);
    walk w = {.e = e,
              .row = e->row,
              .from = share.begin,
              .to = share.end,
              .learn = true,
              .level = mill_cpu_level()};

    mill_pool_walk(e->pool, walk_rows, &w);
    TRY(add_ranks(e, &w.sum));
    mill_pool_walk(e->pool, walk_tables, &w);
    e->log_likelihood = (double)w.sum / LOG_ONE / (double)e->rows;
    return MILL_OK;
}

double em_score(em *e, const int32_t *row, int64_t rows)
{
    walk w = {.e = e, .row = row, .to = rows, .level = mill_cpu_level()};
    mill_pool_walk(e->pool, walk_rows, &w);
    return (double)w.sum / LOG_ONE / (double)rows;
}
