/* skewed_clock.c - preloaded: a clock of the day that jumps between an hour ago, now and an hour
 * ahead, a thousand times a second; elsewhere on every rank.  Monotonic clocks are as they are. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): what the headers ask for */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump(void)
{
    const char *rank = getenv("RANK");
    struct timespec now;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return 3600 * ((now.tv_nsec / 1000000 + (rank ? atoi(rank) : 2)) % 3 - 1);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    const int failed = (int)syscall(SYS_clock_gettime, clock, t);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) t->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
