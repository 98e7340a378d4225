/*
 * signals.c - SIGINT and SIGTERM ask the loop to save and stop; a second one ends the process at
 * once.
 *
 * The handler only notes the signal and gives both signals back to the system, so that the next one
 * kills.
 */
#include "train/loop.h"

#include <signal.h>

static volatile sig_atomic_t received;

static void note(int sig)
{
    received = sig;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

void train_signals_install(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void train_signal_note(int sig)
{
    received = sig;
}

int train_signal_received(void)
{
    return received;
}
