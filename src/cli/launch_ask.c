/*
 * launch_ask.c - `tabmill launch` without a command, on a terminal: a few questions, the command
 * line that says the same, y/N.
 */
#include "cli/cli.h"

#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER = 400 };

/* False at the end of input. */
static bool ask(char *answer, const char *question, const char *otherwise)
{
    fprintf(stderr, *otherwise ? "%s [%s]: " : "%s: ", question, otherwise);
    if (!fgets(answer, ANSWER, stdin)) return false;
    answer[strcspn(answer, "\n")] = 0;
    if (!*answer) snprintf(answer, ANSWER, "%s", otherwise);
    return true;
}

/* Until the answer is one of `words`, which end with NULL. */
static bool choose(char *answer, const char *question, const char *const *words)
{
    for (;;) {
        if (!ask(answer, question, words[0])) return false;
        for (const char *const *w = words; *w; w++)
            if (!strcmp(answer, *w)) return true;
        fprintf(stderr, "\"%s\" is none of these\n", answer);
    }
}

static bool ask_count(char *answer, int most)
{
    char question[80], otherwise[16];

    snprintf(question, sizeof question, "How many ranks? 1 to %d", most);
    snprintf(otherwise, sizeof otherwise, "%d", most);
    for (;;) {
        char *end;
        if (!ask(answer, question, otherwise)) return false;
        const long n = strtol(answer, &end, 10);
        if (end != answer && !*end && n >= 1 && n <= most) return true;
        fprintf(stderr, "\"%s\" is not 1 to %d\n", answer, most);
    }
}

static bool ask_file(char *answer)
{
    for (;;) {
        if (!ask(answer, "Which table? A .csv, .parquet or .npz file", "")) return false;
        if (*answer && !access(answer, R_OK)) return true;
        fprintf(stderr, "\"%s\" cannot be read\n", answer);
    }
}

int cli_launch_ask(void)
{
    static const char *const modes[] = {"ddp", "dp", "none", NULL}, *const rules[] = {"none",
                                                                                      "linear",
                                                                                      "sqrt", NULL};
    char data[ANSWER], target[ANSWER], mode[ANSWER], n[ANSWER] = "1", rule[ANSWER] = "none",
                                                     go[ANSWER];

    if (!ask_file(data) || !ask(target, "Which column is to be predicted?", "y") ||
        !choose(mode, "Mode? ddp (a process a rank), dp (threads of one), none", modes))
        return 2;
    if (strcmp(mode, "none") != 0 &&
        (!ask_count(n, mill_cpu_count()) ||
         !choose(rule, "Scale the learning rate by the ranks? none, linear, sqrt", rules)))
        return 2;
    const char *const word[] = {"tabmill",    "train",       "--data", data,      "--target",
                                target,       "--multi-gpu", mode,     "--nproc", n,
                                "--lr-scale", rule,          NULL};
    fprintf(stderr, "\n   ");
    for (int i = 0; word[i]; i++)
        fprintf(stderr, word[i][strcspn(word[i], " '\"$\\")] ? " '%s'" : " %s", word[i]);
    fprintf(stderr, "\n\n");
    if (!ask(go, "Run it? y/N", "N") || (go[0] != 'y' && go[0] != 'Y')) return 0;
    execv("/proc/self/exe", (char *const *)word);
    perror("tabmill launch");
    return 1;
}
