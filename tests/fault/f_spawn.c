/* f_spawn.c - ranks of ours under their launcher: whatever happens to one, the job ends promptly
 * with the right status, says who was first and why, and leaves no process behind.
 *
 * How soon is asked of the best of several tries, and limits that are a test's subject grow from
 * try to try: a busy machine is late now and then, a fault always. */
#include "lib/ranks.h"

#include "base/cpu.h"
#include "base/log.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* What launcher and ranks leave for the test. */
typedef struct {
    char said[4000];
    volatile int pid[8], steps_done[8], attempts;
    volatile bool is_told; /* ends work_until_told() */
} scene;

static scene *stage;
static int errors = -1;     /* where stderr of launcher and ranks goes */
static double patience = 1; /* that many times as long as on a quiet machine */

static void note(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx, (void)level;
    const size_t n = strlen(stage->said);
    snprintf(stage->said + n, sizeof stage->said - n, "%s\n", line);
}

typedef void (*act)(rank_group *g, int step);
static volatile sig_atomic_t asked;

static void ask(int sig)
{
    asked = sig;
}

/* A training of 40 steps of 5 ms; a signal to any rank ends all at the same step with 75. */
static mill_err train(rank_group *g, act odd)
{
    rank_buffer *b;

    TRY(rank_buffer_new(&b, g, 100, RANK_EACH));
    for (int step = 0; step < 40; step++) {
        int64_t stop = asked != 0;
        rank_beat(g, step, RANK_COMPUTING);
        if (odd) odd(g, step);
        usleep(5000);
        TRY(rank_all_reduce(b, 0, 100));
        TRY(rank_combine(g, &stop, 1, RANK_I64, RANK_MAX));
        stage->steps_done[rank_of(g)] = step;
        if (stop) _exit((rank_close(g, MILL_OK), 75));
    }
    rank_buffer_free(b);
    return MILL_OK;
}

static void fail_early(rank_group *g, int step)
{
    (void)g, (void)step;
}

static void hang_until_asked(rank_group *g, int step)
{
    const double end = mill_clock() + 60;
    char text[4000] = "";

    while (rank_of(g) == 1 && step == 7 && !strstr(text, "this rank is at") && mill_clock() < end) {
        usleep(1000);
        (void)!pread(errors, text, sizeof text - 1, 0);
    }
}

static int be_the_rank(act odd)
{
    rank_identity who;
    rank_group *g;
    int status;

    if (odd == hang_until_asked && fork()) { /* as when a script starts the rank */
        wait(&status);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    signal(SIGTERM, ask);
    signal(SIGINT, ask);
    if (rank_identify(&who, NULL)) return 68;
    if (odd == fail_early && who.rank == 0) return 3; /* before it meets the others */
    if (rank_open(&g, &who, NULL)) return 69;
    stage->pid[who.rank] = (int)getpid();
    stage->attempts = who.restart;
    const mill_err err = train(g, odd);
    rank_close(g, err);
    return err ? 1 : 0;
}

/* As where a container's rules forbid it. */
static void forbid_pidfd(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        _exit(98);
}

/* A launcher in a process of its own; its pid. */
static pid_t launch(const rank_job *job, act odd)
{
    if (stage) munmap(stage, sizeof *stage);
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (errors >= 0) close(errors);
    errors = memfd_create("stderr", 0);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid) return pid;
    dup2(errors, 2);
    signal(SIGINT, SIG_DFL); /* a shell's background job ignores it, and so would the launcher */
    rank_side side;
    int status;
    mill_log_set(note, NULL, MILL_LOG_INFO);
    if (rank_spawn(&side, &status, job)) _exit(99);
    _exit(side == RANK_CHILD ? be_the_rank(odd) : status);
}

static int end_of(pid_t pid)
{
    int status;

    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void expect_said(const char *words)
{
    if (!strstr(stage->said, words)) fail_msg("\"%s\" lacks \"%s\"", stage->said, words);
}

/* The state of a process as proc(5) has it. */
static char state_of(pid_t pid)
{
    char path[40], text[400] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    const char *after = n ? strrchr(text, ')') : NULL;
    if (!after) return 0;
    return after[2];
}

/* Nothing runs any more; what is dead and waits for init to notice does not count. */
static bool runs(pid_t pid)
{
    const char state = state_of(pid);

    return state && state != 'Z';
}

static void expect_all_gone(int n, double seconds)
{
    const double end = mill_clock() + seconds;

    for (int r = 0; r < n; r++)
        while (stage->pid[r] && runs(stage->pid[r])) {
            if (mill_clock() > end) fail_msg("rank %d (process %d) is left", r, stage->pid[r]);
            usleep(1000);
        }
}

/* The seconds that it took. */
static double run_job(const rank_job *job, act odd, int status, const char *words)
{
    const double start = mill_clock();

    const int got = end_of(launch(job, odd));
    if (got != status) {
        char text[4000] = "";
        (void)!pread(errors, text, sizeof text - 1, 0);
        fail_msg("status %d, not %d: %s%s", got, status, stage->said, text);
    }
    if (words) expect_said(words);
    const double took = mill_clock() - start;
    expect_all_gone(job->n, 0.05);
    return took;
}

/* The same, in so many seconds at least once. */
static void run_soon(const rank_job *job, act odd, int status, const char *words, double seconds)
{
    for (int i = 0; i < 10; i++)
        if (run_job(job, odd, status, words) < seconds) return;
    fail_msg("it takes longer than %g s", seconds);
}

void test_spawn__ends_with_0_when_all_do(void **state)
{
    (void)state;
    run_job(&(rank_job){.n = 3}, NULL, 0, NULL);
    assert_string_equal(stage->said, "");
    assert_int_equal(stage->steps_done[2], 39);
}

static void be_slow(rank_group *g, int step)
{
    (void)step;
    rank_beat(g, step, rank_of(g) == 1 ? RANK_LOADING : RANK_COMPUTING);
    rank_waited_for_data(g, 0.01);
    if (rank_of(g) == 1) usleep(10000);
}

/* 40 steps of 5 ms, and 10 ms more on rank 1, which the other one waits for: unless that one is
 * kept from work by others. */
void test_spawn__knows_where_the_time_went(void **state)
{
    rank_usage *u = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    for (int i = 0; i < 10; i++) {
        run_job(&(rank_job){.n = 2, .usage = u}, be_slow, 0, NULL);
        const double other = u[1].imbalance[RANK_COMPUTING] + u[1].imbalance[RANK_LOADING];
        if (u[0].imbalance[RANK_COMPUTING] >= 0.3 && other < 0.3) break;
    }
    assert_int_equal(u[0].step, 39);
    assert_true(u[0].seconds[RANK_COMPUTING] >= 0.6 && u[0].seconds[RANK_LOADING] == 0);
    assert_true(u[1].seconds[RANK_LOADING] >= 0.6);
    const double waited = u[0].imbalance[RANK_COMPUTING];
    assert_true(waited >= 0.3 && waited < u[0].seconds[RANK_COMPUTING]);
    assert_true(u[1].imbalance[RANK_COMPUTING] + u[1].imbalance[RANK_LOADING] < waited);
    assert_true(u[0].data[RANK_COMPUTING] >= 0.39 && u[0].data[RANK_COMPUTING] < 0.41);
    assert_true(u[0].data[RANK_LOADING] == 0);
    munmap(u, 4096);
}

static void die(rank_group *g, int step)
{
    if (rank_of(g) == 1 && step == 7) raise(SIGKILL);
}

void test_spawn__tells_of_a_killed_rank_within_a_second(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 3}, die, 128 + SIGKILL, "was killed by signal 9", 1.5);
    expect_said("rank 1 (process ");
    expect_said("OOM killer: no, at step 7, computing; ended with it: 0, 2");
}

static void die_once(rank_group *g, int step)
{
    if (rank_who(g)->restart == 0) die(g, step);
}

void test_spawn__starts_again_after_a_failure(void **state)
{
    (void)state;
    run_job(&(rank_job){.n = 2, .max_restarts = 2}, die_once, 0, "restart 1 of 2");
    assert_int_equal(stage->attempts, 1);
    run_job(&(rank_job){.n = 2, .max_restarts = 2}, die, 128 + SIGKILL, "restart 2 of 2");
    assert_int_equal(stage->attempts, 2);
}

/* All ranks end with the error of one; whoever is first to say it, that one is named. */
static void agree_on_failure(rank_group *g, int step)
{
    if (step != 7) return;
    const mill_err mine = rank_of(g) == 1 ? mill_fail(MILL_EIO, "no such file") : MILL_OK;
    const mill_err err = rank_agree(g, mine);
    const bool is_culprit = rank_of(g) == 1;
    if (is_culprit) usleep(100000);
    rank_close(g, err);
    _exit(is_culprit ? 6 : 1);
}

void test_spawn__names_whose_error_was_agreed_on(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 3}, agree_on_failure, 6, "its last words: no such file", 1.5);
    expect_said("rank 1 (process");
}

static void dislike_input(rank_group *g, int step)
{
    if (rank_of(g) == 1 && step == 7) {
        rank_close(g, mill_fail(MILL_EINPUT, "t.csv:12: not a number"));
        _exit(1);
    }
}

void test_spawn__does_not_try_wrong_input_again(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 2, .max_restarts = 2}, dislike_input, 1, "t.csv:12: not a number",
             1.5);
    assert_int_equal(stage->attempts, 0);
}

static void leave(rank_group *g, int step)
{
    if (rank_of(g) == 1 && step == 7) _exit(0);
}

/* Nobody is there to miss it. */
static void leave_alone(rank_group *g, int step)
{
    (void)g;
    if (step == 7) _exit(0);
}

void test_spawn__takes_leaving_without_a_word_for_a_failure(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 2}, leave, 1, "ended with status 0, at step 7", 1.5);
    run_soon(&(rank_job){.n = 1}, leave_alone, 1, "ended with status 0, at step 7", 1.5);
}

static void leave_politely(rank_group *g, int step)
{
    if (rank_of(g) == 1 && step == 7) {
        rank_close(g, MILL_OK);
        _exit(0);
    }
}

void test_spawn__tells_who_left_the_others(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 2}, leave_politely, 1, "it left at step 7, computing, and rank 0",
             1.5);
}

static void fail_with_words(rank_group *g, int step)
{
    if (rank_of(g) == 1 && step == 7) {
        rank_close(g, mill_fail(MILL_EIO, "/data/t.csv: no such file"));
        usleep(50000); /* the others end first, and are not to be blamed */
        _exit(5);
    }
}

void test_spawn__gives_status_and_words_of_the_first(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 3}, fail_with_words, 5, "its last words: /data/t.csv: no such file",
             1.5);
    expect_said("rank 1 (process");
}

void test_spawn__ends_at_once_when_rank_0_fails_before_the_meeting(void **state)
{
    (void)state;
    run_soon(&(rank_job){.n = 3}, fail_early, 3, "rank 0 (process", 1.5);
    expect_said("ended with status 3");
}

/* A step that takes as long as the test wants: the job is there when something is done to it. */
static void work_until_told(rank_group *g, int step)
{
    while (step == 8 && !stage->is_told && !asked) {
        rank_beat(g, step, RANK_COMPUTING);
        usleep(1000);
    }
}

static void wait_for_step(int rank, int step)
{
    const double end = mill_clock() + 60;

    while (stage->steps_done[rank] < step && mill_clock() < end) usleep(1000);
    assert_true(stage->steps_done[rank] >= step);
}

/* The same, without a sign of rank 1, for which rank 0 waits. */
static void work_silently(rank_group *g, int step)
{
    while (step == 8 && rank_of(g) == 1 && !stage->is_told) usleep(1000);
}

static bool stops_and_continues(void)
{
    const rank_job job = {.n = 2, .warn_seconds = 2 * patience, .hang_seconds = 4 * patience};
    const pid_t pid = launch(&job, work_silently);

    wait_for_step(1, 7);
    usleep(100000); /* until rank 0 waits */
    kill(pid, SIGTSTP);
    for (int i = 0; i < 3000 && state_of(pid) != 'T'; i++) usleep(10000);
    assert_int_equal(state_of(pid), 'T');
    for (int r = 0; r < 2; r++) {
        for (int i = 0; i < 30000 && state_of(stage->pid[r]) != 'T'; i++) usleep(1000);
        assert_int_equal(state_of(stage->pid[r]), 'T');
    }
    usleep((useconds_t)(2e6 * patience)); /* with the 3 s, longer than a rank may hang */
    kill(pid, SIGCONT);
    usleep((useconds_t)(3e6 * patience));
    stage->is_told = true;
    return end_of(pid) == 0 && !strstr(stage->said, "hangs");
}

void test_spawn__stops_and_continues_with_its_ranks(void **state)
{
    bool goes = false;

    (void)state;
    for (patience = 1; !goes && patience < 10; patience *= 3) goes = stops_and_continues();
    patience = 1;
    assert_true(goes);
}

static void hang(rank_group *g, int step)
{
    while (rank_of(g) == 1 && step == 7) sleep(60); /* again, when it was asked for its stack */
}

void test_spawn__ends_a_job_that_hangs_with_124(void **state)
{
    static const char words[] = " of size 100, where it waits for rank 1";

    (void)state;
    bool is_right = false; /* not for another one */
    for (double p = 1; !is_right && p < 20; p *= 4) {
        const rank_job job = {
            .n = 3, .warn_seconds = 0.25 * p, .hang_seconds = 1.2 * p, .capture = true};
        run_job(&job, hang, 124, "has been silent for");
        is_right = strstr(stage->said, words) != NULL;
    }
    expect_said("rank 1 (process");
    expect_said("hangs: silent for ");
    expect_said("; last came to all-reduce number ");
    expect_said(words);
    char text[4000] = ""; /* and the hanging one has told its stack */
    assert_true(pread(errors, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "asked by the launcher, this rank is at"));
    expect_said(" s, at step 7, computing");
}

static void be_late(rank_group *g, int step)
{
    const double end = mill_clock() + 20;

    while (rank_of(g) == 1 && step == 7 && mill_clock() < end) usleep(1000);
}

void test_spawn__ends_a_job_that_hangs_also_without_a_warning(void **state)
{
    (void)state;
    run_job(&(rank_job){.n = 2, .warn_seconds = -1, .hang_seconds = 0.3}, be_late, 124,
            "hangs: silent for ");
    assert_null(strstr(stage->said, "has been silent for"));
    run_job(&(rank_job){.n = 2, .hang_seconds = 0.3}, be_late, 124, "hangs: silent for ");
}

void test_spawn__asks_the_rank_itself_for_its_stack_not_who_started_it(void **state)
{
    const double start = mill_clock();

    (void)state;
    run_job(&(rank_job){.n = 2, .warn_seconds = 0.1, .hang_seconds = 300}, hang_until_asked, 0,
            "; last came to all-reduce number ");
    assert_true(mill_clock() - start < 60);
}

/* 30 steps of 45 ms, so 20 of them are .9 s; then something that takes longer. */
static void hang_when_the_pace_is_known(rank_group *g, int step)
{
    usleep(40000);
    while (rank_of(g) == 1 && step == 30) sleep(60);
}

static void save_when_the_pace_is_known(rank_group *g, int step)
{
    usleep((useconds_t)(40000 * patience));
    if (rank_of(g) != 1 || step != 30) return;
    rank_beat(g, step, RANK_SAVING);
    const double end = mill_clock() + 2.5 * patience;
    while (mill_clock() < end) usleep(100000); /* being asked for its stack interrupts a sleep */
}

/* The seconds after which the job was ended. */
static double silent_for(double hang_least)
{
    const rank_job job = {.n = 2, .warn_seconds = 0.25, .hang_least = hang_least};

    run_job(&job, hang_when_the_pace_is_known, 124, "hangs: silent for ");
    return strtod(strstr(stage->said, "hangs: silent for ") + 18, NULL);
}

/* 20 steps, and ticks of a busy machine, where the pace is slower, too. */
void test_spawn__learns_from_the_steps_how_long_one_may_take(void **state)
{
    double silent = 0;

    (void)state;
    for (int i = 0; i < 5 && !(silent > 0.85 && silent < 2.5); i++) silent = silent_for(0.5);
    assert_true(silent > 0.85 && silent < 2.5);
}

void test_spawn__gives_other_work_more_time_than_steps(void **state)
{
    int status = -1;

    (void)state;
    for (patience = 1; status && patience < 10; patience *= 3) {
        const rank_job job = {
            .n = 2, .warn_seconds = 0.25 * patience, .hang_least = 0.5 * patience};
        status = end_of(launch(&job, save_when_the_pace_is_known));
    }
    patience = 1;
    if (status) fail_msg("status %d: %s", status, stage->said);
    expect_said("rank 1 goes on");
    expect_said("at step 30, saving");
}

void test_spawn__gives_slow_steps_their_least_time(void **state)
{
    (void)state;
    assert_true(silent_for(3) >= 3);
}

static void stop(rank_group *g, int step)
{
    const double end = mill_clock() + 60;

    if (rank_of(g) == 1 && step == 7) raise(SIGSTOP);
    while (step == 20 && !strstr(stage->said, "rank 1 goes on") && mill_clock() < end) {
        rank_beat(g, step, RANK_COMPUTING); /* until the launcher has seen it */
        usleep(1000);
    }
}

void test_spawn__goes_on_with_a_rank_that_was_stopped(void **state)
{
    (void)state;
    const pid_t pid = launch(&(rank_job){.n = 2, .warn_seconds = 0.3, .hang_seconds = 30}, stop);
    for (int i = 0; i < 6000 && !strstr(stage->said, "it is stopped"); i++) usleep(10000);
    expect_said("rank 1 (process");
    kill(stage->pid[1], SIGCONT);
    assert_int_equal(end_of(pid), 0);
    expect_said("rank 1 goes on");
    assert_int_equal(stage->steps_done[0], 39);
}

/* A signal to one rank, or to the launcher: all save at the same step, status 75. */
static void signal_to(int rank, int sig)
{
    const pid_t pid = launch(&(rank_job){.n = 3, .grace_seconds = 60}, work_until_told);

    for (int r = 0; r < 3; r++) wait_for_step(r, 5);
    kill(rank < 0 ? pid : stage->pid[rank], sig);
    stage->is_told = rank >= 0; /* the others learn of it when they vote */
    assert_int_equal(end_of(pid), 75);
    assert_in_range(stage->steps_done[0], 5, 38);
    assert_int_equal(stage->steps_done[0], stage->steps_done[1]);
    assert_int_equal(stage->steps_done[0], stage->steps_done[2]);
    expect_all_gone(3, 0.05);
}

void test_spawn__saves_at_one_step_when_it_is_asked_to_end(void **state)
{
    (void)state;
    signal_to(-1, SIGTERM);
    signal_to(-1, SIGINT);
    signal_to(2, SIGTERM);
}

static void be_deaf(rank_group *g, int step)
{
    (void)step;
    signal(SIGTERM, SIG_IGN);
    if (rank_of(g) == 1 && step == 7) sleep(60);
}

void test_spawn__kills_when_the_grace_is_over(void **state)
{
    (void)state;
    const pid_t pid = launch(&(rank_job){.n = 2, .grace_seconds = 0.4}, be_deaf);
    wait_for_step(0, 6);
    const double start = mill_clock();
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 128 + SIGTERM);
    assert_true(mill_clock() - start < 30);
    expect_all_gone(2, 0.05);
}

/* A child of a rank, which knows nothing of the launcher. */
static void have_a_child(rank_group *g, int step)
{
    if (step == 3 && rank_of(g) == 1 && fork() == 0) {
        stage->pid[5] = (int)getpid();
        sleep(60);
        _exit(0);
    }
}

void test_spawn__leaves_nothing_when_the_launcher_is_killed(void **state)
{
    (void)state;
    const pid_t pid = launch(&(rank_job){.n = 3}, have_a_child);
    wait_for_step(2, 5);
    kill(pid, SIGKILL);
    end_of(pid);
    expect_all_gone(6, 30);
}

void test_spawn__leaves_no_child_of_a_rank(void **state)
{
    (void)state;
    run_job(&(rank_job){.n = 2}, have_a_child, 0, NULL);
    expect_all_gone(6, 30);
}

void test_spawn__ends_where_it_cannot_watch_its_ranks(void **state)
{
    rank_side side;
    int status;

    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        forbid_pidfd();
        const mill_err err = rank_spawn(&side, &status, &(rank_job){.n = 2});
        const bool is_told = strstr(mill_error(), "pidfd_open: Operation not permitted") != NULL;
        _exit(side == RANK_PARENT && err == MILL_EIO && is_told && wait(NULL) < 0 ? 0 : 97);
    }
    assert_int_equal(end_of(pid), 0);
}

void test_spawn__refuses_what_cannot_be(void **state)
{
    rank_side side;
    int status;

    (void)state;
    assert_fails(MILL_EINPUT, "0 ranks", rank_spawn(&side, &status, &(rank_job){.n = 0}));
    assert_fails(MILL_EINPUT, "they count from 0",
                 rank_spawn(&side, &status, &(rank_job){.n = 1, .node = 2, .nodes = 2}));
}
