/* t_prior_crew.c - every piece is done, whoever dies on the way. */
#include "lib/test.h"

#include "prior/crew.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECES = 200 };
typedef struct {
    atomic_int done[PIECES], begun[PIECES];
    int killer, times; /* the piece that kills who makes it, so many times */
    int failing;
} shared;

static shared *share(void)
{
    shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(s != MAP_FAILED);
    s->killer = s->failing = -1;
    return s;
}

static mill_err work(void *ctx, crew_board *b, int seat)
{
    shared *s = ctx;
    int64_t piece;

    while ((piece = crew_take(b, seat)) >= 0) {
        const int before = atomic_fetch_add(&s->begun[piece], 1);
        if (piece == s->killer && before < s->times) raise(SIGKILL);
        if (piece == s->failing) return mill_fail(MILL_EINPUT, "piece %d is bad", (int)piece);
        /* When one has failed, long enough for the parent to see it. */
        usleep(s->failing >= 0 && atomic_load(&s->begun[s->failing]) ? 100000 : 200);
        atomic_fetch_add(&s->done[piece], 1);
        crew_finish(b, seat);
    }
    return MILL_OK;
}

static mill_err run(shared *s, int workers, int *died)
{
    crew *c;
    mill_err err;

    assert_ok(crew_new(&c, workers, PIECES, PIECES));
    assert_ok(crew_start(c, work, s));
    for (err = MILL_OK; !crew_is_done(c);) {
        const mill_err now = crew_look(c);
        if (now) err = now;
        usleep(1000);
    }
    *died = c->n_died;
    crew_free(c);
    return err;
}

void test_crew__does_every_piece_once(void **state)
{
    shared *s = share();
    int died;

    (void)state;
    assert_ok(run(s, 3, &died));
    for (int k = 0; k < PIECES; k++) assert_int_equal(s->done[k], 1);
    assert_int_equal(died, 0);
    munmap(s, sizeof *s);
}

void test_crew__gives_a_dead_workers_piece_to_another(void **state)
{
    static const int killers[] = {0, 57, PIECES - 1};

    (void)state;
    for (int i = 0; i < 3; i++) {
        for (int workers = 1; workers < 4; workers += 2) {
            shared *s = share();
            int died;
            s->killer = killers[i];
            s->times = 2;
            assert_ok(run(s, workers, &died));
            for (int k = 0; k < PIECES; k++) assert_int_equal(s->done[k], 1);
            assert_int_equal(s->begun[killers[i]], 3);
            assert_int_equal(died, 2);
            munmap(s, sizeof *s);
        }
    }
}

void test_crew__stops_when_a_piece_kills_three(void **state)
{
    (void)state;
    for (int workers = 1; workers < 5; workers++) {
        shared *s = share();
        int died;
        s->killer = 20;
        s->times = 100;
        assert_fails(MILL_EDEVICE, "3 workers were killed", run(s, workers, &died));
        assert_int_equal(died, 3);
        munmap(s, sizeof *s);
    }
}

void test_crew__passes_on_the_words_of_a_worker_that_failed(void **state)
{
    shared *s = share();
    int died, done = 0;

    (void)state;
    s->failing = 10;
    assert_fails(MILL_EINPUT, "piece 10 is bad", run(s, 2, &died));
    for (int k = 0; k < PIECES; k++) done += s->done[k];
    assert_true(done < PIECES / 2); /* the others were asked to stop */
    munmap(s, sizeof *s);
}
