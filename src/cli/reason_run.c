/*
 * reason_run.c - `tabmill reason`: records through generate, evaluate and improve.
 *
 *     FILE               the final file
 *     FILE.run/          results.sqlite, metrics.jsonl, run.json, manifest.json, failed.jsonl, logs
 *     FILE.run/node-R/   the same of machine R of several without a common store
 *
 * Cheap refusals come first: flags, names, prompts, the records; then store and servers.
 */
#include "cli/reason_job.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT        OPT_ROW
#define OPT_STRUCT reason_data_options
static const opt_row data_rows[] = {
#include "cli/reason_data.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT reason_server_options
static const opt_row server_rows[] = {
#include "cli/reason_servers.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT reason_ask_options
static const opt_row ask_rows[] = {
#include "cli/reason_ask.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT reason_run_options
static const opt_row run_file_rows[] = {
#include "cli/reason_run.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT reason_talk_options
static const opt_row reason_talk_rows[] = {
#include "cli/reason_talk.def"
    {0}};

static const opt_group groups[] = {
    {.title = "The run", .row = run_file_rows, .base = offsetof(reason_flags, run)},
    {.title = "The records", .row = data_rows, .base = offsetof(reason_flags, data)},
    {.title = "The servers", .row = server_rows, .base = offsetof(reason_flags, servers)},
    {.title = "The requests", .row = ask_rows, .base = offsetof(reason_flags, ask)},
    {.title = "Everywhere", .row = reason_talk_rows, .base = offsetof(reason_flags, talk)},
};
const opt_set reason_set = {
    .command = "reason",
    .usage = "reason --dataset FILE -o OUT.jsonl --server URL|--serve COMMAND [options]\n"
             "       tabmill reason status|export|import|watch|verify ... (each with -h)",
    .about = "Let a language model reason about each record, judge the reasoning, improve what is "
             "weak,\nand combine everything into one file, in the order of the records.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(reason_flags),
};

/* ---- refusals ---- */

static int check_servers(const opt_parsed *p, const reason_flags *o)
{
    const reason_server_options *s = &o->servers;
    const struct {
        const void *field;
        const char *name;
    } of_serve[] = {{&s->num_gpus, "num-gpus"},           {&s->world_size, "world-size"},
                    {&s->optimize_gpu, "optimize-gpu"},   {&s->max_restarts, "max-restarts"},
                    {&s->restart_pause, "restart-pause"}, {&s->cleanup_delay, "cleanup-delay"}};

    if (!s->server.n && !s->serve && !o->run.dry_run)
        return opt_usage_error(p->set, "--server URL or --serve COMMAND is missing");
    for (int i = 0; i < OPT_COUNT(of_serve) && !s->serve; i++)
        if (opt_is_given(p, of_serve[i].field) && !o->run.dry_run)
            return opt_usage_error(p->set,
                                   "--%s does nothing without --serve: it is about servers "
                                   "that are started here",
                                   of_serve[i].name);
    if (s->serve && !s->model && (!strpbrk(s->serve, " {") || strstr(s->serve, "{model}")))
        return opt_usage_error(p->set, "--serve needs --model NAME");
    if (opt_is_given(p, &s->num_gpus) && opt_is_given(p, &s->world_size))
        return opt_usage_error(p->set, "--num-gpus and --world-size are the same: give one");
    if (opt_is_given(p, &s->judge_api_key_env) && !s->judge_server.n)
        return opt_usage_error(p->set, "--judge-api-key-env goes with --judge-server");
    return 0;
}

static int check_nodes(const opt_parsed *p, const reason_flags *o)
{
    const reason_run_options *r = &o->run;

    if (r->node_rank >= r->num_nodes)
        return opt_usage_error(p->set, "--node-rank %lld: with --num-nodes %lld they are 0 to %lld",
                               (long long)r->node_rank, (long long)r->num_nodes,
                               (long long)r->num_nodes - 1);
    if (r->store && strncmp(r->store, "postgresql://", 13) != 0 &&
        strncmp(r->store, "postgres://", 11) != 0)
        return opt_usage_error(p->set,
                               "--store %s: postgresql://... is meant; without it there is "
                               "SQLite in FILE.run",
                               r->store);
    if (opt_is_given(p, &r->node_timeout) && (r->store || r->num_nodes == 1))
        return opt_usage_error(p->set, "--node-timeout does nothing without --num-nodes, or with "
                                       "--store: nobody waits for another machine");
    if (!r->store && opt_is_given(p, &r->lease_timeout))
        return opt_usage_error(p->set, "--lease-timeout does nothing without --store: there are no "
                                       "leases");
    if (r->store && r->force)
        return opt_usage_error(p->set, "--force does not start over in a database: another -o is "
                                       "another run there");
    return 0;
}

/* What is cut may be a response or an evaluation. */
static int check_retry(const opt_parsed *p, const reason_ask_options *a)
{
    const bool judges = a->judge_max_tokens > a->max_tokens;
    const int64_t most = judges ? a->judge_max_tokens : a->max_tokens;

    if (!a->max_tokens_retry || a->max_tokens_retry > most) return 0;
    return opt_usage_error(p->set, "--max-tokens-retry %lld is not above --%smax-tokens %lld",
                           (long long)a->max_tokens_retry, judges ? "judge-" : "", (long long)most);
}

static int check_flags(const opt_parsed *p, const reason_flags *o)
{
    output_format format;
    int status;

    if (!o->data.dataset) return opt_usage_error(p->set, "--dataset FILE is missing");
    if (!strcmp(o->data.dataset, "-"))
        return opt_usage_error(p->set,
                               "--dataset -: a run has to be able to read its records again");
    if (!o->run.output && !o->run.dry_run) return opt_usage_error(p->set, "-o FILE is missing");
    if (o->run.output && output_format_of(&format, o->run.output))
        return opt_usage_error(p->set, "-o %s", mill_error());
    if ((status = check_servers(p, o)) || (status = check_nodes(p, o))) return status;
    return check_retry(p, &o->ask);
}

/* ---- from flags to what a run takes ---- */

/* "postgresql://user@/db" gets the host and the port that it lacks. */
static mill_err complete_store(char **out, const reason_run_options *o)
{
    const char *at = strstr(o->store, "://") + 3;
    const size_t n = strcspn(at, "/?");
    const char *host = memchr(at, '@', n) ? (const char *)memchr(at, '@', n) + 1 : at;
    const char *port = memchr(host, ':', n - (size_t)(host - at));
    mill_text t = {0};

    text_add_bytes(&t, o->store, (size_t)(host - o->store));
    const size_t n_host = port ? (size_t)(port - host) : n - (size_t)(host - at);
    if (n_host || !o->master_addr)
        text_add_bytes(&t, host, n_host);
    else
        text_add(&t, "%s", o->master_addr);
    if (port)
        text_add_bytes(&t, port, n - (size_t)(port - at));
    else if (o->master_port)
        text_add(&t, ":%lld", (long long)o->master_port);
    text_add(&t, "%s", at + n);
    *out = t.s;
    return text_check(&t);
}

static mill_err name_store(reason_job *job)
{
    const reason_run_options *r = &job->flags->run;
    mill_text folder = {0}, path = {0};

    text_add(&folder, r->node_rank && !r->store ? "%s.run/node-%lld" : "%s.run", r->output,
             (long long)r->node_rank);
    job->folder = folder.s;
    TRY(text_check(&folder));
    if (r->store) return complete_store(&job->store, r);
    text_add(&path, "%s/" RESULTS_FILE, job->folder);
    job->store = path.s;
    return text_check(&path);
}

static mill_err read_prompt(prompt **out, reason_stage s, const char *path)
{
    char *text, why[400];
    size_t n;

    TRY(file_read_all(&text, &n, path));
    const mill_err err = strlen(text) == n ? prompt_new(out, s, text)
                                           : mill_fail(MILL_EINPUT, "it has a byte that is 0");
    mill_free(text);
    if (!err) return MILL_OK;
    snprintf(why, sizeof why, "%s", mill_error());
    return mill_fail(err, "%s: %s", path, why);
}

static mill_err read_prompts(reason_job *job)
{
    const reason_ask_options *a = &job->flags->ask;
    const char *const path[N_STAGE] = {a->prompt_generate, a->prompt_evaluate, a->prompt_improve};

    for (int i = 0; i < N_STAGE; i++) {
        const reason_stage s = (reason_stage)i;
        TRY(path[s] ? read_prompt(&job->prompt[s], s, path[s])
                    : prompt_new(&job->prompt[s], s, prompt_default(s)));
    }
    return MILL_OK;
}

/* Members for each request, as text without the braces. */
static mill_err read_extra(reason_job *job)
{
    static const char *const ours[] = {"model", "messages", "max_tokens", "temperature",    "top_p",
                                       "seed",  "stream",   "n",          "response_format"};
    const char *given = job->flags->ask.extra_body;
    json_error_t why;

    if (!given) return MILL_OK;
    json_t *o = json_loads(given, JSON_REJECT_DUPLICATES, &why);
    mill_err err =
        json_is_object(o) && json_object_size(o)
            ? MILL_OK
            : mill_fail(MILL_EINPUT, "--extra-body: not an object with members: %s", given);
    for (int i = 0; i < OPT_COUNT(ours) && !err; i++)
        if (json_object_get(o, ours[i]))
            err = mill_fail(MILL_EINPUT, "--extra-body: \"%s\" is an option of its own, or fixed",
                            ours[i]);
    char *text = err ? NULL : json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    if (text) job->extra = mill_strndup(text + 1, strlen(text) - 2);
    free(text);
    json_decref(o);
    if (!err && !job->extra) err = MILL_ENOMEM;
    return err;
}

static mill_err open_records(reason_job *job, const opt_parsed *p)
{
    reason_data_options *d = &job->flags->data;
    const reason_run_options *r = &job->flags->run;

    TRY(cli_reason_dataset(&job->path, d, p));
    if (d->force_download)
        cli_say("--force-download: nothing is downloaded; %s is indexed anew", job->path);
    TRY(cli_hash_file(job->hash, &job->bytes, job->path));
    TRY(records_open(&job->records, job->path, NULL));
    const int64_t count = records_count(job->records);
    if (d->start_from >= count)
        return mill_fail(MILL_EINPUT, "--start-from %lld: %s has %lld records",
                         (long long)d->start_from, job->path, (long long)count);
    int64_t n = count - d->start_from;
    if (d->num_examples >= 0 && d->num_examples < n) n = d->num_examples;
    if (!n) return mill_fail(MILL_EINPUT, "--num-examples 0 leaves no records");
    const int64_t nodes = r->store ? 1 : r->num_nodes, node = r->store ? 0 : r->node_rank;
    job->all = (reason_data){.file = job->records,
                             .first = d->start_from,
                             .stride = 1,
                             .n = n,
                             .problem_field = d->problem_field,
                             .solution_field = d->solution_field,
                             .answer_field = d->answer_field,
                             .id_field = d->id_field};
    if (nodes > n)
        return mill_fail(MILL_EINPUT, "%lld machines for %lld records", (long long)nodes,
                         (long long)n);
    job->data = reason_share(&job->all, node, nodes);
    return MILL_OK;
}

static const char *key_of(const opt_parsed *p, const void *field, const char *name, int *status)
{
    const char *key = getenv(name);

    if (!key && opt_is_given(p, field))
        *status = opt_usage_error(p->set, "the environment has no %s", name);
    return key && *key ? key : NULL;
}

static int set_servers(reason_job *job, const opt_parsed *p)
{
    const reason_server_options *s = &job->flags->servers;
    reason_options *o = &job->options;
    const int64_t n = opt_is_given(p, &s->world_size) ? s->world_size : s->num_gpus;
    int status = 0;

    o->servers = (servers_options){
        .url = s->server.item,
        .n_url = s->server.n,
        .serve = s->serve,
        .n_serve = n < 0 ? 0 : (int)n,
        .model = s->model,
        .key = key_of(p, &s->api_key_env, s->api_key_env, &status),
        .folder = job->folder,
        .window = s->batch_size,
        .most = s->low_memory ? 16 : 0,
        .requests_per_minute = s->requests_per_minute,
        .tokens_per_minute = s->tokens_per_minute,
        .start_seconds = s->start_timeout,
        .hang_seconds = s->hang_timeout,
        .restart_seconds = s->restart_pause,
        .cleanup_seconds = s->cleanup_delay,
        .most_restarts = s->max_restarts,
        .fast = s->optimize_gpu,
    };
    o->judges = o->servers;
    o->judges.url = s->judge_server.item;
    o->judges.n_url = s->judge_server.n;
    o->judges.serve = NULL;
    o->judges.model = s->judge_model;
    o->judges.is_judge = true;
    o->judges.key =
        s->judge_server.n ? key_of(p, &s->judge_api_key_env, s->judge_api_key_env, &status) : NULL;
    return status;
}

static void set_flow(reason_job *job)
{
    const reason_ask_options *a = &job->flags->ask;
    reason_options *o = &job->options;

    o->flow = (flow_config){.max_tokens = a->max_tokens,
                            .judge_max_tokens = a->judge_max_tokens,
                            .max_tokens_retry = a->max_tokens_retry,
                            .temperature = a->temperature,
                            .judge_temperature = a->judge_temperature,
                            .top_p = a->top_p,
                            .max_iterations = a->max_iterations,
                            .threshold = a->quality_threshold,
                            .seed = (uint64_t)a->seed};
    for (int s = 0; s < N_STAGE; s++) o->flow.prompt[s] = job->prompt[s];
    o->samples = (int)a->samples_per_example;
    o->stream = a->stream;
    o->extra = job->extra;
}

static int set_options(reason_job *job, const opt_parsed *p)
{
    const reason_server_options *s = &job->flags->servers;
    reason_options *o = &job->options;
    const int status = set_servers(job, p);

    if (status) return status;
    set_flow(job);
    o->data = &job->data;
    o->model = s->model;
    o->judge_model = s->judge_model;
    o->dataset = job->dataset =
        json_pack("{s:s,s:I}", "xxh3_128", job->hash, "bytes", (json_int_t)job->bytes);
    o->limits =
        (http_limits){s->connect_timeout, s->first_byte_timeout, s->idle_timeout, s->timeout};
    o->folder = job->folder;
    o->store = job->store;
    o->name = job->flags->run.output;
    o->lease_seconds = job->flags->run.lease_timeout;
    o->resume = job->flags->run.resume;
    o->force = job->flags->run.force && !o->resume;
    o->low_memory = s->low_memory;
    o->quiet = job->flags->talk.quiet;
    return 0;
}

static mill_err read_all(reason_job *job, const opt_parsed *p)
{
    const reason_run_options *r = &job->flags->run;

    TRY(read_prompts(job));
    TRY(read_extra(job));
    TRY(open_records(job, p));
    if (r->dry_run) return MILL_OK;
    TRY(name_store(job));
    TRY(cli_check_apart(r->output, job->path));
    TRY(cli_check_output(r->output, r->force || r->resume || r->node_rank));
    return output_check(r->output);
}

/* ---- the command ---- */

static void free_job(reason_job *job)
{
    for (int s = 0; s < N_STAGE; s++) prompt_free(job->prompt[s]);
    records_close(job->records);
    json_decref(job->dataset);
    mill_free(job->extra);
    mill_free(job->path);
    mill_free(job->folder);
    mill_free(job->store);
}

static int run(const opt_parsed *p, reason_flags *o)
{
    reason_job job = {.flags = o};
    int status;

    if (o->data.list_datasets) return cli_reason_list(&o->data);
    if (o->data.dataset_info) return cli_reason_info(p->set, &o->data);
    if ((status = check_flags(p, o))) return status;
    cli_talk(p->set, o->talk.quiet);
    if (!o->talk.quiet && (o->talk.debug || o->talk.no_warnings))
        cli_talk_least(o->talk.debug ? MILL_LOG_DEBUG : MILL_LOG_ERROR);
    if (read_all(&job, p))
        status = cli_error(p->set);
    else if (o->run.dry_run)
        status = cli_reason_dry_run(&job);
    else if (!(status = set_options(&job, p)))
        status = cli_reason_job(&job, p->set);
    free_job(&job);
    return status;
}

int cmd_reason_run(int argc, char **argv)
{
    reason_flags o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &reason_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&p, &o);
    opt_free(&p);
    return status;
}
