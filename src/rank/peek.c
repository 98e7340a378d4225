/*
 * peek.c - what ranks of ours are doing, seen from outside (host.h).
 *
 * Ranks and their launcher hold the board (board.h) open, a memfd that is known by its name.  Who
 * may look into such a process reads it as /proc/PID/fd/N: a copy, in which the ranks go on writing
 * while it is taken, so that a step and its phase may be of two moments.
 */
#include "rank/board.h"
#include "rank/host.h"

#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char NAME[] = "/memfd:tabmill-ranks (deleted)";

/* The first board that process `pid` holds; -1: none. */
static int open_board(int pid)
{
    char path[80], target[sizeof NAME], **names;
    int n, fd = -1;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    if (access(path, R_OK | X_OK) || file_list(&names, &n, path)) return -1;
    for (int i = 0; i < n && fd < 0; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%.20s", pid, names[i]);
        if (readlink(path, target, sizeof target) != sizeof NAME - 1) continue;
        if (!memcmp(target, NAME, sizeof NAME - 1)) fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    mill_free(names);
    return fd;
}

/* The ranks of a board: which phases there are, and the step of the last one. */
static void add_seats(rank_view *v, const board *b)
{
    for (int r = 0; r < b->world; r++) {
        const board_seat *s = &b->seat[r];

        if (s->state != SEAT_TAKEN || s->phase < 0 || s->phase >= RANK_N_PHASE) continue;
        v->phases |= 1u << s->phase;
        if (s->step >= 0 && (v->step < 0 || s->step < v->step)) v->step = s->step;
    }
}

static bool sits_there(const board *b, int pid)
{
    for (int r = 0; r < b->world; r++)
        if (b->seat[r].state == SEAT_TAKEN && b->seat[r].pid == pid) return true;
    return false;
}

/* NULL: it cannot be read. */
static board *read_board(int fd)
{
    board head;

    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || !board_is(&head)) return NULL;
    const size_t bytes = sizeof head + (size_t)head.world * sizeof(board_seat);
    board *b = mill_alloc(bytes, 1);
    if (b && pread(fd, b, bytes, 0) == (ssize_t)bytes) return b;
    mill_free(b);
    return NULL;
}

bool rank_look(rank_view *v, int pid)
{
    const int fd = open_board(pid);
    struct stat st;

    if (fd < 0) return false;
    board *b = read_board(fd);
    const bool is_rank = b && sits_there(b, pid);
    bool is_new = b && !fstat(fd, &st) && v->n_seen < RANK_MAX_VIEWS;
    for (int i = 0; i < v->n_seen && is_new; i++) is_new = v->seen[i] != (uint64_t)st.st_ino;
    if (is_new) {
        add_seats(v, b);
        v->seen[v->n_seen++] = (uint64_t)st.st_ino;
    }
    mill_free(b);
    close(fd);
    return is_rank;
}

void rank_view_words(char *words, size_t size, const rank_view *v)
{
    *words = 0;
    for (int p = 0; p < RANK_N_PHASE; p++) {
        const size_t n = strlen(words);
        if (v->phases >> p & 1)
            snprintf(words + n, size - n, "%s%s", n ? "+" : "", rank_phase_names[p]);
    }
}
