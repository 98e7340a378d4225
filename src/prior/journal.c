/*
 * journal.c - what a run has done: a line for each unit, the index in the end, status, log
 * (folder.h).
 *
 * Workers append to one journal; a line that was torn by a kill is ignored.  A resume that finds
 * units damaged writes it anew without them.
 */
#include "prior/folder.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const reject_names[PRIOR_N_REJECT] = {"empty", "labels", "filter", "trivial"};

static void add_unit(mill_text *t, const prior_unit *u)
{
    text_add(t,
             "{\"unit\":%lld,\"first\":%lld,\"count\":%lld,\"bytes\":%lld,\"crc32c\":%lld,"
             "\"rows\":%lld,\"cells\":%lld,\"attempts\":%lld,\"rejected\":[",
             (long long)u->unit, (long long)u->first, (long long)u->count, (long long)u->bytes,
             (long long)u->crc, (long long)u->rows, (long long)u->cells, (long long)u->attempts);
    for (int k = 0; k < PRIOR_N_REJECT; k++)
        text_add(t, "%s%lld", k ? "," : "", (long long)u->rejected[k]);
    text_add(t, "]}");
}

static bool read_unit(prior_unit *u, const json_t *o)
{
    static const char *const keys[] = {"unit",   "first", "count", "bytes",
                                       "crc32c", "rows",  "cells", "attempts"};
    const json_t *rejected = json_object_get(o, "rejected");
    int64_t v[8];

    for (int k = 0; k < 8; k++) {
        const json_t *value = json_object_get(o, keys[k]);
        if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
        v[k] = json_integer_value(value);
    }
    *u = (prior_unit){v[0], v[1], v[2], v[3], (uint32_t)v[4], v[5], v[6], v[7], {0}};
    for (int k = 0; k < PRIOR_N_REJECT; k++)
        u->rejected[k] = json_integer_value(json_array_get(rejected, (size_t)k));
    return u->count > 0;
}

/* ---- the journal ---- */

mill_err folder_note(const char *dir, const prior_unit *u)
{
    char path[PRIOR_PATH];
    mill_text t = {0};
    mill_file *f = NULL;

    add_unit(&t, u);
    text_add(&t, "\n");
    mill_err err = text_check(&t);
    if (!err) err = prior_path(path, dir, "run/journal.jsonl");
    if (!err) err = file_open_append(&f, path);
    if (!err) err = file_write(f, t.s, t.len);
    if (!err) err = file_flush(f);
    file_close(f);
    text_free(&t);
    return err;
}

static void take_line(prior_folder *f, const char *line, size_t len)
{
    json_t *o = json_loadb(line, len, 0, NULL);
    prior_unit u;
    int64_t first, count;

    if (o && read_unit(&u, o) && u.unit >= f->first_unit && u.unit - f->first_unit < f->n_units) {
        folder_span(f, u.unit - f->first_unit, &first, &count);
        if (u.first == first && u.count == count) f->unit[u.unit - f->first_unit] = u;
    }
    json_decref(o);
}

mill_err folder_read_journal(prior_folder *f)
{
    char path[PRIOR_PATH], *text;
    size_t len, at = 0;

    TRY(prior_path(path, f->o.dir, "run/journal.jsonl"));
    if (!file_exists(path)) return MILL_OK;
    TRY(file_read_all(&text, &len, path));
    for (const char *end; at < len && (end = memchr(text + at, '\n', len - at));
         at = (size_t)(end - text) + 1)
        take_line(f, text + at, (size_t)(end - text) - at);
    mill_free(text);
    if (at == len) return MILL_OK;
    mill_file *log; /* torn: the next line must not be glued to it */
    TRY(file_open_append(&log, path));
    mill_err err = file_write(log, "\n", 1);
    if (!err) err = file_flush(log);
    file_close(log);
    return err;
}

mill_err folder_write_journal(const prior_folder *f)
{
    char path[PRIOR_PATH];
    mill_text t = {0};

    for (int64_t u = 0; u < f->n_units; u++) {
        if (!f->unit[u].count) continue;
        add_unit(&t, &f->unit[u]);
        text_add(&t, "\n");
    }
    mill_err err = text_check(&t);
    if (!err) err = prior_path(path, f->o.dir, "run/journal.jsonl");
    if (!err) err = file_write_all(path, t.s, t.len);
    text_free(&t);
    return err;
}

/* ---- the index ---- */

mill_err folder_finish(prior_folder *f)
{
    char path[PRIOR_PATH];
    mill_text t = {0};
    prior_unit sum = {0};

    if (f->o.format == &prior_npy) TRY(file_sync_all(f->o.dir));
    text_add(&t, "{\"format\":\"%s\",\"first\":%lld,\"n\":%lld,\"units\":[\n", f->o.format->name,
             (long long)f->o.first, (long long)f->o.n);
    for (int64_t i = 0; i < f->n_units; i++) {
        const prior_unit *u = &f->unit[i];

        add_unit(&t, u);
        text_add(&t, i + 1 < f->n_units ? ",\n" : "\n");
        sum.bytes += u->bytes;
        sum.rows += u->rows;
        sum.cells += u->cells;
        sum.attempts += u->attempts;
        for (int k = 0; k < PRIOR_N_REJECT; k++) sum.rejected[k] += u->rejected[k];
    }
    text_add(&t, "],\"bytes\":%lld,\"rows\":%lld,\"cells\":%lld,\"attempts\":%lld,\"rejected\":{",
             (long long)sum.bytes, (long long)sum.rows, (long long)sum.cells,
             (long long)sum.attempts);
    for (int k = 0; k < PRIOR_N_REJECT; k++)
        text_add(&t, "%s\"%s\":%lld", k ? "," : "", reject_names[k], (long long)sum.rejected[k]);
    text_add(&t, "}}\n");
    mill_err err = text_check(&t);
    if (!err) err = prior_path(path, f->o.dir, "index.json");
    if (!err) err = file_write_all(path, t.s, t.len);
    text_free(&t);
    return err;
}

mill_err folder_units(prior_unit **out, int64_t *n, const char *dir)
{
    json_t *index;

    TRY(folder_read_json(&index, dir, "index.json"));
    const json_t *units = json_object_get(index, "units");
    const size_t count = json_array_size(units);
    prior_unit *u = mill_alloc(count ? count : 1, sizeof *u);
    mill_err err = u ? MILL_OK : MILL_ENOMEM;
    for (size_t i = 0; i < count && !err; i++)
        if (!read_unit(&u[i], json_array_get(units, i)))
            err = mill_fail(MILL_EINPUT, "%s/index.json: unit %zu is damaged", dir, i);
    if (!err && !count) err = mill_fail(MILL_EINPUT, "%s/index.json: lists no units", dir);
    json_decref(index);
    if (err) {
        mill_free(u);
        return err;
    }
    *out = u;
    *n = (int64_t)count;
    return MILL_OK;
}

/* ---- for people ---- */

static void now(char when[40])
{
    const time_t t = time(NULL);
    struct tm utc;

    strftime(when, 40, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &utc));
}

void folder_log(const prior_folder *f, const char *fmt, ...)
{
    char path[PRIOR_PATH], when[40], words[1024];
    mill_text t = {0};
    mill_file *log = NULL;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    now(when);
    text_add(&t, "%s %s\n", when, words);
    mill_err err = text_check(&t);
    if (!err) err = prior_path(path, f->o.dir, "run/log");
    if (!err) err = file_open_append(&log, path);
    if (!err) err = file_write(log, t.s, t.len);
    if (!err) err = file_flush(log);
    if (err) mill_log(MILL_LOG_WARN, "%s", mill_error());
    file_close(log);
    text_free(&t);
}

mill_err folder_write_status(const prior_folder *f, const prior_run_result *r, const char *how)
{
    char host[256] = "", when[40];

    gethostname(host, sizeof host - 1);
    now(when);
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:f, s:f}", "how", how, "ended",
                          when, "host", host, "workers", f->o.workers, "workers_killed", r->n_died,
                          "made", (json_int_t)r->made, "made_now", (json_int_t)r->made_now, "bytes",
                          (json_int_t)r->bytes, "seconds", r->seconds, "disk_share", r->disk_share);
    const mill_err err = o ? folder_write_json(f->o.dir, "run/status.json", o)
                           : mill_fail(MILL_ENOMEM, "out of memory for run/status.json");
    json_decref(o);
    return err;
}
