/*
 * manifest.c - manifest.json: what a run is of, and whether a resume is of the same (folder.h).
 *
 * A run is resumed with the configuration that it was begun with: what differs is named.  `n` may
 * grow; then the run is no longer complete.  The version of the program may be another.
 */
#include "prior/folder.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mill_err folder_read_json(json_t **out, const char *dir, const char *name)
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

mill_err folder_write_json(const char *dir, const char *name, const json_t *o)
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
    TRY(folder_read_json(&m->manifest, dir, "manifest.json"));
    const char *format = json_string_value(json_object_get(m->manifest, "format"));
    first = json_object_get(m->manifest, "first");
    n = json_object_get(m->manifest, "n");
    mill_err err = MILL_OK;
    m->format = format ? prior_format_find(format) : NULL;
    if (!m->format || !json_is_integer(first) || !json_is_integer(n))
        err = mill_fail(MILL_EINPUT, "%s: holds no run of a prior (manifest.json is of another)",
                        dir);
    if (!err) err = prior_config_read(&m->config, json_object_get(m->manifest, "config"));
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

    json_object_foreach((json_t *)is, key, value)
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
    json_object_foreach((json_t *)was, key, value)
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
    mill_text t = {0};
    mill_err err = MILL_OK;

    if (!json_is_string(json_object_get(was, "format")))
        return mill_fail(MILL_EINPUT, "%s: holds a run, and not of a prior; take another folder",
                         o->dir);
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
    text_free(&t);
    return err;
}

bool folder_is_ours(const char *name)
{
    static const char *const begin[] = {"shard_", "batch_", "episode", "index.json",
                                        "metadata.json"};

    for (size_t k = 0; k < sizeof begin / sizeof *begin; k++)
        if (!strncmp(name, begin[k], strlen(begin[k]))) return true;
    return false;
}

static mill_err check_strangers(const char *dir)
{
    char **list;
    int n;
    mill_err err = MILL_OK;

    TRY(file_list(&list, &n, dir));
    for (int i = 0; i < n && !err; i++)
        if (folder_is_ours(list[i]))
            err = mill_fail(MILL_EINPUT,
                            "%s: holds %s and no manifest.json: whose it is cannot be known; "
                            "take another folder",
                            dir, list[i]);
    mill_free(list);
    return err;
}

/* What the run is of, and what is there is of (NULL: nothing is there); refused unless they agree.
 */
static mill_err check_folder(json_t **is, json_t **was, const prior_run_options *o)
{
    json_t *config = NULL;
    mill_err err = MILL_OK;

    *is = *was = NULL;
    if (!has_file(o->dir, "manifest.json"))
        err = check_strangers(o->dir);
    else if (!o->resume)
        err = mill_fail(MILL_EINPUT,
                        "%s: holds a run already: --resume goes on with it, or take another folder",
                        o->dir);
    else
        err = folder_read_json(was, o->dir, "manifest.json");
    if (!err) err = prior_config_json(&config, o->config);
    if (!err && !(*is = make_manifest(o, config)))
        err = mill_fail(MILL_ENOMEM, "out of memory for a manifest");
    if (!err && *was) err = compare(o, *was, *is);
    json_decref(config);
    if (!err) return MILL_OK;
    json_decref(*is);
    json_decref(*was);
    return err;
}

mill_err folder_check(const prior_folder *f)
{
    json_t *is, *was;

    TRY(check_folder(&is, &was, &f->o));
    json_decref(is);
    json_decref(was);
    return MILL_OK;
}

/* ---- a run begins ---- */

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
    const mill_err err = m ? folder_write_json(o->dir, "metadata.json", m)
                           : mill_fail(MILL_ENOMEM, "out of memory for metadata.json");
    json_decref(m);
    return err;
}

static void tell_version(const prior_run_options *o, const json_t *was)
{
    const char *version = json_string_value(json_object_get(was, "version"));

    if (version && strcmp(version, o->version) != 0)
        mill_log(MILL_LOG_WARN, "%s: the run was begun by version %s and this is %s", o->dir,
                 version, o->version);
}

mill_err folder_begin(prior_folder *f)
{
    json_t *is, *was;
    char path[PRIOR_PATH];
    mill_err err = MILL_OK;

    TRY(check_folder(&is, &was, &f->o));
    tell_version(&f->o, was);
    if (was && prior_folders_for(f->o.format, f->o.n) &&
        json_integer_value(json_object_get(was, "n")) <= FOLDERS_ABOVE)
        err = folder_spread(f);
    if (!err && was && !json_equal(was, is)) { /* no longer complete */
        if (!(err = prior_path(path, f->o.dir, "index.json"))) err = file_remove(path);
    }
    if (!err && !json_equal(was, is)) err = folder_write_json(f->o.dir, "manifest.json", is);
    if (!err && f->o.format == &prior_pt) err = write_metadata(&f->o);
    json_decref(is);
    json_decref(was);
    return err;
}
