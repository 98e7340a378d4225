/* t_train_progress.c - the progress line, read from a pipe. */
#include "lib/test.h"
#include "train/progress.h"

#include <unistd.h>

static int pipe_ends[2];

static train_progress begin(bool quiet)
{
    train_progress p;

    assert_int_equal(pipe(pipe_ends), 0);
    progress_begin(&p, pipe_ends[1], quiet, "toy", "steps");
    progress_range(&p, 100, 1000);
    return p;
}

static const char *said(void)
{
    static char text[4096];

    close(pipe_ends[1]);
    const ssize_t n = read(pipe_ends[0], text, sizeof text - 1);
    assert_true(n >= 0);
    text[n] = 0;
    close(pipe_ends[0]);
    return text;
}

void test_progress__is_silent_within_ten_seconds_when_not_a_terminal(void **state)
{
    (void)state;
    train_progress p = begin(false);

    for (int i = 101; i < 1000; i++) progress_show(&p, i, "loss 1");
    assert_string_equal(said(), "");
}

void test_progress__writes_plain_lines_with_rate_facts_and_eta(void **state)
{
    (void)state;
    train_progress p = begin(false);

    p.began -= 20; /* as if it had begun 20 s ago: 400 steps in 20 s, 500 to go */
    p.shown -= 11;
    progress_show(&p, 500, "loss 1");
    progress_show(&p, 501, "loss 1");
    assert_string_equal(said(), "toy  500/1000 steps  20.0/s  loss 1  ETA 0:25\n");
}

void test_progress__ends_with_a_line_whatever_the_time(void **state)
{
    (void)state;
    train_progress p = begin(false);

    p.began -= 3725;
    progress_end(&p, 1000, "", "done");
    assert_string_equal(said(), "toy  1000/1000 steps  0.242/s  done in 1:02:05\n");
}

void test_progress__says_nothing_when_quiet(void **state)
{
    (void)state;
    train_progress p = begin(true);

    p.shown -= 100;
    progress_show(&p, 500, "loss 1");
    progress_end(&p, 1000, "", "done");
    assert_string_equal(said(), "");
}
