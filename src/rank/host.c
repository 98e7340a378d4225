/* host.c - /proc/stat, /proc/meminfo, and the processes (proc(5)). */
#include "rank/host.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *read_proc(const char *path)
{
    char *text;
    size_t len;

    if (file_read_all(&text, &len, path)) return NULL;
    for (size_t i = 0; i < len; i++) /* environ separates by zeros */
        if (!text[i]) text[i] = '\n';
    return text;
}

static double meminfo(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtod(at + strlen(name), NULL) * 1024 : 0;
}

static void read_processors(host_sample *out)
{
    char *text = read_proc("/proc/stat"), *at = text ? strchr(text, ' ') : NULL;

    for (int i = 0; i < 8 && at; i++) { /* user nice system idle iowait irq softirq steal */
        const int64_t ticks = strtoll(at, &at, 10);
        out->all += ticks;
        if (i != 3 && i != 4) out->busy += ticks;
    }
    mill_free(text);
}

typedef struct {
    int pid, parent;
    bool is_in, is_rank;
} process;

/* Whether it runs our command, whose ranks may be forks of it. */
static bool is_ours(int pid)
{
    char path[64], target[4096];

    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    const ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) return false;
    target[n] = 0;
    const char *name = strrchr(target, '/');
    return name && !strncmp(name, "/tabmill", 8);
}

/* Whether its first environment had RANK and WORLD_SIZE; that of other users cannot be read. */
static bool knows_rank(int pid)
{
    char path[64], *text;

    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    if (access(path, R_OK) || !(text = read_proc(path))) return false;
    const bool rank = strstr(text, "\nRANK=") || !strncmp(text, "RANK=", 5);
    const bool world = strstr(text, "\nWORLD_SIZE=") || !strncmp(text, "WORLD_SIZE=", 11);
    mill_free(text);
    return rank && world;
}

static int parent_of(int pid)
{
    char path[64], *text;
    int parent = -1;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (access(path, R_OK) || !(text = read_proc(path))) return -1;
    const char *after = strrchr(text, ')');
    if (after && strlen(after) > 4) parent = (int)strtol(after + 4, NULL, 10); /* ") R 17" */
    mill_free(text);
    return parent;
}

static double rss_of(int pid)
{
    char path[64], *text;
    long pages = 0;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    if (access(path, R_OK) || !(text = read_proc(path))) return 0;
    char *rest;
    (void)strtol(text, &rest, 10); /* size, then what is resident */
    pages = strtol(rest, NULL, 10);
    mill_free(text);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Children follow: until nobody joins. */
static void add_descendants(process *p, int n)
{
    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n && !p[i].is_in; k++)
                if (p[k].is_in && p[k].pid == p[i].parent) again = p[i].is_in = true;
    }
}

/* A rank is one that was started as such, or sits at a board of ours. */
static void find_ranks(rank_view *v, process *p, int n, bool is_below)
{
    for (int i = 0; i < n; i++) {
        if (!p[i].is_in) continue;
        const bool knows = knows_rank(p[i].pid);
        const bool sits = (knows || is_below || is_ours(p[i].pid)) && rank_look(v, p[i].pid);
        p[i].is_rank = knows || sits;
    }
}

static bool is_of_rank(const process *p, int n, int pid)
{
    for (int i = 0; i < n; i++)
        if (p[i].pid == pid) return p[i].is_rank;
    return false;
}

void host_read(host_sample *out, int root)
{
    char **names, *text;
    int n_names, n = 0;

    *out = (host_sample){.view.step = -1};
    read_processors(out);
    if ((text = read_proc("/proc/meminfo"))) {
        out->total_bytes = meminfo(text, "MemTotal:");
        out->used_bytes = out->total_bytes - meminfo(text, "MemAvailable:");
        mill_free(text);
    }
    if (file_list(&names, &n_names, "/proc")) return;
    process *p = mill_alloc((size_t)n_names + 1, sizeof *p);
    for (int i = 0; i < n_names && p; i++) {
        const int pid = (int)strtol(names[i], NULL, 10);
        if (pid < 1) continue;
        p[n] = (process){.pid = pid, .parent = root > 0 ? parent_of(pid) : 0};
        p[n++].is_in = root < 1 || pid == root;
    }
    if (root > 0 && p) add_descendants(p, n);
    if (p) find_ranks(&out->view, p, n, root > 0);
    for (int i = 0; i < n && p; i++)
        out->ranks += p[i].is_rank && !is_of_rank(p, n, parent_of(p[i].pid));
    for (int i = 0; i < n && p; i++)
        if (p[i].is_rank || (root > 0 && p[i].is_in && !out->ranks))
            out->rss_bytes += rss_of(p[i].pid);
    mill_free(p);
    mill_free(names);
}
