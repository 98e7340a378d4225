/* talk.c - words to the user: stderr, one line each, `tabmill fit: ...`. */
#include "cli/cli.h"

#include "base/log.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *command;
    bool is_quiet, is_mute, is_terminal;
} talk;

static void print_line(const char *line)
{
    if (talk.is_mute) return;
    fprintf(stderr, "%stabmill%s%s: %s\n", talk.is_terminal ? "\r\x1b[K" : "",
            talk.command ? " " : "", talk.command ? talk.command : "", line);
}

static void print_log(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx, (void)level;
    print_line(line);
}

void cli_say(const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (talk.is_quiet) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    print_line(line);
}

void cli_talk_early(void)
{
    mill_log_set(print_log, NULL, MILL_LOG_WARN);
}

void cli_talk(const opt_set *set, bool quiet)
{
    talk.command = set->command;
    talk.is_quiet = quiet;
    talk.is_terminal = isatty(STDERR_FILENO);
    mill_log_set(print_log, NULL, quiet ? MILL_LOG_ERROR : MILL_LOG_INFO);
}

void cli_talk_least(mill_log_level least)
{
    mill_log_set(print_log, NULL, least);
}

void cli_mute(void)
{
    talk.is_mute = true;
}

int cli_begin(mill_pool **pool, const opt_set *set, const talk_options *o)
{
    cli_talk(set, o->quiet);
    return mill_pool_new(pool, (int)o->threads) ? cli_error(set) : 0;
}

int cli_error(const opt_set *set)
{
    talk.command = set->command;
    print_line(mill_error());
    return 1;
}

int cli_exit_status(void)
{
    return train_signal_received() ? 128 + train_signal_received() : 0;
}

bool cli_reader_went_away(const char *path)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return !strcmp(path, "-") && poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP));
}
