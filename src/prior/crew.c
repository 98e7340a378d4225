/*
 * crew.c - worker processes (crew.h).
 *
 * A worker that is killed leaves its piece in its seat; the parent moves it to `left`, where any
 * worker takes it before it takes a new one.  Children die with the parent.  Ctrl-C goes to all
 * processes of a terminal: workers leave it to the parent, which asks them to stop.
 */
#include "prior/crew.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "rank/board.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t board_size(int workers)
{
    return sizeof(crew_board) + (size_t)workers * sizeof(crew_seat);
}

mill_err crew_new(crew **out, int workers, int64_t n, int64_t window)
{
    if (workers < 1 || workers > CREW_MAX)
        return mill_fail(MILL_EINPUT, "%d workers: 1 to %d are possible", workers, CREW_MAX);
    crew *c = mill_alloc(1, sizeof *c);
    if (!c) return MILL_ENOMEM;
    c->board =
        mmap(NULL, board_size(workers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->board == MAP_FAILED) {
        mill_free(c);
        return mill_fail(MILL_ENOMEM, "no shared memory for %d workers: %s", workers,
                         strerror(errno));
    }
    c->n_workers = workers;
    c->board->n = n;
    c->board->window = window;
    c->board->n_seats = workers;
    for (int s = 0; s < workers; s++) {
        c->board->seat[s].piece = c->board->seat[s].left = c->board->seat[s].at = -1;
        c->strike[s] = -1;
    }
    *out = c;
    return MILL_OK;
}

/* ---- in a worker ---- */

void crew_wait(crew_board *b, unsigned seen, double seconds)
{
    board_sleep(&b->news, seen, seconds);
}

void crew_tell(crew_board *b)
{
    atomic_fetch_add(&b->news, 1);
    board_rouse(&b->news);
}

bool crew_must_stop(const crew_board *b)
{
    return atomic_load(&b->stop);
}

/*
 * A piece is noted in the seat before it is taken from the counter, or from where a dead worker
 * left it: a worker that is killed between the two has not lost it.  It may then be noted twice,
 * and be made twice at worst; the parent looks for that (was_taken).
 */
static int64_t take_left(crew_board *b, crew_seat *me)
{
    for (int s = 0; s < b->n_seats; s++) {
        int64_t piece = atomic_load(&b->seat[s].left);
        if (piece < 0) continue;
        atomic_store(&me->piece, piece);
        if (atomic_compare_exchange_strong(&b->seat[s].left, &piece, -1)) return piece;
        atomic_store(&me->piece, -1);
    }
    return -1;
}

static int64_t take_next(crew_board *b, crew_seat *me)
{
    int64_t piece = atomic_load(&b->next);

    while (piece < b->n && piece - atomic_load(&b->floor) < b->window) {
        atomic_store(&me->piece, piece);
        if (atomic_compare_exchange_strong(&b->next, &piece, piece + 1)) return piece;
        atomic_store(&me->piece, -1);
    }
    return -1;
}

int64_t crew_take(crew_board *b, int seat)
{
    for (;;) {
        const unsigned seen = atomic_load(&b->news);
        if (crew_must_stop(b)) return -1;
        int64_t piece = take_left(b, &b->seat[seat]);
        if (piece < 0) piece = take_next(b, &b->seat[seat]);
        if (piece >= 0 || atomic_load(&b->next) >= b->n) return piece;
        crew_wait(b, seen, 0.1);
    }
}

void crew_finish(crew_board *b, int seat)
{
    atomic_store(&b->seat[seat].piece, -1);
    atomic_fetch_add(&b->n_done, 1);
    crew_tell(b);
}

static void be_worker(crew *c, int seat, int parent)
{
    crew_seat *me = &c->board->seat[seat];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if ((int)getppid() != parent) _exit(1);
    const mill_err err = c->work(c->ctx, c->board, seat);
    if (err) {
        snprintf(me->words, sizeof me->words, "%s", mill_error());
        atomic_store(&me->err, (int)err);
    }
    crew_tell(c->board);
    _exit(err ? 1 : 0);
}

/* ---- in the parent ---- */

static mill_err start_worker(crew *c, int seat)
{
    const int parent = (int)getpid();
    const pid_t pid = fork();

    if (pid < 0) return mill_fail(MILL_EIO, "cannot start a worker: %s", strerror(errno));
    if (!pid) be_worker(c, seat, parent);
    c->pid[seat] = (int)pid;
    c->n_alive++;
    return MILL_OK;
}

mill_err crew_start(crew *c, crew_work work, void *ctx)
{
    mill_err err = MILL_OK;

    c->work = work;
    c->ctx = ctx;
    for (int s = 0; s < c->n_workers && !err; s++) err = start_worker(c, s);
    if (err) crew_stop(c);
    return err;
}

void crew_stop(crew *c)
{
    atomic_store(&c->board->stop, 1);
    crew_tell(c->board);
}

bool crew_is_done(const crew *c)
{
    return !c->n_alive;
}

/* Whether the piece that a dead worker had noted was really its own. */
static bool was_taken(const crew_board *b, int64_t piece)
{
    if (piece < 0 || piece >= b->next) return false;
    for (int s = 0; s < b->n_seats; s++)
        if (b->seat[s].left == piece || b->seat[s].piece == piece) return false;
    return true;
}

/* There is always room: a new worker takes what was left before anything else. */
static void leave(crew_board *b, int64_t piece)
{
    int s = 0;

    while (s < b->n_seats - 1 && b->seat[s].left >= 0) s++;
    atomic_store(&b->seat[s].left, piece);
}

/* How many workers the piece has ended, whatever their seats; without a piece, at this seat. */
static int strike(crew *c, int seat, int64_t piece)
{
    int at = seat;

    for (int s = 0; s < c->n_workers && piece >= 0; s++)
        if (c->strike[s] == piece) at = s;
    c->n_strikes[at] = c->strike[at] == piece ? c->n_strikes[at] + 1 : 1;
    c->strike[at] = piece;
    return c->n_strikes[at];
}

/* A worker was killed: its piece goes to the next. */
static mill_err replace(crew *c, int seat, int signal)
{
    crew_seat *s = &c->board->seat[seat];
    const int64_t piece = atomic_exchange(&s->piece, -1);

    atomic_fetch_sub(&s->made, atomic_exchange(&s->begun, 0)); /* they are made again */
    c->n_died++;
    if (strike(c, seat, piece) >= CREW_STRIKES)
        return mill_fail(MILL_EDEVICE,
                         "%d workers were killed by signal %d (%s), one after another, while data "
                         "set %lld was made",
                         CREW_STRIKES, signal, strsignal(signal), (long long)s->at);
    if (was_taken(c->board, piece)) leave(c->board, piece);
    if (crew_must_stop(c->board)) return MILL_OK;
    mill_log(MILL_LOG_WARN,
             "worker %d was killed by signal %d (%s) at data set %lld; another one takes over",
             seat, signal, strsignal(signal), (long long)s->at);
    return start_worker(c, seat);
}

mill_err crew_look(crew *c)
{
    mill_err err = MILL_OK;

    for (int s = 0; s < c->n_workers; s++) {
        int status;

        if (!c->pid[s] || waitpid(c->pid[s], &status, WNOHANG) != c->pid[s]) continue;
        c->pid[s] = 0;
        c->n_alive--;
        if (WIFEXITED(status) && !WEXITSTATUS(status)) continue;
        mill_err mine;
        if (WIFSIGNALED(status))
            mine = replace(c, s, WTERMSIG(status));
        else if (c->board->seat[s].err)
            mine = mill_fail((mill_err)c->board->seat[s].err, "%s", c->board->seat[s].words);
        else
            mine = mill_fail(MILL_EDEVICE, "a worker ended with status %d", WEXITSTATUS(status));
        if (mine && !err) err = mine;
        if (mine) crew_stop(c);
    }
    return err;
}

void crew_free(crew *c)
{
    if (!c) return;
    crew_stop(c);
    for (int wait = 0; wait < 200 && c->n_alive; wait++) {
        for (int s = 0; s < c->n_workers; s++) {
            if (!c->pid[s] || waitpid(c->pid[s], NULL, WNOHANG) != c->pid[s]) continue;
            c->pid[s] = 0;
            c->n_alive--;
        }
        if (c->n_alive) usleep(5000);
    }
    for (int s = 0; s < c->n_workers; s++) {
        if (!c->pid[s]) continue;
        kill(c->pid[s], SIGKILL);
        waitpid(c->pid[s], NULL, 0);
    }
    munmap(c->board, board_size(c->n_workers));
    mill_free(c);
}
