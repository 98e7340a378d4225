/*
 * progress.c - the progress line.
 *
 *     ctgan  1200/21000 steps  96.3/s  loss_g -0.412  loss_d 0.018  quality 0.881  ETA 3:26
 *
 * The rate is that of this process since it began (a resumed run does not count what an earlier one
 * did).
 */
#include "train/progress.h"

#include "base/cpu.h"
#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

static const double terminal_seconds = 0.1, plain_seconds = 10;

void progress_begin(train_progress *p, int fd, bool quiet, const char *name, const char *unit)
{
    *p = (train_progress){.fd = fd, .quiet = quiet || fd < 0, .name = name, .unit = unit};
    p->is_terminal = !p->quiet && isatty(fd);
}

void progress_range(train_progress *p, int64_t first, int64_t total)
{
    p->first = first;
    p->total = total;
    p->began = p->shown = mill_clock();
}

double progress_rate(const train_progress *p, int64_t done)
{
    const double seconds = mill_clock() - p->began;
    return seconds > 0 ? (double)(done - p->first) / seconds : 0;
}

/* 59 -> "0:59", 3725 -> "1:02:05" */
static void add_duration(mill_text *t, double seconds)
{
    const int64_t s = seconds < 1e9 ? (int64_t)(seconds + 0.5) : 1000000000;

    if (s >= 3600)
        text_add(t, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    else
        text_add(t, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

static void put(train_progress *p, mill_text *t)
{
    size_t at = 0;

    while (!t->failed && at < t->len) {
        const ssize_t n = write(p->fd, t->s + at, t->len - at);
        if (n <= 0) break;
        at += (size_t)n;
    }
    text_free(t);
}

static void add_line(mill_text *t, train_progress *p, int64_t done, const char *facts)
{
    const double rate = progress_rate(p, done);

    if (p->is_terminal) text_add(t, "\r");
    text_add(t, "%s  %lld/%lld %s  ", p->name, (long long)done, (long long)p->total, p->unit);
    if (done > p->first)
        text_add(t, rate >= 1000 ? "%.0f/s" : rate >= 1 ? "%.1f/s" : "%.3f/s", rate);
    if (facts && *facts) text_add(t, "  %s", facts);
}

void progress_show(train_progress *p, int64_t done, const char *facts)
{
    const double now = mill_clock();
    const double rate = progress_rate(p, done);
    mill_text t = {0};

    if (p->quiet || now - p->shown < (p->is_terminal ? terminal_seconds : plain_seconds)) return;
    p->shown = now;
    add_line(&t, p, done, facts);
    if (rate > 0) {
        text_add(&t, "  ETA ");
        add_duration(&t, (double)(p->total - done) / rate);
    }
    text_add(&t, p->is_terminal ? "\x1b[K" : "\n");
    p->is_open_line = p->is_terminal;
    put(p, &t);
}

void progress_end(train_progress *p, int64_t done, const char *facts, const char *how)
{
    mill_text t = {0};

    if (p->quiet) return;
    add_line(&t, p, done, facts);
    text_add(&t, "  %s in ", how);
    add_duration(&t, mill_clock() - p->began);
    text_add(&t, p->is_terminal ? "\x1b[K\n" : "\n");
    p->is_open_line = false;
    put(p, &t);
}
