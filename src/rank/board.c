/* board.c - making, mapping and failing on the board of one host's ranks (board.h). */
#include "rank/board.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t MAGIC = UINT64_C(0x32306b6e6172746d); /* "mtrank02": also the layout */

const char *const rank_phase_names[RANK_N_PHASE] = {"starting",   "loading", "computing",
                                                    "evaluating", "saving",  "ending"};

const char *board_call_name(int64_t what)
{
    static const char *const names[] = {"all-reduce", "reduce-scatter", "all-gather",
                                        "exchange"}; /* ORDER KIND */

    return what >= 0 && what <= CALL_EXCHANGE ? names[what] : "?";
}

void board_place(char *words, size_t size, board_seat *seat)
{
    const long long step = (long long)seat->step;
    const int phase = seat->phase;

    if (step < 0)
        snprintf(words, size, "before its first step");
    else
        snprintf(words, size, "at step %lld, %s", step,
                 phase >= 0 && phase < RANK_N_PHASE ? rank_phase_names[phase] : "?");
}

void board_last_call(char *words, size_t size, board_seat *seat)
{
    const uint32_t n = seat->arrived;
    board_call *c = &seat->call[(n - 1) % BOARD_RING];

    *words = 0;
    if (n)
        snprintf(words, size, "%s number %u of size %lld", board_call_name(c->what), n - 1,
                 (long long)c->size);
}

int64_t board_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void board_sleep(atomic_uint *word, uint32_t seen, double seconds)
{
    const struct timespec t = {.tv_sec = (time_t)seconds,
                               .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    syscall(SYS_futex, word, FUTEX_WAIT, seen, &t, NULL, 0);
}

void board_rouse(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static size_t head_bytes(int world)
{
    return (sizeof(board) + (size_t)world * sizeof(board_seat) + 4095) / 4096 * 4096;
}

size_t board_bytes(int world)
{
    return head_bytes(world) + (size_t)world * 2 * RANK_SMALL;
}

void *board_block(const board_map *m, int rank, uint32_t seq)
{
    return (char *)m->at + head_bytes(m->at->world) +
           ((size_t)rank * 2 + (seq & 1)) * (size_t)RANK_SMALL;
}

static mill_err map(board_map *m, int fd, size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        const int e = errno;
        close(fd);
        return mill_fail(MILL_EIO, "cannot map the memory that ranks share: %s", strerror(e));
    }
    *m = (board_map){.at = p, .fd = fd, .bytes = bytes};
    return MILL_OK;
}

mill_err board_new(board_map *m, int world, const char *run_id, int launcher)
{
    const size_t bytes = board_bytes(world);
    const int fd = memfd_create("tabmill-ranks", MFD_CLOEXEC);
    const int e = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);

    if (e) {
        if (fd >= 0) close(fd);
        return mill_fail(MILL_EIO, "no memory that %d ranks can share: %s", world, strerror(e));
    }
    TRY(map(m, fd, bytes));
    m->at->world = world;
    m->at->launcher = launcher;
    snprintf(m->at->run_id, sizeof m->at->run_id, "%s", run_id);
    for (int r = 0; r < world; r++) m->at->seat[r].step = -1;
    m->at->magic = MAGIC;
    return MILL_OK;
}

bool board_is(const board *head)
{
    return head->magic == MAGIC && head->world >= 1 && head->world <= RANK_MAX_WORLD;
}

mill_err board_attach(board_map *m, int fd, const rank_identity *who)
{
    struct stat st;
    board head;

    if (fstat(fd, &st) || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        !board_is(&head) || (size_t)st.st_size < board_bytes(head.world)) {
        close(fd);
        return mill_fail(MILL_EINPUT,
                         "what should be the memory of the ranks is not, or is of another version");
    }
    if (head.world != who->world || strcmp(head.run_id, who->run_id) != 0) {
        close(fd);
        return mill_fail(MILL_EINPUT,
                         "rank %d of %d of job %s: what was started is %d ranks of job %s",
                         who->rank, who->world, who->run_id, head.world, head.run_id);
    }
    return map(m, fd, board_bytes(head.world));
}

void board_unmap(board_map *m)
{
    if (!m->at) return;
    munmap(m->at, m->bytes);
    close(m->fd);
    m->at = NULL;
}

static void wake_all(board *b)
{
    for (int r = 0; r < b->world; r++) {
        board_rouse(&b->seat[r].arrived);
        board_rouse(&b->seat[r].done);
    }
    board_rouse((atomic_uint *)&b->n_there);
}

void board_fail(board *b, int rank, mill_err err, const char *words)
{
    int none = FAIL_NONE;

    if (!atomic_compare_exchange_strong(&b->failed, &none, FAIL_BEING_WRITTEN)) return;
    b->fail_rank = rank;
    b->fail_err = (int)err;
    b->fail_step = b->seat[rank].step;
    snprintf(b->fail_words, sizeof b->fail_words, "%s", words);
    atomic_store(&b->failed, FAIL_THERE);
    wake_all(b);
}

bool board_has_failed(board *b)
{
    return atomic_load_explicit(&b->failed, memory_order_relaxed) != FAIL_NONE;
}

mill_err board_failure(board *b)
{
    /* Who writes may be killed at it: then there are no words. */
    for (int i = 0; i < 100 && atomic_load(&b->failed) != FAIL_THERE; i++) usleep(200);
    if (atomic_load(&b->failed) != FAIL_THERE) return mill_fail(MILL_EDEVICE, "a rank failed");
    return mill_fail(MILL_EDEVICE, "rank %d failed: %s", b->fail_rank, b->fail_words);
}
