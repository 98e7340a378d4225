/* csv_block.c - see csv_block.h. */
#include "table/csv_block.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- faults ---- */

static bool comes_before(const csv_fault *a, const csv_fault *b)
{
    if (b->kind == FAULT_NONE) return a->kind != FAULT_NONE;
    if (a->kind == FAULT_NONE) return false;
    if ((a->kind == FAULT_SYSTEM) != (b->kind == FAULT_SYSTEM)) return a->kind == FAULT_SYSTEM;
    return a->at < b->at;
}

void fault_merge(csv_fault *f, const csv_fault *other)
{
    if (comes_before(other, f)) *f = *other;
}

void fault_note(csv_fault *f, fault_kind kind, int64_t at, int col, int64_t detail)
{
    const csv_fault fresh = {.kind = kind, .at = at, .col = col, .detail = detail};
    fault_merge(f, &fresh);
}

void fault_note_system(csv_fault *f, mill_err err)
{
    csv_fault fresh = {.kind = FAULT_SYSTEM, .col = -1, .err = err};
    snprintf(fresh.words, sizeof fresh.words, "%s", mill_error());
    fault_merge(f, &fresh);
}

int64_t csv_block_bytes = CSV_BLOCK;

/* ---- layout ---- */

typedef struct {
    csv_layout *l;
    char **buf; /* per thread */
    csv_fault *fault;
    csv_counts *counts; /* n_blocks */
} count_job;

/* The last byte's line end begins a line in the next block: it is counted there. */
static void count_block(void *ctx, int64_t i, int thread)
{
    const count_job *job = ctx;
    const csv_layout *l = job->l;
    csv_fault *fault = &job->fault[thread];
    char **buf = &job->buf[thread];
    size_t got = 0;

    if (fault->kind) return;
    if (!*buf && !(*buf = mill_alloc((size_t)l->block + CSV_PAD, 1))) {
        fault_note_system(fault, MILL_ENOMEM);
        return;
    }
    const mill_err err = source_read(l->src, *buf, (size_t)l->block, l->begin + i * l->block, &got);
    if (err) fault_note_system(fault, err);
    csv_count(&job->counts[i], *buf, got, l->quote);
    job->counts[i].ends_line = got && (*buf)[got - 1] == '\n';
}

/* What each block begins with; true if the file ends inside quotes. */
static bool add_counts(csv_layout *l, const csv_counts *counts)
{
    bool inside = false, ends_line = true; /* a line begins where the file does */

    for (int64_t i = 0; i < l->n_blocks; i++) {
        const csv_counts *c = &counts[i];
        l->inside[i] = inside;
        l->lines[i + 1] = l->lines[i] + (inside ? c->inside : c->outside) + (ends_line && !inside);
        inside ^= c->is_odd;
        ends_line = c->ends_line;
        l->lines[i + 1] -= ends_line && !inside;
    }
    return inside;
}

mill_err csv_layout_count(csv_layout *l, mill_pool *pool)
{
    const int threads = pool ? mill_pool_threads(pool) : 1;
    csv_fault fault = {0};

    l->n_blocks = (l->src->bytes - l->begin + csv_block_bytes - 1) / csv_block_bytes;
    l->block = csv_block_bytes;
    l->inside = mill_alloc((size_t)l->n_blocks + 1, 1);
    l->lines = mill_alloc((size_t)l->n_blocks + 1, sizeof *l->lines);
    if (!l->inside || !l->lines) return MILL_ENOMEM;

    count_job job = {.l = l};
    job.buf = mill_alloc((size_t)threads, sizeof *job.buf);
    job.fault = mill_alloc((size_t)threads, sizeof *job.fault);
    job.counts = mill_alloc((size_t)l->n_blocks + 1, sizeof *job.counts);
    const bool ok = job.buf && job.fault && job.counts;
    if (ok) {
        mill_pool_run(pool, l->n_blocks, count_block, &job);
        for (int t = 0; t < threads; t++) {
            fault_merge(&fault, &job.fault[t]);
            mill_free(job.buf[t]);
        }
    }
    const bool is_open = ok && add_counts(l, job.counts);
    mill_free(job.buf);
    mill_free(job.fault);
    mill_free(job.counts);
    if (!ok) return MILL_ENOMEM;
    if (fault.kind) return mill_fail(fault.err, "%s", fault.words);
    return is_open ? csv_layout_walk(l) : MILL_OK;
}

/* The walk's state: what the next byte is part of. */
typedef enum { AT_FIELD, IN_TEXT, IN_QUOTES, MAYBE_CLOSED } walk_state;

mill_err csv_layout_walk(csv_layout *l)
{
    char *buf = mill_alloc((size_t)l->block, 1);
    walk_state state = AT_FIELD;
    int64_t next = 1; /* the first block whose first record is not known */
    mill_err err = MILL_OK;

    mill_free(l->lines); /* counted with other quotes */
    l->lines = NULL;
    l->first = mill_alloc((size_t)l->n_blocks + 1, sizeof *l->first);
    if (!buf || !l->first) err = MILL_ENOMEM;
    if (!err) l->first[0] = l->begin;
    for (int64_t i = 0; !err && i < l->n_blocks; i++) {
        const int64_t base = l->begin + i * l->block;
        size_t got = 0;
        err = source_read(l->src, buf, (size_t)l->block, base, &got);
        for (size_t k = 0; k < got; k++) {
            const char c = buf[k];
            if (state == IN_QUOTES) {
                if (c == l->quote) state = MAYBE_CLOSED;
                continue;
            }
            if (c == l->quote && state != IN_TEXT) {
                state = IN_QUOTES; /* opened, or the second of a pair */
                continue;
            }
            state = c == l->delimiter || c == '\n' ? AT_FIELD : IN_TEXT;
            if (c != '\n') continue;
            const int64_t record = base + (int64_t)k + 1;
            while (next < l->n_blocks && l->begin + next * l->block <= record)
                l->first[next++] = record;
        }
    }
    for (; !err && next < l->n_blocks; next++) l->first[next] = l->src->bytes;
    mill_free(buf);
    return err;
}

void csv_layout_free(csv_layout *l)
{
    mill_free(l->inside);
    mill_free(l->first);
    mill_free(l->lines);
    l->inside = NULL;
    l->first = NULL;
    l->lines = NULL;
}

/* ---- blocks ---- */

void csv_block_free(csv_block *b)
{
    mill_free(b->buf);
    mill_free(b->end);
    mill_free(b->row);
    memset(b, 0, sizeof *b);
}

static mill_err block_reserve(csv_block *b, size_t bytes)
{
    if (bytes <= b->cap) return MILL_OK;
    char *buf = mill_realloc(b->buf, bytes + CSV_PAD, 1);
    if (!buf) return MILL_ENOMEM;
    b->buf = buf;
    b->cap = bytes;
    return MILL_OK;
}

/* Twice the room for edges and lines: most blocks need far less than one for every byte. */
static mill_err block_grow_index(csv_block *b)
{
    const size_t ends = b->end_cap ? 2 * b->end_cap : CSV_BLOCK / 4;
    const size_t rows = b->row_cap ? 2 * b->row_cap : CSV_BLOCK / 16;
    uint32_t *end = mill_realloc(b->end, ends, sizeof *end);
    if (!end) return MILL_ENOMEM;
    b->end = end;
    b->end_cap = ends;
    csv_row *row = mill_realloc(b->row, rows, sizeof *row);
    if (!row) return MILL_ENOMEM;
    b->row = row;
    b->row_cap = rows;
    return MILL_OK;
}

/* NOLINTNEXTLINE(readability-function-size): two answers, three places in the block */
mill_err csv_block_index(bool *found, csv_block *b, const csv_layout *l, bool exact, size_t from,
                         size_t avail, size_t stop, csv_fault *fault)
{
    for (;;) {
        csv_fault here = {0};
        if (!b->end || b->no_room) TRY(block_grow_index(b));
        b->no_room = false;
        *found = exact ? csv_index_exact(b, l, from, avail, stop, &here)
                       : csv_index_fast(b, l, from, avail, stop);
        if (b->no_room) continue;
        *fault = here;
        return MILL_OK;
    }
}

/* From counts of fields per line to rows: checks their widths, leaves empty lines out. `from`: of
 * the first line. */
static void make_rows(csv_block *b, const csv_layout *l, size_t from, csv_fault *fault)
{
    const uint32_t want = (uint32_t)l->n_cols;
    uint32_t field = 0, begin = (uint32_t)from;
    int64_t rows = 0;

    for (size_t i = 0; i < b->n_lines; i++) {
        const uint32_t next_field = b->row[i].field, end = b->end[next_field - 1];
        const uint32_t got = next_field - field;
        const bool empty =
            got == 1 && (end == begin || (end == begin + 1 && b->buf[begin] == '\r'));
        if (got == want && !(empty && want > 1)) {
            b->row[rows++] = (csv_row){field, begin};
        } else if (!empty) {
            fault_note(fault, FAULT_RAGGED, b->base + begin, -1, got);
            break;
        }
        field = next_field;
        begin = end + 1;
    }
    b->rows = rows;
}

/* Where the first record of block i begins in buf, the block's first byte being at `lo`; may lie
 * behind its end. */
static size_t first_record(const csv_block *b, const csv_layout *l, int64_t i, size_t lo,
                           size_t avail)
{
    if (l->first) {
        const int64_t at = l->first[i] - b->base;
        return at < (int64_t)avail ? (size_t)at : avail;
    }
    bool inside = l->inside[i];
    if (!i || (!inside && b->buf[lo - 1] == '\n')) return lo;
    for (size_t k = lo; k < avail; k++) {
        if (l->quote && b->buf[k] == l->quote) inside = !inside;
        if (!inside && b->buf[k] == '\n') return k + 1;
    }
    return avail;
}

void csv_block_load(csv_block *b, const csv_layout *l, int64_t i, csv_fault *fault)
{
    const size_t lo = i ? 1 : 0; /* one byte of the block before */
    const size_t hi = lo + (size_t)l->block;
    size_t slack = 4096, avail = 0;

    b->rows = 0;
    b->irregular = false;
    b->base = l->begin + i * l->block - (int64_t)lo;
    for (;; slack *= 4) {
        mill_err err = block_reserve(b, hi + slack + 1);
        size_t got = 0;
        if (!err)
            err = source_read(l->src, b->buf + avail, hi + slack - avail, b->base + (int64_t)avail,
                              &got);
        if (err) {
            fault_note_system(fault, err);
            return;
        }
        avail += got;
        const bool at_end = avail < hi + slack;
        size_t text = avail;
        if (at_end && text && b->buf[text - 1] != '\n') b->buf[text++] = '\n';
        memset(b->buf + text, 0, CSV_PAD);

        const size_t from = first_record(b, l, i, lo, text);
        if (from >= (hi < avail ? hi : avail)) return;
        csv_fault here = {0};
        bool found = false;
        err = csv_block_index(&found, b, l, l->first, from, text, hi - 1, &here);
        if (err) {
            fault_note_system(fault, err);
            return;
        }
        if (b->irregular) return;
        if (found || at_end) {
            fault_merge(fault, &here);
            make_rows(b, l, from, fault);
            return;
        }
        if (slack > CSV_RECORD_MAX) {
            fault_note(fault, FAULT_LONG, b->base + (int64_t)from, -1, 0);
            return;
        }
    }
}
