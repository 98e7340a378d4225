/* t_signals.c - what a second signal does to a process that trains; the first: t_loop.c. */
#include "lib/child.h"
#include "lib/test.h"
#include "train/loop.h"

#include <signal.h>
#include <unistd.h>

void test_signals__end_it_at_once_when_they_come_again(void **state)
{
    (void)state;
    int status;

    for (int second = SIGINT; second <= SIGTERM; second += SIGTERM - SIGINT) {
        const pid_t child = fork();
        if (child == 0) {
            train_signals_install();
            raise(SIGINT);
            raise(second);
            _exit(0);
        }
        waitpid(child, &status, 0);
        assert_int_equal(exit_of(status), -second);
    }
}

/* A batch system may say twice that the time is nearly over; SIGTERM after that ends it at once. */
void test_signals__let_it_save_when_sigusr1_comes_again(void **state)
{
    (void)state;
    int status;

    for (int third = 0; third < 2; third++) {
        const pid_t child = fork();
        if (child == 0) {
            train_signals_install();
            raise(SIGUSR1);
            raise(SIGUSR1);
            if (third) raise(SIGTERM);
            _exit(train_signal_received());
        }
        waitpid(child, &status, 0);
        assert_int_equal(exit_of(status), third ? -SIGTERM : SIGTERM);
    }
}

/* Told by the system and, once more, by its launcher. */
void test_signals__let_a_rank_save_when_they_come_again(void **state)
{
    (void)state;
    int status;

    for (int sig = SIGINT; sig <= SIGTERM; sig += SIGTERM - SIGINT) {
        const pid_t child = fork();
        if (child == 0) {
            train_signals_install();
            train_signals_of_rank();
            raise(sig);
            raise(sig);
            _exit(train_signal_received());
        }
        waitpid(child, &status, 0);
        assert_int_equal(exit_of(status), sig);
    }
}
