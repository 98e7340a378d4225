/* reason_dry.c - `tabmill reason --dry-run`: the first prompts, and what all of them may cost. */
#include "cli/reason_job.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 2, SAMPLED = 1000, BYTES_A_TOKEN = 4 };

static mill_err fill(mill_text *out, const reason_job *job, int64_t j)
{
    data_record r;

    TRY(data_read(&r, NULL, &job->data, j));
    const char *const value[N_PLACE] = {
        [PLACE_PROBLEM] = r.problem, [PLACE_SOLUTION] = r.solution, [PLACE_ID] = r.id};
    prompt_fill(out, job->prompt[STAGE_GENERATE], value);
    data_record_free(&r);
    return text_check(out);
}

static void print_line(const char *what, double asked, double most)
{
    printf("%-34s %15.0f %15.0f\n", what, asked, most);
}

int cli_reason_dry_run(const reason_job *job)
{
    const reason_ask_options *a = &job->flags->ask;
    const int64_t n = job->data.n, step = n > SAMPLED ? n / SAMPLED : 1;
    const double chains = (double)n * (double)a->samples_per_example;
    int64_t sampled = 0, bad = 0, bytes = 0;
    mill_text t = {0};

    for (int64_t j = 0; j < n && !t.failed; j += step) {
        text_clear(&t);
        if (fill(&t, job, j)) {
            if (j < SHOWN)
                printf("record %lld: %s\n", (long long)data_index(&job->data, j), mill_error());
            bad++;
            continue;
        }
        if (j < SHOWN) {
            printf("---- record %lld: the prompt to generate ----\n",
                   (long long)data_index(&job->data, j));
            fwrite(t.s, 1, t.len, stdout);
            printf("%s", t.len && t.s[t.len - 1] == '\n' ? "" : "\n");
        }
        bytes += (int64_t)t.len;
        sampled++;
    }
    text_free(&t);
    const double asked = sampled ? (double)bytes / (double)sampled / BYTES_A_TOKEN : 0;
    const double judged = asked + (double)a->max_tokens, most = (double)a->max_tokens;
    printf("---- %lld record%s, %lld chain%s; tokens, at %d bytes each ----\n", (long long)n,
           mill_s(n), (long long)chains, mill_s((int64_t)chains), BYTES_A_TOKEN);
    printf("%-34s %15s %15s\n", "", "prompts", "answers at most");
    print_line("generate", chains * asked, chains * most);
    print_line("evaluate, at most", chains * judged, chains * (double)a->judge_max_tokens);
    const double rounds = chains * (double)a->max_iterations;
    print_line("improve and evaluate, at most", rounds * (2 * judged),
               rounds * (most + (double)a->judge_max_tokens));
    if (bad)
        printf("%lld of %lld records looked at cannot be read\n", (long long)bad,
               (long long)bad + (long long)sampled);
    return 0;
}
