/*
 * launch.c - `tabmill launch`: start ranks of any program, and stand by them until all are gone.
 *
 * Options are those of torchrun where there are such.  COMMAND is run as it is; x.py by python3, as
 * torchrun does.  Without a command, on a terminal, it asks what to train and how, prints the
 * command line that says the same, and runs that.
 */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "rank/rank.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_WORDS = 4096, STATUS_RENDEZVOUS = 69, STATUS_NOT_RUN = 126, STATUS_NOT_FOUND = 127 };

#define OPT OPT_FIELD
typedef struct {
#include "cli/launch.def"
} launch_options;
#undef OPT

#define OPT        OPT_ROW
#define OPT_STRUCT launch_options
static const opt_row rows[] = {
#include "cli/launch.def"
    {0}};

static const opt_group groups[] = {{.title = "Options", .row = rows}};
static const char *const refused[] = {"rdzv-backend",
                                      "there is one way to meet: --master-addr and --master-port",
                                      "rdzv-id",
                                      "a run has an id of its own",
                                      "rdzv-conf",
                                      "there is nothing to configure; see --hang-timeout",
                                      "monitor-interval",
                                      "ranks are not polled: their end is seen at once",
                                      "start-method",
                                      "ranks are always programs of their own",
                                      "numa-binding",
                                      "use --bind core",
                                      "redirects",
                                      "use --log-dir, with --tee to see them too",
                                      "role",
                                      "the role is always \"default\"",
                                      NULL};
const opt_set launch_set = {
    .command = "launch",
    .usage = "launch [-n N|auto] [options] [--] COMMAND [ARGUMENT ...]",
    .about = "Start N ranks of a program with torchrun's variables, and end all when one fails.\n"
             "Without COMMAND, on a terminal, it asks.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(launch_options),
    .most_args = MOST_WORDS,
    .args_end_options = true,
    .args = "COMMAND",
    .refused = refused,
};

/* What CUDA_VISIBLE_DEVICES leaves of the GPUs that the driver lists. */
static int count_gpus(void)
{
    static const char root[] = "/proc/driver/nvidia/gpus";
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    char **names;
    int n = 0, named = 0;

    if (!file_exists(root) || file_list(&names, &n, root)) return 0;
    mill_free(names);
    if (!visible) return n;
    for (const char *v = visible; *v && *v != '-'; v += strspn(v, ",")) {
        named++;
        v += strcspn(v, ",");
    }
    return named < n ? named : n;
}

/* "4", "auto", "gpu", "cpu"; 0 after a usage error. */
static int count_ranks(const launch_options *o)
{
    const char *text = o->nproc ? o->nproc : o->per_node ? o->per_node : "1";
    const int gpus = count_gpus();
    char *end;

    if (!strcmp(text, "auto")) return gpus ? gpus : mill_cpu_count();
    if (!strcmp(text, "cpu")) return mill_cpu_count();
    if (!strcmp(text, "gpu") && gpus) return gpus;
    if (!strcmp(text, "gpu")) {
        opt_usage_error(&launch_set, "-n gpu: this host has no GPU that may be used");
        return 0;
    }
    const long n = strtol(text, &end, 10);
    if (end != text && !*end && n >= 1 && n <= RANK_MAX_WORLD) return (int)n;
    opt_usage_error(&launch_set, "-n %s: a number of ranks (1 to %d), auto, gpu or cpu", text,
                    RANK_MAX_WORLD);
    return 0;
}

/* As rank_job has it: 0 auto, below 0 never; NaN: neither a time nor auto. */
static double hang_seconds(const char *text)
{
    double x;

    if (!strcmp(text, "auto")) return 0;
    if (!mill_parse_f64(&x, text, strlen(text)) || !(x >= 0 && x <= 1e9)) return NAN;
    return x > 0 ? x : -1;
}

/* Of --ranks: numbers of ranks, on whatever host, with commas between. */
static bool are_ranks(const char *list, int world)
{
    for (const char *s = list;; s++) {
        const size_t n = strcspn(s, ",");
        int64_t rank;
        if (!mill_parse_i64(&rank, s, n) || rank < 0 || rank >= world) return false;
        s += n;
        if (!*s) return true;
    }
}

/* Options that are of another one. */
static int check_needs(const launch_options *o, const opt_parsed *p)
{
    if (opt_is_given(p, &o->console_rate) && !(o->log_dir && o->tee))
        return opt_usage_error(&launch_set,
                               "--console-rate needs --log-dir and --tee: what the console does "
                               "not show has to be somewhere");
    if (opt_is_given(p, &o->log_size) && !o->log_dir)
        return opt_usage_error(&launch_set, "--log-size needs --log-dir");
    if (o->restart_window > 0 && !o->max_restarts)
        return opt_usage_error(&launch_set, "--restart-window needs --max-restarts");
    if (o->port_range && !o->port && !o->standalone)
        return opt_usage_error(&launch_set, "--port-range needs --master-port");
    return 0;
}

static int check_hosts(const launch_options *o, bool is_alone)
{
    if (!is_alone && o->node >= o->nodes)
        return opt_usage_error(&launch_set, "--node-rank %d of --nnodes %d: they count from 0",
                               (int)o->node, (int)o->nodes);
    if (is_alone && o->node)
        return opt_usage_error(&launch_set, "--node-rank %d needs --nnodes", (int)o->node);
    if (!is_alone && o->port_range)
        return opt_usage_error(&launch_set, "--port-range is of one host: others could not know "
                                            "which port was taken");
    if (!is_alone && o->port == 65535)
        return opt_usage_error(&launch_set, "--master-port 65535 with several hosts: their "
                                            "launchers meet at the next one");
    return 0;
}

static int fill_job(rank_job *job, const launch_options *o, const opt_parsed *p)
{
    const bool is_alone = o->standalone || o->nodes == 1;
    int status;

    if ((status = check_needs(o, p)) || (status = check_hosts(o, is_alone))) return status;
    if (o->nproc && o->per_node)
        return opt_usage_error(&launch_set, "--nproc and --nproc-per-node are one option");
    if (strcmp(o->bind, "core") != 0 && strcmp(o->bind, "none") != 0)
        return opt_usage_error(&launch_set, "--bind %s: core or none", o->bind);
    const double hang = hang_seconds(o->hang_timeout);
    if (isnan(hang))
        return opt_usage_error(&launch_set, "--hang-timeout %s: seconds, or auto", o->hang_timeout);
    const int n = count_ranks(o);
    if (!n) return 2;
    const int world = is_alone ? n : n * (int)o->nodes;
    if (world > RANK_MAX_WORLD)
        return opt_usage_error(&launch_set, "%d ranks on %d hosts: 1 to %d in all are possible",
                               world, (int)o->nodes, RANK_MAX_WORLD);
    if (o->ranks && !are_ranks(o->ranks, world))
        return opt_usage_error(&launch_set, "--ranks %s: numbers from 0 to %d with commas between",
                               o->ranks, world - 1);
    if (n > mill_cpu_count())
        mill_log(MILL_LOG_WARN, "%d ranks on %d processor%s: they will take turns", n,
                 mill_cpu_count(), mill_s(mill_cpu_count()));
    *job = (rank_job){
        .n = n,
        .node = is_alone ? 0 : (int)o->node,
        .nodes = is_alone ? 1 : (int)o->nodes,
        .address = o->standalone ? NULL : o->address,
        .port = o->standalone         ? 0
                : o->port || is_alone ? (int)o->port
                                      : 29500,
        .port_range = (int)o->port_range,
        .max_restarts = (int)o->max_restarts,
        .restart_window = o->restart_window,
        .grace_seconds = o->grace,
        .warn_seconds = o->hang_warn > 0 ? o->hang_warn : -1,
        .hang_seconds = hang,
        .bind = !strcmp(o->bind, "core"),
        .log_dir = o->log_dir,
        .log_bytes = o->log_size,
        .tee = o->tee,
        .console_lines = o->console_rate,
        .ranks = o->ranks,
        .capture = true,
    };
    return 0;
}

int cli_become(const opt_set *set, const char *const *arg, bool as_it_is, bool is_module)
{
    const size_t len = strlen(arg[0]);
    const bool is_script = !as_it_is && len > 3 && !strcmp(arg[0] + len - 3, ".py");
    int n_args = 0, n = 0;

    while (arg[n_args]) n_args++;
    const char **word = mill_alloc((size_t)n_args + 4, sizeof *word);
    if (!word) return cli_error(set);
    if (is_module || is_script) {
        word[n++] = "python3";
        word[n++] = "-u";
        if (is_module) word[n++] = "-m";
    }
    for (int i = 0; i < n_args; i++) word[n++] = arg[i];
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    execvp(word[0], (char *const *)word);
    const int e = errno;
    fprintf(stderr, "tabmill %s: %s: %s\n", set->command, word[0], strerror(e));
    mill_free(word);
    return e == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN;
}

int cmd_launch(int argc, char **argv)
{
    launch_options o;
    opt_parsed p;
    rank_job job;
    rank_side side;
    int status;

    if (opt_parse(&p, &status, &launch_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&launch_set, o.quiet);
    if (!p.n_args && isatty(STDIN_FILENO))
        status = cli_launch_ask();
    else if (!p.n_args)
        status = opt_usage_error(&launch_set, "COMMAND is missing");
    else if (!(status = fill_job(&job, &o, &p))) {
        fflush(NULL);
        const mill_err err = rank_spawn(&side, &status, &job);
        if (err) {
            status = cli_error(&launch_set);
            if (err == MILL_EINPUT) status = STATUS_RENDEZVOUS;
        } else if (side == RANK_CHILD) {
            status = cli_become(&launch_set, p.arg, o.no_python, o.module);
        }
    }
    opt_free(&p);
    return status;
}
