/*
 * watch.c - the launcher looks at its ranks: who keeps the others waiting, who is stopped.
 *
 * Every rank of ours writes its step, its phase and whom it waits for on the board.  The one to
 * name is waited for and does not wait itself.  Programs of others write nothing there; of them
 * only a stopped process is seen.  Time that this process itself was stopped does not count.
 *
 * How long is too long?  Unless the user says, 600 s, as a rank may load or save for minutes.  In
 * the middle of steps it is known better: 20 times the median of the last steps, and at least 60 s.
 */
#include "rank/launcher.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double PATIENCE = 600; /* seconds, when nothing is known and nothing said */

/* The seat of this host's rank r, or NULL. */
static board_seat *seat_of(const launcher *l, int r)
{
    return l->board.at ? &l->board.at->seat[r] : NULL;
}

void describe_rank(char *words, size_t size, const launcher *l, int r)
{
    board_seat *s = seat_of(l, r);
    char where[80];

    *words = 0;
    if (!s || s->state == SEAT_FREE) return;
    board_place(where, sizeof where, s);
    snprintf(words, size, ", %s", where);
}

/* 'R', 'S', 'D', 'T', ... of proc(5); 0: gone. */
static char process_state(pid_t pid)
{
    char path[64], *text, state = 0;
    size_t len;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (file_read_all(&text, &len, path)) return 0;
    const char *after = strrchr(text, ')'); /* the name may hold anything */
    if (after && after[1] == ' ') state = after[2];
    mill_free(text);
    return state;
}

/* Seconds from `ns` on, less those that this process was stopped. */
static double since(const child *c, int64_t ns)
{
    return (double)(board_now_ns() - (ns > c->from_ns ? ns : c->from_ns)) / 1e9;
}

/* For how many seconds others have waited for r, who waits for nobody; 0: they do not. */
static double waited_for(const launcher *l, int r, int *waiting)
{
    const board *b = l->board.at;
    double longest = 0;

    if (b->seat[r].waits_for) return 0;
    for (int q = 0; q < l->n; q++) {
        board_seat *s = &l->board.at->seat[q];
        const double waits = since(&l->c[r], s->waits_ns);

        if (s->waits_for != r + 1 || waits <= longest) continue;
        longest = waits;
        *waiting = q;
    }
    return longest;
}

/* Seconds without a sign of a rank that computes and waits for nobody. */
static double silent_for(const launcher *l, int r)
{
    board_seat *s = seat_of(l, r);

    if (s->state != SEAT_TAKEN || s->step < 0 || s->phase != RANK_COMPUTING || s->waits_for)
        return 0;
    return since(&l->c[r], s->beat_ns);
}

static double limit(double given, double otherwise)
{
    return given > 0 ? given : given < 0 ? 1e300 : otherwise;
}

/* A new step of rank 0, seen at `now`: ticks are shorter than any step that matters here. */
static void keep_pace(launcher *l, double now)
{
    rank_pace *p = &l->pace;
    const board_seat *s = seat_of(l, 0);
    const int64_t step = s ? s->step : -1;

    if (step == p->step) return;
    if (p->step >= 0 && step > p->step)
        p->took[p->n++ % PACE_STEPS] = (now - p->at) / (double)(step - p->step);
    p->step = step;
    p->at = now;
}

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_step(const rank_pace *p)
{
    const size_t n = p->n < PACE_STEPS ? (size_t)p->n : PACE_STEPS;
    double took[PACE_STEPS];

    memcpy(took, p->took, n * sizeof *took);
    qsort(took, n, sizeof *took, compare_seconds);
    return took[n / 2];
}

/* How long a rank that computes may be silent. */
static double patience(const launcher *l)
{
    const double given = l->job->hang_seconds, least = limit(l->job->hang_least, 60);

    if (given || l->pace.n < PACE_ENOUGH) return limit(given, PATIENCE);
    const double steps = 20 * median_step(&l->pace);
    return steps > least ? steps : least;
}

/* And what rank r may be: if it does something else, it may take longer than its steps. */
static double patience_with(const launcher *l, int r)
{
    const board_seat *s = seat_of(l, r);
    const double computing = patience(l);
    const bool is_stepping = s && s->step >= 0 && s->phase == RANK_COMPUTING;

    return is_stepping || computing > PATIENCE ? computing : limit(l->job->hang_seconds, PATIENCE);
}

/* Where everybody is: a line a rank, and from ranks of ours their stacks, on their stderr. */
static void dump_ranks(launcher *l)
{
    for (int r = 0; r < l->n; r++) {
        char where[120], call[120] = "", waits[40] = "";
        board_seat *s = seat_of(l, r);

        l->c[r].has_dumped = true;
        if (l->c[r].pidfd < 0) continue;
        describe_rank(where, sizeof where, l, r);
        if (s) board_last_call(call, sizeof call, s);
        if (s && s->waits_for)
            snprintf(waits, sizeof waits, ", where it waits for rank %d", s->waits_for - 1);
        mill_log(MILL_LOG_WARN, "rank %d (process %d, %c)%s%s%s%s", l->first + r, (int)l->c[r].pid,
                 process_state(l->c[r].pid), where, *call ? "; last came to " : "", call, waits);
        /* Not to the script that may have started the rank. */
        if (s && s->dumps && getpgid(s->pid) == l->c[r].pid) kill(s->pid, SIGUSR2);
    }
}

static void watch_rank(launcher *l, int r)
{
    const double warn = limit(l->job->warn_seconds, 15), hang = patience_with(l, r);
    child *c = &l->c[r];
    char where[120];
    int by = r;

    const char state = process_state(c->pid);
    const double stopped = state == 'T' || state == 't' ? since(c, c->seen_running_ns) : 0;
    if (!stopped) c->seen_running_ns = board_now_ns();
    double late = l->board.at ? waited_for(l, r, &by) : 0;
    const double silent = l->board.at ? silent_for(l, r) : 0;
    if (silent > late) late = silent;
    if (stopped > late) late = stopped;
    c->late = late;
    if (late < warn && c->has_warned) {
        c->has_warned = false;
        mill_log(MILL_LOG_WARN, "rank %d goes on", l->first + r);
    }
    if (late < warn && late < hang) return;
    describe_rank(where, sizeof where, l, r);
    if (late >= warn && !c->has_warned) {
        c->has_warned = true;
        mill_log(MILL_LOG_WARN, "rank %d (process %d) has been silent for %.3g s%s%s%s",
                 l->first + r, (int)c->pid, late, where, stopped > 0 ? "; it is stopped" : "",
                 by != r ? "; others wait for it" : "");
    }
    if (!c->has_dumped && (late > 4 * warn || late > hang)) {
        dump_ranks(l);
        return; /* a tick for them to print */
    }
    if (late < hang || l->verdict >= 0) return;
    l->culprit = r;
    l->verdict = 124;
    mill_log(MILL_LOG_ERROR, "rank %d (process %d) hangs: silent for %.3g s%s%s", l->first + r,
             (int)c->pid, late, where, stopped > 0 ? "; it is stopped" : "");
}

void watch_ranks(launcher *l, bool was_stopped)
{
    keep_pace(l, mill_clock());
    if (l->board.at) {
        const double most = patience(l) > PATIENCE ? patience(l) : PATIENCE;
        l->board.at->patience = most < 1e9 ? (int64_t)most : 1000000000;
    }
    for (int r = 0; r < l->n; r++) {
        child *c = &l->c[r];
        if (was_stopped) c->from_ns = board_now_ns() - (int64_t)(c->late * 1e9);
        if (c->pidfd >= 0) watch_rank(l, r);
    }
}

/* The number behind "oom_kill" in the file of our cgroup; -1 where there is none.  `own` is what
 * /proc/self/cgroup has before our place in that hierarchy. */
static int64_t oom_kills_of(const char *cgroups, const char *own, const char *root,
                            const char *file)
{
    const char *place = strstr(cgroups, own);
    char *text, path[600];
    size_t len;

    if (!place) return -1;
    place += strlen(own);
    snprintf(path, sizeof path, "%s%.*s/%s", root, (int)strcspn(place, "\n"), place, file);
    if (!file_exists(path) || file_read_all(&text, &len, path)) return -1;
    const char *line = strstr(text, "oom_kill ");
    const int64_t kills = line ? strtoll(line + 9, NULL, 10) : -1;
    mill_free(text);
    return kills;
}

int64_t count_oom_kills(void)
{
    char *text;
    size_t len;

    if (file_read_all(&text, &len, "/proc/self/cgroup")) return 0;
    int64_t kills = oom_kills_of(text, "0::", "/sys/fs/cgroup", "memory.events");
    if (kills < 0) /* version 1 */
        kills = oom_kills_of(text, ":memory:", "/sys/fs/cgroup/memory", "memory.oom_control");
    mill_free(text);
    return kills > 0 ? kills : 0;
}
