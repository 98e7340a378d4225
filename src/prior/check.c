/*
 * check.c - is the folder of a run whole, and what is in it (check.h).
 */
#include "prior/check.h"

#include "base/mem.h"
#include "base/text.h"
#include "prior/lines.h"
#include "prior/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *dir;
    prior_manifest manifest;
    prior_unit *unit;
    int64_t n;
} whole_run;

static mill_err open_run(whole_run *r, const char *dir)
{
    *r = (whole_run){.dir = dir};
    TRY(prior_manifest_read(&r->manifest, dir));
    mill_err err = MILL_OK;
    if (!r->manifest.is_complete)
        err = mill_fail(MILL_EINPUT,
                        "%s: the run is not complete: tabmill prior --resume goes on with it", dir);
    if (!err) err = folder_units(&r->unit, &r->n, dir);
    if (err) prior_manifest_free(&r->manifest);
    return err;
}

static void close_run(whole_run *r)
{
    mill_free(r->unit);
    prior_manifest_free(&r->manifest);
}

static prior_sink sink_of(const whole_run *r)
{
    return (prior_sink){.format = r->manifest.format,
                        .config = &r->manifest.config,
                        .dir = r->dir,
                        .csv = r->manifest.csv,
                        .folders = prior_folders_for(r->manifest.format, r->manifest.n)};
}

/* ---- checking ---- */

/* What the checksum cannot know: that the shard says of itself what the index says. */
static mill_err check_shard(const whole_run *r, const prior_sink *s, const prior_unit *u)
{
    char path[PRIOR_PATH];
    json_t *config;
    shard f;
    mill_err err = MILL_OK;

    if (!s->format->path(path, s, u, 0)) return MILL_OK;
    TRY(shard_open(&f, path));
    if (f.first != u->first || f.count != u->count)
        err = mill_fail(MILL_EINPUT, "%s: holds other data sets than the index says", path);
    if (!err && !(err = prior_config_json(&config, &r->manifest.config))) {
        if (!json_equal(config, shard_config(&f)))
            err = mill_fail(MILL_EINPUT, "%s: is of another configuration", path);
        json_decref(config);
    }
    shard_close(&f);
    return err;
}

static mill_err remake_in(prior_unit *out, const char *dir, const prior_sink *like,
                          const prior_unit *u)
{
    prior_maker *maker = NULL;
    prior_sink s = {0};
    prior_set set;

    mill_err err = prior_maker_new(&maker, like->config);
    if (!err) err = prior_sink_open(&s, like->format, like->config, dir);
    s.csv = like->csv;
    if (!err) err = prior_sink_begin(&s, u->unit, u->first, u->count);
    for (int64_t k = 0; k < u->count && !err; k++)
        if (!(err = prior_make(&set, maker, u->first + k, false))) err = prior_sink_add(&s, &set);
    if (!err) err = prior_sink_end(&s);
    *out = s.unit;
    prior_sink_close(&s);
    prior_maker_free(maker);
    return err;
}

/* The run's own folder may be read-only. */
static mill_err remake(prior_unit *out, const prior_sink *like, const prior_unit *u)
{
    const char *const tmp = getenv("TMPDIR");
    char dir[PRIOR_PATH];

    TRY(prior_path(dir, tmp && *tmp ? tmp : "/tmp", "tabmill-verify-XXXXXX"));
    if (!mkdtemp(dir))
        return mill_fail(MILL_EIO, "%s: %s (TMPDIR names another place)", dir, strerror(errno));
    const mill_err err = remake_in(out, dir, like, u);
    char words[1024];
    snprintf(words, sizeof words, "%s", mill_error());
    const mill_err removed = file_remove_tree(dir);
    return err ? mill_fail(err, "%s", words) : removed;
}

static mill_err check_unit(const whole_run *r, const prior_sink *s, const prior_unit *u)
{
    TRY(prior_unit_check(s, u));
    return s->format == &prior_shards ? check_shard(r, s, u) : MILL_OK;
}

static mill_err compare(const prior_sink *s, const prior_unit *made, const prior_unit *u)
{
    if (made->crc == u->crc && made->bytes == u->bytes) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%s: unit %lld, data sets %lld to %lld: made again it has other bytes", s->dir,
                     (long long)u->unit, (long long)u->first, (long long)(u->first + u->count - 1));
}

/* Fails where it cannot tell; of what is bad `bad` is told. */
static mill_err check_units(prior_checked *out, const whole_run *r, int64_t n_remade,
                            void (*bad)(const char *line))
{
    const prior_sink s = sink_of(r);

    if (n_remade > r->n) n_remade = r->n;
    for (int64_t i = 0; i < r->n; i++) {
        const prior_unit *u = &r->unit[i];
        /* unit i is one of n_remade that lie evenly */
        const bool is_drawn = (i + 1) * n_remade / r->n > i * n_remade / r->n;
        prior_unit made;
        mill_err err = check_unit(r, &s, u);

        if (!err && is_drawn) {
            TRY(remake(&made, &s, u));
            err = compare(&s, &made, u);
        }
        if (err) {
            bad(mill_error());
            continue;
        }
        out->remade += is_drawn;
        out->units++;
        out->sets += u->count;
        out->bytes += u->bytes;
    }
    return MILL_OK;
}

mill_err prior_check(prior_checked *out, const char *dir, int64_t n_remade,
                     void (*bad)(const char *line))
{
    whole_run r;

    *out = (prior_checked){0};
    TRY(open_run(&r, dir));
    const mill_err err = check_units(out, &r, n_remade, bad);
    const int64_t n = r.n, n_bad = n - out->units;
    close_run(&r);
    if (err || !n_bad) return err;
    return mill_fail(MILL_EINPUT, "%s: %lld damaged unit%s of %lld", dir, (long long)n_bad,
                     mill_s(n_bad), (long long)n);
}

/* ---- each data set ---- */

static mill_err tell_shard(const prior_sink *s, const prior_unit *u,
                           mill_err (*tell)(void *, const prior_set *), void *ctx)
{
    char path[PRIOR_PATH];
    shard f;
    prior_set set;
    mill_err err = MILL_OK;

    s->format->path(path, s, u, 0);
    TRY(shard_open(&f, path));
    for (int64_t k = 0; k < f.count && !err; k++)
        if (!(err = shard_read(&set, &f, k))) err = tell(ctx, &set);
    shard_close(&f);
    return err;
}

static int64_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* From one line of index/; the texts and levels live in *o and `levels`.  False: it is damaged. */
static bool read_line(prior_set *set, const json_t *o, char **structure, int32_t *levels)
{
    const json_t *rejected = json_object_get(o, "rejected"), *l = json_object_get(o, "levels");
    const char *kind = json_string_value(json_object_get(o, "kind"));

    *structure = json_dumps(json_object_get(o, "structure"), JSON_COMPACT);
    if (!kind || !*structure || !json_is_array(l)) return false;
    *set = (prior_set){.index = number(o, "index"),
                       .rows = number(o, "rows"),
                       .train_rows = number(o, "train_rows"),
                       .features = (int)json_array_size(l),
                       .width = (int)number(o, "width"),
                       .classes = (int)number(o, "classes"),
                       .levels = levels,
                       .imbalance = json_number_value(json_object_get(o, "imbalance")),
                       .attempts = (int)number(o, "attempts"),
                       .kind = kind,
                       .structure = *structure,
                       .structure_len = strlen(*structure)};
    set->categorical_y = set->classes > 0;
    for (int j = 0; j < set->features; j++)
        levels[j] = (int32_t)json_integer_value(json_array_get(l, (size_t)j));
    for (int k = 0; k < PRIOR_N_REJECT; k++)
        set->rejected[k] = (int)json_integer_value(json_array_get(rejected, (size_t)k));
    return true;
}

typedef struct {
    mill_err (*tell)(void *, const prior_set *);
    void *ctx;
    char path[PRIOR_PATH];
} teller;

/* Line k + 1 of the unit. */
static mill_err tell_line(const teller *t, const prior_unit *u, int64_t k, const char *line,
                          size_t len)
{
    json_t *o = json_loadb(line, len, 0, NULL);
    const size_t n = json_array_size(json_object_get(o, "levels"));
    int32_t *levels = mill_alloc(n + 1, sizeof *levels);
    char *structure = NULL;
    prior_set set;
    mill_err err = MILL_OK;

    if (!levels)
        err = MILL_ENOMEM;
    else if (!read_line(&set, o, &structure, levels) || set.index != u->first + k)
        err = mill_fail(MILL_EINPUT, "%s:%lld: is not the line of data set %lld", t->path,
                        (long long)k + 1, (long long)(u->first + k));
    else
        err = t->tell(t->ctx, &set);
    free(structure);
    mill_free(levels);
    json_decref(o);
    return err;
}

static mill_err tell_lines(const prior_sink *s, const prior_unit *u,
                           mill_err (*tell)(void *, const prior_set *), void *ctx)
{
    teller t = {.tell = tell, .ctx = ctx};
    char *text;
    size_t size;
    mill_err err = MILL_OK;

    TRY(lines_path(t.path, s, s->format == &prior_pt ? "batch" : "episodes", u->unit));
    TRY(file_read_all(&text, &size, t.path));
    const char *at = text;
    for (int64_t k = 0; k < u->count && !err; k++) {
        const size_t len = strcspn(at, "\n");
        err = tell_line(&t, u, k, at, len);
        at += len + (at[len] == '\n');
    }
    if (!err && *at)
        err = mill_fail(MILL_EINPUT, "%s: has lines behind that of data set %lld", t.path,
                        (long long)(u->first + u->count - 1));
    mill_free(text);
    return err;
}

mill_err prior_each(const char *dir, mill_err (*tell)(void *ctx, const prior_set *set), void *ctx)
{
    whole_run r;
    mill_err err = MILL_OK;

    TRY(open_run(&r, dir));
    const prior_sink s = sink_of(&r);
    for (int64_t i = 0; i < r.n && !err; i++)
        err = (s.format == &prior_shards ? tell_shard : tell_lines)(&s, &r.unit[i], tell, ctx);
    close_run(&r);
    return err;
}
