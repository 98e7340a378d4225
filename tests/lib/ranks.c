/* ranks.c - see ranks.h. */
#include "lib/ranks.h"

#include <sys/mman.h>

void run_processes(rank_ends *ends, const int *rank, const int *world, int n, rank_body_fn run,
                   void *ctx, const rank_options *o)
{
    const char *job = new_job();
    pid_t pid[RANK_MAX_WORLD];

    ends->words = mmap(NULL, sizeof *ends->words * RANK_MAX_WORLD, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < n; i++) {
        fflush(NULL);
        if ((pid[i] = fork()) == 0)
            _exit(be_rank(rank[i], world[i], job, run, ctx, ends->words[i], o));
    }
    for (int i = 0; i < n; i++) {
        int status = 0;
        waitpid(pid[i], &status, 0);
        ends->status[i] = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

void rank_ends_free(rank_ends *e)
{
    munmap(e->words, sizeof *e->words * RANK_MAX_WORLD);
}

void run_ranks_ok(int n, rank_body_fn run, void *ctx)
{
    int rank[RANK_MAX_WORLD] = {0}, world[RANK_MAX_WORLD] = {0};
    rank_ends e;

    for (int r = 0; r < n; r++) {
        rank[r] = r;
        world[r] = n;
    }
    run_processes(&e, rank, world, n, run, ctx, NULL);
    for (int r = 0; r < n; r++)
        if (e.status[r]) fail_msg("rank %d of %d: status %d: %s", r, n, e.status[r], e.words[r]);
    rank_ends_free(&e);
}
