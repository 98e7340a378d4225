/*
 * main.c - the command: `tabmill COMMAND ...`.
 *
 * Exit status: 0 done, 1 failed, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM.  A reader
 * that goes away (`| head`) is noticed by the failing write, not by SIGPIPE.
 */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const command commands[] = {
    {"fit", cmd_fit, &fit_set, "fit a synthesizer to a table"},
    {"sample", cmd_sample, &sample_set, "draw rows from a model"},
    {"generate", cmd_generate, &generate_set, "fit and sample in one"},
    {"evaluate", cmd_evaluate, &evaluate_set, "compare a synthetic table with a real one"},
    {"score", cmd_score, &score_set, "log-likelihood of rows under a model"},
    {"train", cmd_train, &train_set, "train a classifier or a regressor"},
    {"predict", cmd_predict, &predict_set, "what a trained model says of new rows"},
    {"estimate", cmd_estimate, &estimate_set, "memory that a fit and sampling will take"},
    {"inspect", cmd_inspect, &inspect_set, "what is in a model or a table"},
    {"prior", cmd_prior, &prior_run_set, "make data sets for pre-training"},
    {"generate-data", cmd_generate_data, &generate_data_set,
     "the same as generate_data.py does it"},
    {"launch", cmd_launch, &launch_set, "start ranks of a program, and stand by them"},
    {"bench", cmd_bench, &bench_set, "how much faster many ranks are than one"},
    {"monitor", cmd_monitor, &monitor_set, "sample GPUs, processors and ranks into a table"},
    {"reason", cmd_reason, &reason_set,
     "send records through a language model, and judge what comes"},
    {"devices", cmd_devices, &devices_set, "processors, memory, GPUs, and what is usable"},
};

static void print_help(FILE *to)
{
    fputs("usage: tabmill COMMAND [options]\n\nSynthetic tables, data sets for pre-training, and "
          "models trained on tables, on the CPU.\n\n",
          to);
    for (int i = 0; i < OPT_COUNT(commands); i++)
        fprintf(to, "  %-14s %s\n", commands[i].name, commands[i].about);
    fputs(
        "\ntabmill COMMAND --help lists the options of a command; tabmill --version the version.\n",
        to);
}

static const command *find_command(const char *name)
{
    for (int i = 0; i < OPT_COUNT(commands); i++)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[OPT_COUNT(commands)];

    for (int i = 0; i < OPT_COUNT(commands); i++) names[i] = commands[i].name;
    const char *nearest = mill_nearest(name, names, OPT_COUNT(commands));
    if (nearest)
        fprintf(stderr, "tabmill: %s: no such command; did you mean %s?\n", name, nearest);
    else
        fprintf(stderr, "tabmill: %s: no such command; see tabmill --help\n", name);
    return 2;
}

bool cli_run_verb(int *status, const opt_set *set, const cli_verb *verbs, int n, int argc,
                  char **argv)
{
    char list[256] = "";

    if (!argc || argv[0][0] == '-') return false;
    for (int i = 0; i < n; i++) {
        if (!strcmp(argv[0], verbs[i].name)) {
            *status = verbs[i].run(argc - 1, argv + 1);
            return true;
        }
        const size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", verbs[i].name);
    }
    *status = opt_usage_error(set, "%s: no option, and not one of %s", argv[0], list);
    return true;
}

static int help(const char *name)
{
    const command *c = name ? find_command(name) : NULL;

    if (name && !c) return unknown_command(name);
    if (c)
        opt_help(c->set);
    else
        print_help(stdout);
    return 0;
}

/* For whatever does not look for signals itself: end with the promised status. */
static void end(int sig)
{
    _exit(128 + sig);
}

/* Installed under this name too it is that command alone: generate_data --n_datasets ... */
static bool is_called(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    return !strcmp(slash ? slash + 1 : path, name);
}

/* The first of the words is the command, or asks for help or the version. */
static int run(const char *name, int argc, char **argv)
{
    if (!*name) {
        print_help(stderr);
        return 2;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "version")) {
        puts("tabmill " MILL_VERSION);
        return 0;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return help(argc > 1 ? argv[1] : NULL);
    const command *c = find_command(name);
    if (!c) return unknown_command(name);
    if (mill_cpu_init()) {
        fprintf(stderr, "tabmill: %s\n", mill_error());
        return 1;
    }
    return c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    const bool is_alias = argc > 0 && is_called(argv[0], "generate_data");
    const char *name = is_alias ? "generate-data" : argc > 1 ? argv[1] : "";
    const int before = is_alias ? 0 : 1; /* words before the name */

    cli_talk_early();
    mill_mem_return_large();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, end);
    signal(SIGTERM, end);
    int status = run(name, argc - before, argv + before);
    const bool is_lost = fflush(stdout) || ferror(stdout); /* ferror: of any earlier write */
    if (is_lost && !status && !cli_reader_went_away("-")) {
        fprintf(stderr, "tabmill %s: stdout: cannot write\n", name);
        status = 1;
    }
    return status;
}
