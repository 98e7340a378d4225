/*
 * port.c - a TCP port that is ours until the job is over, and who has the one that is not.
 *
 * The socket is bound and never listens.  With SO_REUSEADDR on both sides Linux lets one more
 * socket bind and listen there (the first rank's), but gives the port to nobody who asks for any.
 * Source of the tables: proc(5), /proc/net/tcp, and the inode behind /proc/PID/fd.
 */
#include "rank/launcher.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOCAL = 1, STATE = 3, INODE = 9, COLUMNS, LISTENING = 0x0a /* TCP_LISTEN */ };

/* The inode of a socket at `port`, listening ones first; 0: none. */
static unsigned long socket_at(const char *table, int port)
{
    unsigned long inode = 0, any = 0;
    char line[512];
    FILE *f = fopen(table, "re"); /* a file of the system's, not of ours */

    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        char *column[COLUMNS] = {0}, *rest = line;
        int n = 0;

        for (char *word; n < COLUMNS && (word = strtok_r(rest, " ", &rest));) column[n++] = word;
        const char *colon = n == COLUMNS ? strchr(column[LOCAL], ':') : NULL;
        if (!colon || strtol(colon + 1, NULL, 16) != port) continue;
        any = strtoul(column[INODE], NULL, 10);
        if (strtol(column[STATE], NULL, 16) == LISTENING) inode = any;
    }
    fclose(f);
    return inode ? inode : any;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char folder[64], link[160], target[64], want[64], **names;
    bool found = false;
    int n = 0;

    snprintf(folder, sizeof folder, "/proc/%.16s/fd", pid);
    snprintf(want, sizeof want, "socket:[%lu]", inode);
    if (file_list(&names, &n, folder)) return false;
    for (int i = 0; i < n && !found; i++) {
        snprintf(link, sizeof link, "%s/%.32s", folder, names[i]);
        const ssize_t len = readlink(link, target, sizeof target - 1);
        if (len < 0) continue;
        target[len] = 0;
        found = !strcmp(target, want);
    }
    mill_free(names);
    return found;
}

/* "process 123 (python3)", or "another user's process". */
static void name_holder(char *words, size_t size, int port)
{
    unsigned long inode = socket_at("/proc/net/tcp", port);
    char **names;
    int n = 0;

    if (!inode) inode = socket_at("/proc/net/tcp6", port);
    snprintf(words, size, "a process that we may not see");
    if (!inode || file_list(&names, &n, "/proc")) return;
    for (int i = 0; i < n; i++) {
        char path[64], *comm;
        size_t len;

        if (names[i][0] < '0' || names[i][0] > '9' || !has_socket(names[i], inode)) continue;
        snprintf(path, sizeof path, "/proc/%.16s/comm", names[i]);
        if (file_read_all(&comm, &len, path)) comm = NULL;
        snprintf(words, size, "process %s (%.*s)", names[i], comm ? (int)strcspn(comm, "\n") : 1,
                 comm ? comm : "?");
        mill_free(comm);
        break;
    }
    mill_free(names);
}

/* 0, or errno. */
static int bind_to(int *fd, int *held, const struct addrinfo *a, int port)
{
    const int yes = 1;
    struct sockaddr_storage s = {0};
    socklen_t len = a->ai_addrlen;

    memcpy(&s, a->ai_addr, len);
    if (s.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&s)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&s)->sin_port = htons((uint16_t)port);
    *fd = socket(s.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return errno;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    /* A listener elsewhere on the port makes bind fail, whether it set SO_REUSEADDR or not. */
    if (bind(*fd, (struct sockaddr *)&s, len) || getsockname(*fd, (struct sockaddr *)&s, &len)) {
        const int e = errno;
        close(*fd);
        *fd = -1;
        return e;
    }
    *held = ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&s)->sin6_port
                                          : ((struct sockaddr_in *)&s)->sin_port);
    return 0;
}

mill_err port_hold(int *fd, int *held, const char *address, int port, int range)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *a;
    char words[120];
    int e = EADDRINUSE;

    if (port > 65535) return mill_fail(MILL_EINPUT, "port %d: they end at 65535", port);
    const int wrong = getaddrinfo(address, NULL, &hints, &a);
    if (wrong) return mill_fail(MILL_EINPUT, "address %s: %s", address, gai_strerror(wrong));
    for (int i = 0; i <= range && port + i <= 65535 && e == EADDRINUSE; i++)
        e = bind_to(fd, held, a, port + i);
    freeaddrinfo(a);
    if (!e) return MILL_OK;
    if (e == EADDRNOTAVAIL)
        return mill_fail(MILL_EINPUT,
                         "the master address is not one of this host, where rank 0 will be");
    if (e != EADDRINUSE) return mill_fail(MILL_EINPUT, "port %d: %s", port, strerror(e));
    name_holder(words, sizeof words, port);
    if (range > 0)
        return mill_fail(MILL_EINPUT, "ports %d to %d are taken, the first by %s", port,
                         port + range, words);
    return mill_fail(MILL_EINPUT,
                     "port %d is taken by %s; give another one, --port-range 100 to try the next "
                     "ones, or none at all for a free one",
                     port, words);
}
