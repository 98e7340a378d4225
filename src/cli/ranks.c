/* ranks.c - how many ranks, starting them, meeting (ranks.h). */
#include "cli/ranks.h"

#include "base/cpu.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool cli_is_rank(void)
{
    rank_identity who;

    return !rank_identify(&who, NULL) && strcmp(who.source, "single") != 0;
}

mill_err cli_run_state(train_run_status *status, train_options *o)
{
    const train_options asked = *o;
    rank_identity who;

    TRY(rank_identify(&who, NULL));
    if (who.restart && !o->resume) {
        o->resume = true;
        o->force = false;
        const mill_err err = train_run_state(status, o);
        if (err != MILL_EINPUT || !asked.force) return err;
        *o = asked;
    }
    return train_run_state(status, o);
}

int cli_ranks_count(int *n, const opt_set *set, const char *text)
{
    int64_t x;

    *n = 0;
    if (!text) return 0;
    if (!strcmp(text, "auto")) {
        *n = mill_cpu_count();
        return 0;
    }
    if (!mill_parse_i64(&x, text, strlen(text)) || x < 1 || x > RANK_MAX_WORLD)
        return opt_usage_error(set, "--nproc %s: auto, or 1 to %d", text, RANK_MAX_WORLD);
    *n = (int)x;
    return 0;
}

bool cli_ranks_start(int *status, const opt_set *set, int n, const char *input)
{
    const rank_job job = {.n = n, .share_stdin = input && !strcmp(input, "-")};
    rank_side side = RANK_CHILD;

    *status = 0;
    if (n <= 1 || rank_is_spawned()) return true;
    fflush(NULL);
    if (cli_input_keep(input) || rank_spawn(&side, status, &job)) *status = cli_error(set);
    return !*status && side == RANK_CHILD;
}

int cli_ranks_meet(cli_ranks *r, const opt_set *set, talk_options *talk)
{
    int status;

    *r = (cli_ranks){0};
    if (rank_identify(&r->who, NULL)) return opt_usage_error(set, "%s", mill_error());
    if (!talk->threads && r->who.world > 1) talk->threads = rank_thread_share(&r->who);
    if (r->who.rank) cli_mute();
    if (r->who.rank) talk->quiet = true;
    if ((status = cli_begin(&r->pool, set, talk))) return status;
    if (r->who.world == 1) return 0;
    const rank_options o = {.threads = mill_pool_threads(r->pool), .pool = r->pool};
    if (!rank_open(&r->group, &r->who, &o)) return 0;
    cli_error(set);
    return STATUS_RENDEZVOUS;
}

void cli_ranks_part(cli_ranks *r, mill_err err)
{
    rank_close(r->group, err);
    mill_pool_free(r->pool);
}
