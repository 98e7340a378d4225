/*
 * folder.c - what lies in the folder of a run, and what of it is complete (run.h).
 *
 * A unit is complete when the journal has a line for all of the data sets that the run wants of it,
 * and its files are there with as many bytes.  Everything else is made again, over whatever is
 * there.  A line that was torn by a kill is ignored.  Files of npy are not synced before the run's
 * end: where the machine was started anew in between (run/boot), their checksums have to be right
 * too.  When a finished run is extended, its last
 * unit may have been cut short: then it is made again, longer.
 */
#include "prior/run.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FOLDERS_ABOVE = 100000 }; /* npy: data sets in one folder at most */

static const char *const reject_names[PRIOR_N_REJECT] = {"empty", "labels", "filter", "trivial"};

/* ---- JSON of units ---- */

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

static mill_err read_json(json_t **out, const char *dir, const char *name)
{
    char path[PRIOR_PATH], *text;
    size_t len;
    json_error_t why;

    TRY(prior_path(path, dir, name));
    TRY(file_read_all(&text, &len, path));
    *out = json_loadb(text, len, 0, &why);
    mill_free(text);
    if (*out) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s:%d: %s", path, why.line, why.text);
}

static mill_err write_json(const char *dir, const char *name, const json_t *o)
{
    char path[PRIOR_PATH], *text = json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS);
    mill_text t = {0};

    if (!text) return mill_fail(MILL_ENOMEM, "out of memory for %s", name);
    text_add(&t, "%s\n", text);
    free(text);
    mill_err err = text_check(&t);
    if (!err) err = prior_path(path, dir, name);
    if (!err) err = file_write_all(path, t.s, t.len);
    text_free(&t);
    return err;
}

static bool has_file(const char *dir, const char *name)
{
    char path[PRIOR_PATH];

    return !prior_path(path, dir, name) && file_exists(path);
}

/* ---- the manifest ---- */

static json_t *make_manifest(const prior_run_options *o, json_t *config)
{
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:O}", "version", o->version, "format",
                     o->format->name, "csv", o->csv, "first", (json_int_t)o->first, "n",
                     (json_int_t)o->n, "config", config);
}

mill_err prior_manifest_read(prior_manifest *m, const char *dir)
{
    json_t *first, *n;

    *m = (prior_manifest){.config = prior_config_default()};
    if (!has_file(dir, "manifest.json"))
        return mill_fail(MILL_EINPUT, "%s: holds no run of a prior (no manifest.json)", dir);
    TRY(read_json(&m->manifest, dir, "manifest.json"));
    const char *format = json_string_value(json_object_get(m->manifest, "format"));
    first = json_object_get(m->manifest, "first");
    n = json_object_get(m->manifest, "n");
    mill_err err = prior_config_read(&m->config, json_object_get(m->manifest, "config"));
    m->format = format ? prior_format_find(format) : NULL;
    if (!err && (!m->format || !json_is_integer(first) || !json_is_integer(n)))
        err = mill_fail(MILL_EINPUT, "%s/manifest.json: format, first or n is missing", dir);
    m->first = json_integer_value(first);
    m->n = json_integer_value(n);
    m->csv = json_is_true(json_object_get(m->manifest, "csv"));
    m->is_complete = has_file(dir, "index.json");
    if (err) prior_manifest_free(m);
    return err;
}

void prior_manifest_free(prior_manifest *m)
{
    json_decref(m->manifest);
    m->manifest = NULL;
}

/* "min-seq was 400, is 200; " for every key that differs; `n` may grow and the version may change.
 */
static void add_differences(mill_text *t, const json_t *was, const json_t *is)
{
    const char *key;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)is, key, value)
    {
        const json_t *before = json_object_get(was, key);
        if (!strcmp(key, "n") || !strcmp(key, "version") || json_equal(before, value)) continue;
        if (json_is_object(before) && json_is_object(value)) {
            add_differences(t, before, value);
            continue;
        }
        char *x = before ? json_dumps(before, JSON_ENCODE_ANY) : NULL;
        char *y = json_dumps(value, JSON_ENCODE_ANY);
        text_add(t, "%s%s was %s, is %s", t->len ? "; " : "", key, x ? x : "not set", y ? y : "?");
        free(x);
        free(y);
    }
    json_object_foreach((json_t *)(uintptr_t)was, key, value)
    {
        if (json_object_get(is, key) || !strcmp(key, "n") || !strcmp(key, "version")) continue;
        char *x = json_dumps(value, JSON_ENCODE_ANY);
        text_add(t, "%s%s was %s, is not set", t->len ? "; " : "", key, x ? x : "?");
        free(x);
    }
}

static mill_err compare(const prior_run_options *o, const json_t *was, const json_t *is)
{
    const int64_t n = json_integer_value(json_object_get(was, "n"));
    const char *version = json_string_value(json_object_get(was, "version"));
    mill_text t = {0};
    mill_err err = MILL_OK;

    add_differences(&t, was, is);
    if (t.failed)
        err = text_check(&t);
    else if (t.len)
        err = mill_fail(MILL_EINPUT, "%s: holds a run of another configuration: %s", o->dir, t.s);
    else if (o->n < n)
        err = mill_fail(MILL_EINPUT,
                        "%s: holds a run of %lld data sets, and %lld are fewer: resume with "
                        "--n-datasets %lld or more",
                        o->dir, (long long)n, (long long)o->n, (long long)n);
    else if (version && strcmp(version, o->version))
        mill_log(MILL_LOG_WARN, "%s: the run was begun by version %s and this is %s", o->dir,
                 version, o->version);
    text_free(&t);
    return err;
}

/* What a run would have left, where there is no manifest to say so. */
static mill_err check_strangers(const char *dir)
{
    static const char *const names[] = {"shard_", "batch_", "episode_", "index.json"};
    char **list;
    int n;
    mill_err err = MILL_OK;

    TRY(file_list(&list, &n, dir));
    for (int i = 0; i < n && !err; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (!strncmp(list[i], names[k], strlen(names[k])))
                err = mill_fail(MILL_EINPUT,
                                "%s: holds %s and no manifest.json: whose it is cannot be known; "
                                "take another folder",
                                dir, list[i]);
    mill_free(list);
    return err;
}

/* ---- leftovers ---- */

/* A process that was killed in a write left the file's beginning under another name. */
static mill_err remove_temporaries(const char *dir)
{
    char path[PRIOR_PATH], **list;
    int n;
    mill_err err = MILL_OK;

    if (!file_exists(dir)) return MILL_OK;
    TRY(file_list(&list, &n, dir));
    for (int i = 0; i < n && !err; i++) {
        const size_t len = strlen(list[i]);
        if (len < 5 || strcmp(list[i] + len - 4, ".tmp")) continue;
        if (!(err = prior_path(path, dir, list[i]))) err = file_remove(path);
    }
    mill_free(list);
    return err;
}

static mill_err remove_all_temporaries(const prior_folder *f)
{
    char path[PRIOR_PATH], name[32];

    TRY(remove_temporaries(f->o.dir));
    TRY(prior_path(path, f->o.dir, "index"));
    TRY(remove_temporaries(path));
    for (int64_t k = 0; k <= (f->o.first + f->o.n) / 10000 && f->o.format == &prior_npy; k++) {
        snprintf(name, sizeof name, "%04lld", (long long)k);
        TRY(prior_path(path, f->o.dir, name));
        TRY(remove_temporaries(path));
    }
    return MILL_OK;
}

bool prior_folders_for(const prior_format *f, int64_t n)
{
    return f == &prior_npy && n > FOLDERS_ABOVE;
}

/* A run that has grown past the limit of one folder: its files move to their folders. */
static mill_err move_to_folders(prior_folder *f)
{
    static const char *const what[] = {"X.npy", "y.npy", "X.csv", "y.csv"};
    char from[PRIOR_PATH], to[PRIOR_PATH], name[64], folder[PRIOR_PATH];

    for (int64_t id = f->o.first + 1; id <= f->o.first + f->o.n; id++) {
        snprintf(name, sizeof name, "%04lld", (long long)((id - 1) / 10000));
        TRY(prior_path(folder, f->o.dir, name));
        if (id == f->o.first + 1 || (id - 1) % 10000 == 0) TRY(file_mkdir(folder));
        bool any = false;
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "episode_%06lld_%s", (long long)id, what[k]);
            TRY(prior_path(from, f->o.dir, name));
            TRY(prior_path(to, folder, name));
            if (!file_exists(from)) continue;
            any = true;
            if (rename(from, to))
                return mill_fail(MILL_EIO, "%s: cannot move to %s: %s", from, to, strerror(errno));
        }
        if (!any && id > f->o.first + FOLDERS_ABOVE) return MILL_OK;
    }
    return MILL_OK;
}

/* ---- the journal ---- */

void folder_span(const prior_folder *f, int64_t u, int64_t *first, int64_t *count)
{
    const int64_t size = f->o.format->unit_size(f->o.config);
    const int64_t begin = (f->first_unit + u) * size, end = begin + size;
    const int64_t last = f->o.first + f->o.n;

    *first = begin > f->o.first ? begin : f->o.first;
    *count = (end < last ? end : last) - *first;
}

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

static mill_err check_file(uint32_t *crc, int64_t *bytes, const char *path, size_t tail)
{
    const void *map;
    size_t len;

    TRY(file_map(&map, &len, path));
    *crc = mill_crc32c(*crc, map, len > tail ? len - tail : 0);
    *bytes += (int64_t)len;
    file_unmap(map, len);
    return MILL_OK;
}

mill_err prior_unit_check(const prior_sink *s, const prior_unit *u)
{
    char path[PRIOR_PATH];
    uint32_t crc = 0;
    int64_t bytes = 0;

    for (int64_t k = 0; s->format->path(path, s, u, k); k++)
        TRY(check_file(&crc, &bytes, path, (size_t)s->format->tail));
    if (bytes == u->bytes && crc == u->crc) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: unit %lld: %s", s->dir, (long long)u->unit,
                     bytes == u->bytes ? "its checksum is another" : "its length is another");
}

static bool has_length(const prior_sink *s, const prior_unit *u)
{
    char path[PRIOR_PATH];
    struct stat st;
    int64_t bytes = 0;

    for (int64_t k = 0; s->format->path(path, s, u, k); k++)
        bytes += stat(path, &st) ? -1 : (int64_t)st.st_size;
    return bytes == u->bytes;
}

/* Whether the machine was started anew since; *out: this start's name, to be noted. */
static mill_err was_rebooted(bool *out, const prior_folder *f)
{
    char path[PRIOR_PATH], *now, *then = NULL;
    size_t len;

    *out = false;
    TRY(prior_path(path, f->o.dir, "run/boot"));
    TRY(file_read_all(&now, &len, "/proc/sys/kernel/random/boot_id"));
    mill_err err = MILL_OK;
    if (file_exists(path)) err = file_read_all(&then, &len, path);
    *out = then && strcmp(now, then);
    if (!err && (!then || *out)) err = file_write_all(path, now, strlen(now));
    mill_free(now);
    mill_free(then);
    return err;
}

/* Units whose files are not there, or not as the journal has them, are made again. */
static mill_err check_files(prior_folder *f)
{
    const prior_sink s = {.format = f->o.format,
                          .config = f->o.config,
                          .dir = f->o.dir,
                          .folders = prior_folders_for(f->o.format, f->o.n)};
    bool is_suspect;

    TRY(was_rebooted(&is_suspect, f));
    is_suspect &= f->o.format == &prior_npy;
    for (int64_t u = 0; u < f->n_units; u++) {
        prior_unit *unit = &f->unit[u];
        if (!unit->count) continue;
        if (!has_length(&s, unit) || (is_suspect && prior_unit_check(&s, unit))) unit->count = 0;
    }
    return MILL_OK;
}

/* ---- open, finish ---- */

static mill_err take_lock(prior_folder *f)
{
    char path[PRIOR_PATH];

    TRY(prior_path(path, f->o.dir, "run"));
    TRY(file_mkdir(path));
    TRY(prior_path(path, f->o.dir, "run/lock"));
    f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f->lock < 0) return mill_fail(MILL_EIO, "%s: %s", path, strerror(errno));
    if (!flock(f->lock, LOCK_EX | LOCK_NB)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: another process runs in this folder", f->o.dir);
}

/* The official loader's own file: informational. */
static mill_err write_metadata(const prior_run_options *o)
{
    const prior_config *c = o->config;
    json_t *m = json_pack(
        "{s:b, s:s, s:I, s:I, s:o, s:I, s:b, s:b, s:I, s:I, s:I, s:o, s:o, s:b, s:b}", "regression",
        c->regression, "prior_type", c->prior, "batch_size", (json_int_t)c->batch_size,
        "batch_size_per_gp", (json_int_t)c->batch_size_per_gp, "min_seq_len",
        c->min_seq ? json_integer(c->min_seq) : json_null(), "max_seq_len", (json_int_t)c->max_seq,
        "log_seq_len", c->log_seq, "seq_len_per_gp", c->seq_len_per_gp, "min_features",
        (json_int_t)c->min_features, "max_features", (json_int_t)c->max_features, "max_classes",
        (json_int_t)c->max_classes, "min_train_size",
        c->min_train_size < 1 ? json_real(c->min_train_size)
                              : json_integer((json_int_t)c->min_train_size),
        "max_train_size",
        c->max_train_size < 1 ? json_real(c->max_train_size)
                              : json_integer((json_int_t)c->max_train_size),
        "replay_small", c->replay_small, "graph_noise", c->graph_noise);
    const mill_err err = m ? write_json(o->dir, "metadata.json", m)
                           : mill_fail(MILL_ENOMEM, "out of memory for metadata.json");
    json_decref(m);
    return err;
}

static mill_err begin(prior_folder *f)
{
    json_t *config = NULL, *was = NULL, *manifest = NULL;
    const bool is_there = has_file(f->o.dir, "manifest.json");
    char path[PRIOR_PATH];
    mill_err err = MILL_OK;

    if (!is_there) err = check_strangers(f->o.dir);
    if (is_there && !f->o.resume)
        err = mill_fail(MILL_EINPUT,
                        "%s: holds a run already: --resume goes on with it, or take another folder",
                        f->o.dir);
    if (!err) err = prior_config_json(&config, f->o.config);
    if (!err && !(manifest = make_manifest(&f->o, config)))
        err = mill_fail(MILL_ENOMEM, "out of memory for a manifest");
    if (!err && is_there) err = read_json(&was, f->o.dir, "manifest.json");
    if (!err && is_there) err = compare(&f->o, was, manifest);
    if (!err && is_there && prior_folders_for(f->o.format, f->o.n) &&
        json_integer_value(json_object_get(was, "n")) <= FOLDERS_ABOVE)
        err = move_to_folders(f);
    if (!err && is_there && !json_equal(was, manifest)) { /* no longer complete */
        if (!(err = prior_path(path, f->o.dir, "index.json"))) err = file_remove(path);
    }
    if (!err && !json_equal(was, manifest)) err = write_json(f->o.dir, "manifest.json", manifest);
    if (!err && f->o.format == &prior_pt) err = write_metadata(&f->o);
    json_decref(config);
    json_decref(was);
    json_decref(manifest);
    return err;
}

mill_err folder_open(prior_folder *f, const prior_run_options *o)
{
    const int64_t size = o->format->unit_size(o->config);

    *f = (prior_folder){.o = *o, .lock = -1, .first_unit = o->first / size};
    f->n_units = (o->first + o->n + size - 1) / size - f->first_unit;
    f->unit = mill_alloc((size_t)f->n_units, sizeof *f->unit);
    mill_err err = f->unit ? file_mkdir(o->dir) : MILL_ENOMEM;
    if (!err) err = take_lock(f);
    if (!err) err = remove_all_temporaries(f);
    if (!err) err = begin(f);
    if (!err) err = folder_read_journal(f);
    if (!err) err = check_files(f);
    if (err) folder_close(f);
    return err;
}

void folder_close(prior_folder *f)
{
    mill_free(f->unit);
    if (f->lock >= 0) close(f->lock);
    f->unit = NULL;
    f->lock = -1;
}

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

    TRY(read_json(&index, dir, "index.json"));
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

mill_err folder_write_status(const prior_folder *f, const prior_run_result *r, const char *how)
{
    char host[256] = "", when[40];
    const time_t now = time(NULL);
    struct tm utc;

    gethostname(host, sizeof host - 1);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:f, s:f}", "how", how, "ended",
                          when, "host", host, "workers", f->o.workers, "workers_killed", r->n_died,
                          "made", (json_int_t)r->made, "made_now", (json_int_t)r->made_now, "bytes",
                          (json_int_t)r->bytes, "seconds", r->seconds, "disk_share", r->disk_share);
    const mill_err err = o ? write_json(f->o.dir, "run/status.json", o)
                           : mill_fail(MILL_ENOMEM, "out of memory for run/status.json");
    json_decref(o);
    return err;
}
