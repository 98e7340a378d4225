/* f_rank.c - ranks that die, leave, stop, fail or call something else: all others end promptly, and
 * every one names the first rank that failed and why. */
#include "lib/ranks.h"

#include "base/cpu.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct {
    void (*odd)(rank_group *g); /* what rank 1 does at its third turn */
} plan;

static mill_err turns(void *ctx, rank_group *g)
{
    const plan *p = ctx;
    rank_buffer *b;

    TRY(rank_buffer_new(&b, g, 1000, RANK_EACH));
    for (int step = 0; step < 20; step++) {
        rank_beat(g, step, RANK_COMPUTING);
        if (step == 3 && rank_of(g) == 1) p->odd(g);
        TRY(rank_all_reduce(b, 0, 1000));
    }
    rank_buffer_free(b);
    return MILL_OK;
}

/* Three ranks; rank 1 is odd and ends with `status`, the others with MILL_EDEVICE and words, long
 * before they would have given up waiting. */
static void odd_one(void (*odd)(rank_group *g), int status, const char *words)
{
    const int rank[] = {0, 1, 2}, world[] = {3, 3, 3};
    const rank_options o = {.timeout_seconds = 60};
    rank_ends e;

    const double start = mill_clock();
    run_processes(&e, rank, world, 3, turns, &(plan){odd}, &o);
    assert_true(mill_clock() - start < 30);
    assert_int_equal(e.status[1], status);
    for (int r = 0; r < 3; r += 2) {
        if (e.status[r] != MILL_EDEVICE || !strstr(e.words[r], words))
            fail_msg("rank %d: status %d, \"%s\" lacks \"%s\"", r, e.status[r], e.words[r], words);
    }
    rank_ends_free(&e);
}

static void die(rank_group *g)
{
    (void)g;
    raise(SIGKILL);
}

void test_rank_death__is_told_by_all_others(void **state)
{
    (void)state;
    odd_one(die, 128 + SIGKILL, "rank 1 failed: process ");
    odd_one(die, 128 + SIGKILL, "died at step 3, computing");
}

static void end_well(rank_group *g)
{
    rank_close(g, MILL_OK);
    _exit(0);
}

void test_rank_leaving__is_told_by_all_others(void **state)
{
    (void)state;
    odd_one(end_well, 0, "rank 1 failed: it left at step 3");
}

static void end_badly(rank_group *g)
{
    rank_close(g, mill_fail(MILL_EIO, "no space on /data"));
    _exit(9);
}

void test_rank_error__has_its_words_on_all_ranks(void **state)
{
    (void)state;
    odd_one(end_badly, 9, "rank 1 failed: no space on /data");
}

static void call_another(rank_group *g)
{
    (void)rank_barrier(g);
    _exit(3);
}

void test_rank_call__of_another_kind_is_found_out(void **state)
{
    (void)state;
    odd_one(call_another, 3, "where rank 0 called all-reduce of size 1000");
    odd_one(call_another, 3, "called exchange of size 0");
}

static void call_another_size(rank_group *g)
{
    char all[30];

    (void)rank_gather(g, all, "123456789", 9);
    _exit(3);
}

static mill_err gathers(void *ctx, rank_group *g)
{
    char all[30];

    (void)ctx;
    if (rank_of(g) == 1) call_another_size(g);
    TRY(rank_gather(g, all, "12345678", 8));
    return MILL_OK;
}

void test_rank_call__of_another_size_is_found_out(void **state)
{
    const int rank[] = {0, 1}, world[] = {2, 2};
    rank_ends e;

    (void)state;
    run_processes(&e, rank, world, 2, gathers, NULL, NULL);
    assert_int_equal(e.status[0], MILL_EDEVICE);
    assert_non_null(strstr(e.words[0], "of size 9 where rank 0 called exchange of size 8"));
    rank_ends_free(&e);
}

static void oversleep(rank_group *g)
{
    (void)g;
    for (;;) pause();
}

/* Rank 1 sleeps for ever; the words of the other two, who wait for it no longer than `patience`. */
static void wait_for_a_sleeper(double patience, char words[2][400])
{
    const rank_options o = {.timeout_seconds = patience};
    const char *job = new_job();
    char *said = mmap(NULL, 800, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[3];
    int status;

    for (int r = 0; r < 3; r++)
        if ((pid[r] = fork()) == 0)
            _exit(be_rank(r, 3, job, turns, &(plan){oversleep}, said + 200 * (size_t)r, &o));
    for (int r = 0; r < 3; r += 2) {
        assert_int_equal(waitpid(pid[r], &status, 0), pid[r]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == MILL_EDEVICE);
    }
    kill(pid[1], SIGKILL);
    waitpid(pid[1], NULL, 0);
    memcpy(words, said, 800);
    munmap(said, 800);
}

/* On a busy machine another rank may be late as well: then once more, with more patience. */
void test_rank_wait__ends_at_its_deadline(void **state)
{
    char words[2][400], want[80];
    int n_told = 0;

    (void)state;
    for (double patience = 0.6; patience < 10 && n_told < 2; patience *= 4) {
        wait_for_a_sleeper(patience, words);
        snprintf(want, sizeof want, "within %g s; last seen at step 3, computing", patience);
        n_told = 0;
        for (int i = 0; i < 2; i++)
            n_told += strstr(words[i], "rank 1 failed: it did not come to all-reduce") &&
                      strstr(words[i], want);
    }
    if (n_told < 2) fail_msg("\"%s\" and \"%s\" lack \"%s\"", words[0], words[1], want);
}

static mill_err pause_and_go_on(void *ctx, rank_group *g)
{
    rank_buffer *b;

    (void)ctx;
    TRY(rank_buffer_new(&b, g, 10, RANK_EACH));
    for (int step = 0; step < 20; step++) {
        if (step == 5 && rank_of(g) == 1) {
            if (fork() == 0) { /* lets its parent go on after 0.3 s */
                usleep(300000);
                kill(getppid(), SIGCONT);
                _exit(0);
            }
            raise(SIGSTOP);
        }
        rank_buffer_data(b)[3] = (float)(step + rank_of(g));
        TRY(rank_all_reduce(b, 0, 10));
        WANT(rank_buffer_data(b)[3] == (float)(2 * step + 1));
        TRY(rank_barrier(g));
    }
    rank_buffer_free(b);
    return MILL_OK;
}

void test_rank_stopped__and_continued_gives_the_same(void **state)
{
    (void)state;
    run_ranks_ok(2, pause_and_go_on, NULL);
}

static mill_err nothing(void *ctx, rank_group *g)
{
    (void)ctx;
    return rank_barrier(g);
}

/* The status and words of each of n processes that come as the given ranks. */
static void meet(rank_ends *e, const int *rank, const int *world, int n, double seconds)
{
    const rank_options o = {.meet_seconds = seconds};
    const double start = mill_clock();

    run_processes(e, rank, world, n, nothing, NULL, &o);
    assert_true(mill_clock() - start < seconds + 30);
}

void test_rank_meeting__refuses_a_duplicate_on_both_sides(void **state)
{
    const int rank[] = {0, 1, 1}, world[] = {3, 3, 3};
    rank_ends e;
    int told = 0;

    (void)state;
    meet(&e, rank, world, 3, 60);
    for (int i = 0; i < 3; i++) {
        assert_true(e.status[i] > 50);
        told += strstr(e.words[i], "two processes say that they are rank 1") != NULL;
    }
    assert_int_equal(told, 3);
    rank_ends_free(&e);
}

void test_rank_meeting__refuses_another_number_of_ranks(void **state)
{
    const int rank[] = {0, 1}, world[] = {2, 3};
    rank_ends e;

    (void)state;
    meet(&e, rank, world, 2, 60);
    for (int i = 0; i < 2; i++) {
        assert_true(e.status[i] > 50);
        assert_non_null(strstr(e.words[i], "says that there are 3 ranks, rank 0 says 2"));
    }
    rank_ends_free(&e);
}

void test_rank_meeting__names_who_is_missing(void **state)
{
    const int rank[] = {0, 2}, world[] = {4, 4};
    rank_ends e;

    (void)state;
    meet(&e, rank, world, 2, 1.5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(e.status[i], 50 + (i ? MILL_EINPUT : MILL_EDEVICE));
        assert_non_null(strstr(e.words[i], "not all ranks came within 1.5 s; missing: 1, 3"));
    }
    rank_ends_free(&e);
    const int late[] = {1}, two[] = {2};
    meet(&e, late, two, 1, 0.5);
    assert_non_null(strstr(e.words[0], "rank 0 of job"));
    rank_ends_free(&e);
}

void test_rank_meeting__refuses_a_second_rank_0(void **state)
{
    const int rank[] = {0, 0}, world[] = {2, 2};
    rank_ends e;

    (void)state;
    meet(&e, rank, world, 2, 1.5);
    assert_true(e.status[0] > 50 && e.status[1] > 50);
    assert_true(strstr(e.words[0], "is there already") || strstr(e.words[1], "is there already"));
    rank_ends_free(&e);
}

/* A process of another job that comes to our door all the same: its hello names that job (or is
 * none of ours at all), it is sent away in words, and rank 0 and 1 meet behind it. */
static void knock(const char *job, const char *says, uint32_t magic, char answer[400])
{
    struct {
        uint32_t magic;
        int32_t world, rank, pid;
        char run_id[RANK_ID_LEN];
    } hello = {.magic = magic, .world = 2, .rank = 1, .pid = (int32_t)getpid()};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    for (const char *c = job; *c; c++) h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    const int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "tabmill-ranks-%ld-%016llx",
                           (long)getuid(), (unsigned long long)h);
    snprintf(hello.run_id, sizeof hello.run_id, "%s", says);
    for (int i = 0; i < 30000; i++) { /* rank 0 may not be there yet */
        if (!connect(fd, (struct sockaddr *)&a,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)))
            break;
        usleep(2000);
    }
    assert_true(send(fd, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello);
    memset(answer, 0, 400);
    assert_true(recv(fd, answer, 399, 0) > 4);
    close(fd);
}

void test_rank_meeting__sends_strangers_away(void **state)
{
    char *words = mmap(NULL, 800, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char job[40], answer[400];
    int status[2];
    pid_t child[2];

    (void)state;
    snprintf(job, sizeof job, "%s", new_job());
    for (int r = 0; r < 2; r++) {
        const rank_options o = {.meet_seconds = 60};
        if ((child[r] = fork()) == 0)
            _exit(be_rank(r, 2, job, nothing, NULL, words + 400 * (size_t)r, &o));
        if (r) continue;
        knock(job, "another job", 0x316b726d, answer); /* the strangers come before rank 1 */
        assert_non_null(strstr(answer + 4, "another job"));
        knock(job, job, 7, answer);
        assert_non_null(strstr(answer + 4, "another version"));
    }
    for (int r = 0; r < 2; r++) {
        assert_int_equal(waitpid(child[r], &status[r], 0), child[r]);
        if (status[r]) fail_msg("rank %d: %x, %s", r, status[r], words + 400 * (size_t)r);
    }
    munmap(words, 800);
}

static mill_err thread_fails(void *ctx, rank_group *g)
{
    (void)ctx;
    if (rank_of(g) == 2) return mill_fail(MILL_EINPUT, "a bad row");
    return rank_barrier(g);
}

void test_rank_threads__end_when_one_fails(void **state)
{
    (void)state;
    assert_fails(MILL_EINPUT, "rank 2: a bad row", rank_threads(3, thread_fails, NULL, NULL));
}

/* A buffer that cannot be had on one rank is had on none, and the group stays good. */
static mill_err no_memory(void *ctx, rank_group *g)
{
    rank_buffer *b;

    (void)ctx;
    if (rank_of(g) == 1) mill_mem_fail_at(2); /* the first is the handle of the buffer */
    rank_tree *t;
    const mill_err err = rank_tree_new(&t, g, 10, 8);
    WANT(err == MILL_ENOMEM && strstr(mill_error(), "rank 1: "));
    TRY(rank_buffer_new(&b, g, 10, RANK_EACH));
    rank_buffer_free(b);
    return MILL_OK;
}

void test_rank_tree__is_had_by_all_or_none(void **state)
{
    (void)state;
    run_ranks_ok(2, no_memory, NULL);
}
