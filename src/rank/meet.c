/*
 * meet.c - ranks of one host that torchrun, srun or mpirun started find each other.
 *
 * Rank 0 listens on an abstract UNIX socket, whose name is made of the user and the job: it needs
 * no port and no file, is gone with the process, and ends at the border of a network namespace, as
 * a host would.  The others come, say who they are, and when all are there each gets the descriptor
 * of the board.
 *
 *     hello   { magic, world, rank, job }      to rank 0
 *     answer  { 0 } and a descriptor           or { 1, words }: refused, on both sides
 *
 * Nobody waits longer than `seconds`; a rank 0 that fails closes its sockets, which the others see
 * at once, and so does a rank that dies before all are there.
 */
#include "rank/board.h"

#include "base/cpu.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const uint32_t HELLO = 0x316b726d; /* also the version of what follows */

typedef struct {
    uint32_t magic;
    int32_t world, rank, pid;
    char run_id[RANK_ID_LEN];
} hello;

typedef struct {
    uint32_t refused;
    char words[RANK_WORDS];
} answer;

static socklen_t address(struct sockaddr_un *a, const rank_identity *who)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a of the job */

    for (const char *c = who->run_id; *c; c++)
        h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    const int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "tabmill-ranks-%ld-%016llx",
                           (long)getuid(), (unsigned long long)h);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static mill_err new_socket(int *fd)
{
    *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return *fd >= 0 ? MILL_OK : mill_fail(MILL_EIO, "socket: %s", strerror(errno));
}

static int peer_pid(int fd)
{
    struct ucred c = {0};
    socklen_t n = sizeof c;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) || c.uid != getuid() ? -1 : (int)c.pid;
}

/* ---- rank 0 ---- */

static void refuse(int fd, const char *words)
{
    answer a = {.refused = 1};

    snprintf(a.words, sizeof a.words, "%s", words);
    (void)!send(fd, &a, sizeof a, MSG_NOSIGNAL);
}

static mill_err hand_out(int fd, int rank, int board_fd)
{
    answer a = {0};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec v = {&a, sizeof a};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &board_fd, sizeof board_fd);
    if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
        return mill_fail(MILL_EDEVICE, "rank %d went away while the ranks met", rank);
    return MILL_OK;
}

/* Somebody came: one of us, a stranger (sent away), or one who shows that the job is wrong. */
static mill_err welcome(int *guest, const rank_identity *who, int fd)
{
    hello h = {0};
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (peer_pid(fd) < 0 || poll(&p, 1, 1000) != 1 || recv(fd, &h, sizeof h, 0) != sizeof h ||
        h.magic != HELLO || h.run_id[RANK_ID_LEN - 1] || strcmp(h.run_id, who->run_id) != 0) {
        refuse(fd, "this is another job, or another version of tabmill");
        close(fd);
        return MILL_OK;
    }
    if (h.world != who->world)
        mill_fail(MILL_EINPUT, "rank %d (process %d) says that there are %d ranks, rank 0 says %d",
                  h.rank, h.pid, h.world, who->world);
    else if (h.rank < 1 || h.rank >= who->world || guest[h.rank] >= 0)
        mill_fail(MILL_EINPUT, "two processes say that they are rank %d of job %s: %d and %d",
                  h.rank, who->run_id, h.pid,
                  h.rank > 0 && h.rank < who->world ? peer_pid(guest[h.rank]) : (int)getpid());
    else {
        guest[h.rank] = fd;
        return MILL_OK;
    }
    refuse(fd, mill_error());
    close(fd);
    return MILL_EINPUT;
}

static mill_err missing(const int *guest, const rank_identity *who, double seconds)
{
    char list[120] = "";
    size_t n = 0;

    for (int r = 1; r < who->world && n + 8 < sizeof list; r++)
        if (guest[r] < 0)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%d", n ? ", " : "", r);
    return mill_fail(MILL_EDEVICE, "not all ranks came within %g s; missing: %s", seconds, list);
}

static mill_err gather_guests(int *guest, int listener, const rank_identity *who, double seconds)
{
    const double end = mill_clock() + seconds;
    int n = 1;

    while (n < who->world) {
        struct pollfd p[RANK_MAX_WORLD];

        p[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int r = 1; r < who->world; r++)
            p[r] =
                (struct pollfd){.fd = guest[r], .events = POLLIN}; /* they say no more: a death */
        if (mill_clock() > end) return missing(guest, who, seconds);
        if (poll(p, (nfds_t)who->world, 50) < 1) continue;
        for (int r = 1; r < who->world; r++)
            if (guest[r] >= 0 && p[r].revents)
                return mill_fail(MILL_EDEVICE, "rank %d went away while the ranks met", r);
        const int fd = p[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0) TRY(welcome(guest, who, fd));
        n = 1;
        for (int r = 1; r < who->world; r++) n += guest[r] >= 0;
    }
    return MILL_OK;
}

static mill_err listen_here(int fd, const rank_identity *who)
{
    struct sockaddr_un a;
    const socklen_t len = address(&a, who);

    if (!bind(fd, (struct sockaddr *)&a, len) && !listen(fd, RANK_MAX_WORLD)) return MILL_OK;
    if (errno != EADDRINUSE) return mill_fail(MILL_EIO, "cannot listen: %s", strerror(errno));
    return mill_fail(MILL_EINPUT,
                     "rank 0 of job %s is there already: a duplicate rank, or two jobs "
                     "that go by the same name (MASTER_PORT, TORCHELASTIC_RUN_ID)",
                     who->run_id);
}

static mill_err receive_guests(board_map *m, const rank_identity *who, double seconds)
{
    int listener, guest[RANK_MAX_WORLD];
    mill_err err;

    for (int r = 0; r < RANK_MAX_WORLD; r++) guest[r] = -1;
    TRY(new_socket(&listener));
    if ((err = listen_here(listener, who))) goto done;
    if ((err = gather_guests(guest, listener, who, seconds))) goto done;
    if ((err = board_new(m, who->world, who->run_id, 0))) goto done;
    for (int r = 1; r < who->world && !err; r++) err = hand_out(guest[r], r, m->fd);
    if (err) board_unmap(m);
done:
    for (int r = 1; r < who->world; r++) {
        if (guest[r] < 0) continue;
        if (err) refuse(guest[r], mill_error());
        close(guest[r]);
    }
    close(listener);
    return err;
}

/* ---- the others ---- */

/* Rank 0 may come later than we. */
static mill_err reach(int fd, const rank_identity *who, double end, double seconds)
{
    struct sockaddr_un a;
    const socklen_t len = address(&a, who);

    while (connect(fd, (struct sockaddr *)&a, len)) {
        if (errno != ECONNREFUSED && errno != EAGAIN && errno != EINTR)
            return mill_fail(MILL_EIO, "cannot reach rank 0: %s", strerror(errno));
        if (mill_clock() > end)
            return mill_fail(MILL_EDEVICE, "rank 0 of job %s did not come within %g s", who->run_id,
                             seconds);
        usleep(2000);
    }
    return MILL_OK;
}

static mill_err take_board(int *board_fd, int fd)
{
    answer a = {0};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec v = {&a, sizeof a};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;

    if (got != sizeof a) return mill_fail(MILL_EDEVICE, "rank 0 went away while the ranks met");
    a.words[RANK_WORDS - 1] = 0;
    if (a.refused) return mill_fail(MILL_EINPUT, "rank 0 refuses: %s", a.words);
    if (!c || c->cmsg_type != SCM_RIGHTS) return mill_fail(MILL_EDEVICE, "rank 0 sent no memory");
    memcpy(board_fd, CMSG_DATA(c), sizeof *board_fd);
    return MILL_OK;
}

static mill_err visit(board_map *m, const rank_identity *who, double seconds)
{
    const double end = mill_clock() + seconds;
    hello h = {.magic = HELLO, .world = who->world, .rank = who->rank, .pid = (int32_t)getpid()};
    int fd, board_fd = -1;
    mill_err err;

    snprintf(h.run_id, sizeof h.run_id, "%s", who->run_id);
    TRY(new_socket(&fd));
    if ((err = reach(fd, who, end, seconds))) goto done;
    (void)!send(fd, &h, sizeof h, MSG_NOSIGNAL); /* a refusal may be there already */
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 50) == 1) break;
        if (mill_clock() < end + 1) continue; /* rank 0 knows better who is missing */
        err = mill_fail(MILL_EDEVICE, "not all ranks came within %g s", seconds);
        goto done;
    }
    if (!(err = take_board(&board_fd, fd))) err = board_attach(m, board_fd, who);
done:
    close(fd);
    return err;
}

mill_err board_meet(board_map *m, const rank_identity *who, double seconds)
{
    return who->rank == 0 ? receive_guests(m, who, seconds) : visit(m, who, seconds);
}
