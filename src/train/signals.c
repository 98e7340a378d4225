/*
 * signals.c - SIGINT and SIGTERM ask the loop to save and stop; a second one ends the process at
 * once.  SIGUSR1, by which a batch system says that the time is nearly over, is a first SIGTERM; it
 * may come again.
 *
 * The handler only notes the signal and gives the two back to the system, so that the next one
 * kills.  In a rank it does not: who tells all processes of a job (a batch system, a terminal)
 * tells its launcher too, which hands the signal on.  There the launcher ends who takes too long.
 */
#include "train/loop.h"

#include <signal.h>

static volatile sig_atomic_t received, is_told_twice;

static void note(int sig)
{
    received = sig == SIGUSR1 ? SIGTERM : sig;
    if (is_told_twice) return;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR1, SIG_IGN);
}

void train_signals_install(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

void train_signals_of_rank(void)
{
    is_told_twice = true;
}

void train_signal_note(int sig)
{
    received = sig;
}

int train_signal_received(void)
{
    return received;
}
