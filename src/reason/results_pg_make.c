/*
 * results_pg_make.c - the tables of the store in PostgreSQL, and the row of a run.
 *
 *     tabmill_store(format)
 *     tabmill_run(id, name, hash, config, records, range, output_node, output_until)
 *     tabmill_range(run, i, position, node, expires, done)   leases; position: in which order
 *     tabmill_result(run, key, ...)                          rows, results.h
 *     tabmill_node(run, node, seq, counts)                   results_counts of each node
 *
 * All are made when they are first needed, under an advisory lock, in one transaction.
 */
#include "reason/results_pg_inner.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

static const char tables[] =
    "CREATE TABLE tabmill_store(format int NOT NULL);"
    "INSERT INTO tabmill_store VALUES (1);"
    "CREATE TABLE tabmill_run("
    "  id bigserial PRIMARY KEY, name text NOT NULL, hash text NOT NULL, config text NOT NULL,"
    "  records bigint NOT NULL, range bigint NOT NULL, began timestamptz NOT NULL DEFAULT now(),"
    "  output_node text, output_until timestamptz, UNIQUE (name, hash));"
    "CREATE TABLE tabmill_range("
    "  run bigint NOT NULL REFERENCES tabmill_run ON DELETE CASCADE, i bigint NOT NULL,"
    "  position bigint NOT NULL, node text, expires timestamptz,"
    "  done boolean NOT NULL DEFAULT false, PRIMARY KEY (run, i)) WITH (fillfactor = 70);"
    "CREATE INDEX tabmill_range_open ON tabmill_range(run, position) WHERE NOT done;"
    "CREATE INDEX tabmill_range_node ON tabmill_range(run, node) WHERE NOT done;"
    "CREATE TABLE tabmill_result("
    "  run bigint NOT NULL REFERENCES tabmill_run ON DELETE CASCADE,"
    "  key bigint NOT NULL," /* record * 65536 + sample * 256 + step */
    "  seq bigserial, stage bigint NOT NULL, finish bigint NOT NULL, outcome bigint NOT NULL,"
    "  score float8, attempts bigint NOT NULL, server bigint NOT NULL,"
    "  prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,"
    "  cached_tokens bigint NOT NULL, created bigint NOT NULL, seconds float8 NOT NULL,"
    "  first_byte float8 NOT NULL, content text NOT NULL, reasoning text NOT NULL,"
    "  why text NOT NULL, PRIMARY KEY (run, key));"
    "CREATE INDEX tabmill_result_seq ON tabmill_result(run, seq);"
    "CREATE INDEX tabmill_result_failed ON tabmill_result(run, why) WHERE outcome = 3;"
    "CREATE TABLE tabmill_node("
    "  run bigint NOT NULL REFERENCES tabmill_run ON DELETE CASCADE, node text NOT NULL,"
    "  seq bigint NOT NULL, counts bigint[] NOT NULL, PRIMARY KEY (run, node));";

/* The bigint in the first row and column; 0 where there is none. */
static mill_err ask(int64_t *out, pg_link *l, const char *sql)
{
    PGresult *r;

    TRY(pg_run(&r, l, sql, 0, NULL));
    *out = pg_rows(r) ? pg_get_int8(r, 0, 0) : 0;
    pg_clear(r);
    return MILL_OK;
}

static mill_err check_format(bool *is_new, pg_store *s, pg_link *l)
{
    int64_t there, format;

    TRY(ask(&there, l, "SELECT (to_regclass('tabmill_store') IS NOT NULL)::int::bigint"));
    *is_new = !there;
    if (!there) return MILL_OK;
    TRY(ask(&format, l, "SELECT format::bigint FROM tabmill_store"));
    if (format <= FORMAT) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%s was made by a newer version of tabmill (format %lld, known is %d)",
                     s->shown, (long long)format, FORMAT);
}

/* ---- the run ---- */

static mill_err take_run(pg_store *s, results_run *run, const PGresult *r)
{
    size_t n;

    s->run = pg_get_int8(r, 0, 0);
    s->records = run->records = pg_get_int8(r, 0, 1);
    s->range = pg_get_int8(r, 0, 2);
    const char *config = pg_bytes(r, 0, 3, &n);
    if (!(run->config = json_loadb(config, n, 0, NULL)))
        return mill_fail(MILL_EINPUT, "%s: the run's configuration is damaged", s->shown);
    return MILL_OK;
}

/* Another run of this name: words about what differs; whether that is an error is the caller's. */
static mill_err find_older(bool *is_there, pg_store *s, const results_options *o)
{
    const pg_arg name = pg_text(o->name);
    PGresult *r;
    size_t n;

    TRY(pg_run(&r, &s->writer,
               "SELECT config FROM tabmill_run WHERE name = $1 ORDER BY id DESC LIMIT 1", 1,
               &name));
    *is_there = pg_rows(r) > 0;
    if (*is_there) {
        char *config = mill_strdup(pg_bytes(r, 0, 0, &n)), where[400];
        snprintf(where, sizeof where, "run \"%.200s\" in %.160s", o->name, s->shown);
        if (config) results_config_differs(where, config, o->config);
        mill_free(config);
    }
    pg_clear(r);
    return MILL_OK;
}

static mill_err add_ranges(pg_store *s, const results_options *o)
{
    const size_t n = o->order ? (size_t)s->n_ranges : 0;
    char run[8], *array = mill_alloc(20 + 8 * n, 1);

    if (!array) return MILL_ENOMEM;
    pg_put_int(array, 4, 1); /* dimensions */
    pg_put_int(array + 8, 4, PG_INT4);
    pg_put_int(array + 12, 4, (int64_t)n);
    pg_put_int(array + 16, 4, 1); /* the first index */
    for (size_t i = 0; i < n; i++) {
        pg_put_int(array + 20 + 8 * i, 4, 4); /* bytes */
        pg_put_int(array + 24 + 8 * i, 4, o->order[i]);
    }
    char last[8];
    const pg_arg ordered[] = {pg_int8(run, s->run), {PG_INT4_ARRAY, array, (int)(20 + 8 * n)}};
    const pg_arg plain[] = {pg_int8(run, s->run), pg_int8(last, s->n_ranges - 1)};
    const mill_err err =
        o->order ? pg_run(NULL, &s->writer,
                          "INSERT INTO tabmill_range(run, i, position)"
                          " SELECT $1, u.i, u.p FROM unnest($2) WITH ORDINALITY AS u(i, p)",
                          2, ordered)
                 : pg_run(NULL, &s->writer,
                          "INSERT INTO tabmill_range(run, i, position)"
                          " SELECT $1, i, i FROM generate_series(0, $2) AS i",
                          2, plain);
    mill_free(array);
    return err;
}

static mill_err add_run(pg_store *s, results_run *run, const results_options *o)
{
    char *config = results_config_text(o->config), records[8], range[8];
    bool is_there = false;
    PGresult *r;

    if (!config) return mill_fail(MILL_ENOMEM, "no memory for a configuration");
    const pg_arg arg[] = {pg_text(o->name), pg_text(o->hash), pg_text(config),
                          pg_int8(records, o->records), pg_int8(range, o->range)};
    mill_err err = find_older(&is_there, s, o);
    if (!err && is_there && o->resume) err = MILL_EINPUT;
    if (!err && is_there) mill_log(MILL_LOG_WARN, "%s: this is a new run beside it", mill_error());
    if (!err && !is_there && o->resume)
        mill_log(MILL_LOG_INFO, "%s holds no run \"%s\" yet", s->shown, o->name);
    if (!err)
        err = pg_run(&r, &s->writer,
                     "INSERT INTO tabmill_run(name, hash, config, records, range)"
                     " VALUES ($1, $2, $3, $4, $5) RETURNING id, records, range, config",
                     5, arg);
    free(config);
    TRY(err);
    err = take_run(s, run, r);
    pg_clear(r);
    return err ? err : add_ranges(s, o);
}

static mill_err join_or_add(pg_store *s, results_run *run, const results_options *o)
{
    const pg_arg arg[] = {pg_text(o->name), pg_text(o->hash)};
    PGresult *r;

    TRY(pg_run(&r, &s->writer,
               "SELECT id, records, range, config FROM tabmill_run WHERE name = $1 AND hash = $2",
               2, arg));
    const bool is_there = pg_rows(r) > 0;
    mill_err err = is_there ? take_run(s, run, r) : MILL_OK;
    pg_clear(r);
    if (err) return err;
    if (!is_there) return add_run(s, run, o);
    if (s->records == o->records && s->range == o->range) return MILL_OK;
    return mill_fail(
        MILL_EINPUT,
        "%s: the run \"%s\" is cut into ranges of %lld of %lld records, not %lld of %lld", s->shown,
        o->name, (long long)s->range, (long long)s->records, (long long)o->range,
        (long long)o->records);
}

static mill_err newest_run(pg_store *s, results_run *run, const results_options *o)
{
    const pg_arg name = pg_text(o->name ? o->name : "");
    bool is_new;
    PGresult *r;

    TRY(check_format(&is_new, s, &s->reader));
    if (is_new) return mill_fail(MILL_EINPUT, "%s holds no runs", s->shown);
    TRY(pg_run(&r, &s->reader,
               "SELECT id, records, range, config FROM tabmill_run"
               " WHERE name = $1 OR $1 = '' ORDER BY id DESC LIMIT 1",
               1, &name));
    const mill_err err = pg_rows(r) ? take_run(s, run, r)
                                    : mill_fail(MILL_EINPUT, "%s holds no run \"%s\"", s->shown,
                                                o->name ? o->name : "");
    pg_clear(r);
    return err;
}

mill_err pg_make(pg_store *s, results_run *run, const results_options *o)
{
    bool is_new;

    if (o->read_only) return newest_run(s, run, o);
    s->n_ranges = results_ranges(o);
    TRY(pg_exec(&s->writer, "BEGIN; SELECT pg_advisory_xact_lock(x'7461626d696c6c'::bigint)"));
    mill_err err = check_format(&is_new, s, &s->writer);
    if (!err && is_new) err = pg_exec(&s->writer, tables);
    if (!err) err = join_or_add(s, run, o);
    if (!err) return pg_exec(&s->writer, "COMMIT");
    pg_disconnect(&s->writer); /* rolls back, and keeps the message */
    return err;
}
