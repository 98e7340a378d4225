/*
 * reason_open.c - a run that is there, to look at: its description, its stores, its records.
 *
 * Of machines with a store each, those that have one are parts; one that has not begun is none.
 */
#include "cli/reason.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static mill_err text_of(char **out, const char *format, const char *a, int i)
{
    mill_text t = {0};

    text_add(&t, "%s", a);
    if (i) text_add(&t, format, i);
    if (text_check(&t)) return MILL_ENOMEM;
    *out = t.s;
    return MILL_OK;
}

/* RUN, or RUN.run where RUN is the final file. */
static mill_err find_folder(char **out, const char *run)
{
    mill_text t = {0};
    char path[4200];

    snprintf(path, sizeof path, "%s/run.json", run);
    text_add(&t, file_exists(path) ? "%s" : "%s.run", run);
    snprintf(path, sizeof path, "%s/run.json", t.s ? t.s : "");
    if (!file_exists(path)) {
        text_free(&t);
        return mill_fail(MILL_EINPUT, "%s: no run: neither it nor %s.run has a run.json", run, run);
    }
    *out = t.s;
    return text_check(&t);
}

static mill_err open_part(reason_opened *o, const char *folder, int node)
{
    const bool is_shared = o->file.store && *o->file.store;
    char path[4200];
    results *opened;

    TRY(text_of(&o->folder[o->n], "/node-%d", folder, node));
    snprintf(path, sizeof path, "%s/" RESULTS_FILE, o->folder[o->n]);
    if (node && !file_exists(path)) {
        mill_free(o->folder[o->n]);
        o->folder[o->n] = NULL;
        return MILL_OK;
    }
    const results_options options = {
        .where = is_shared ? o->file.store : path, .name = o->file.output, .read_only = true};
    const mill_err err = results_open(&opened, &options);
    if (err) {
        mill_free(o->folder[o->n]);
        o->folder[o->n] = NULL;
        return err;
    }
    o->part[o->n].store = opened;
    o->status[o->n] = (status_part){opened, o->folder[o->n]};
    o->n++;
    return MILL_OK;
}

static mill_err open_parts(reason_opened *o, const char *folder)
{
    const int most = o->file.store ? 1 : o->file.nodes;

    o->part = mill_alloc((size_t)most, sizeof *o->part);
    o->status = mill_alloc((size_t)most, sizeof *o->status);
    o->folder = mill_alloc((size_t)most, sizeof *o->folder);
    if (!o->part || !o->status || !o->folder) return MILL_ENOMEM;
    for (int i = 0; i < most; i++) TRY(open_part(o, folder, i));
    for (int i = 0; i < o->n; i++) {
        const json_t *config = results_config(o->part[i].store);
        TRY(reason_config_read(&o->options, &o->part[i].data, config));
        o->chains += results_records(o->part[i].store) * o->options.samples;
    }
    /* What all share comes from the first. */
    return reason_config_read(&o->options, &o->part[0].data, results_config(o->part[0].store));
}

static void close_run(reason_opened *o)
{
    for (int i = 0; i < o->n; i++) {
        results_close(o->part[i].store);
        mill_free(o->folder[i]);
    }
    mill_free(o->part);
    mill_free(o->status);
    mill_free(o->folder);
    records_close(o->records);
    json_decref(o->file.json);
    *o = (reason_opened){0};
}

static mill_err open_run(reason_opened *out, const char *run)
{
    char *folder = NULL;

    *out = (reason_opened){0};
    TRY(find_folder(&folder, run));
    mill_err err = cli_reason_run_read(&out->file, folder);
    if (!err) err = open_parts(out, folder);
    mill_free(folder);
    if (err) close_run(out);
    return err;
}

mill_err cli_reason_open_records(reason_opened *o)
{
    int64_t bytes;
    char hash[33];

    TRY(cli_hash_file(hash, &bytes, o->file.dataset));
    TRY(records_open(&o->records, o->file.dataset, NULL));
    for (int i = 0; i < o->n; i++) {
        const json_t *began = json_object_get(results_config(o->part[i].store), "dataset");
        const char *was = json_string_value(json_object_get(began, "xxh3_128"));
        if (!was || strcmp(was, hash) != 0)
            return mill_fail(MILL_EINPUT, "%s is not the file that the run began with",
                             o->file.dataset);
        o->part[i].data.file = o->records;
    }
    return MILL_OK;
}

int cli_reason_look(int argc, char **argv, const opt_set *set, void *values, const bool *quiet,
                    const char *(*missing)(const void *values),
                    mill_err (*work)(reason_opened *run, const void *values))
{
    reason_opened run = {0};
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, set, values, argc, argv) == OPT_STOP) return status;
    cli_talk(set, *quiet);
    const char *what = missing ? missing(values) : NULL;
    if (what)
        status = opt_usage_error(set, "%s", what);
    else
        status = open_run(&run, p.arg[0]) || work(&run, values) ? cli_error(set) : 0;
    close_run(&run);
    opt_free(&p);
    return status;
}
