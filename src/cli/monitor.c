/*
 * monitor.c - `tabmill monitor`: a table of what GPUs, processors and ranks do while something
 * runs.
 *
 * One line a GPU and sample, flushed; without a GPU one line a sample with those cells empty.  The
 * instances of a divided GPU (MIG) have lines of their own behind its line.
 * Memory in MiB, power in W, energy in J and NVLink's data in MiB since the first sample, clocks in
 * MHz, PCIe in KB/s.  The first ten columns are those of earlier monitors; what is not known is
 * empty.  GPU_Utilization
 * says that a kernel was there, not that it was efficient: look at energy, too.
 */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "rank/host.h"
#include "rank/nvml.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORDS = 4096, BINS = 101 };

#define OPT OPT_FIELD
typedef struct {
#include "cli/monitor.def"
} monitor_options;
#undef OPT

#define OPT        OPT_ROW
#define OPT_STRUCT monitor_options
static const opt_row rows[] = {
#include "cli/monitor.def"
    {0}};

static const opt_group groups[] = {{.title = "Options", .row = rows}};
const opt_set monitor_set = {
    .command = "monitor",
    .usage = "monitor [-i SECONDS] [-o FILE] [options] [--] [COMMAND [ARGUMENT ...]]",
    .about =
        "Sample GPUs, processors, memory and ranks into a CSV file, while COMMAND runs or until\n"
        "Ctrl-C.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(monitor_options),
    .most_args = MOST_WORDS,
    .args_end_options = true,
    .args = "COMMAND",
};

static const char header[] =
    "Timestamp,Elapsed,GPU_Index,GPU_Name,Temperature,GPU_Utilization,Memory_Utilization,Memory_"
    "Used,"
    "Memory_Total,Power_Draw,GPU_UUID,CUDA_Index,SM_Clock,Memory_Clock,Power_Limit,Energy,"
    "Throttle_Reasons,PCIe_TX,PCIe_RX,XID,GPU_Processes,GPU_PIDs,CPU_Utilization,Host_Memory_Used,"
    "Host_Memory_Total,Ranks,Ranks_RSS,Phase,Step,MIG_Instance,"
    "NVLink_TX,NVLink_RX,Fan_Speed,Encoder_Utilization,ECC_Errors,PCIe_Replays\n";

/* What the summary is made of. */
typedef struct {
    int64_t samples, known, busy[BINS]; /* how often GPU_Utilization was so many percent */
    int64_t throttled;
    bool tells_throttle;
    int gpu, instance;
    double xid; /* the last; <= 0: none, or not known */
    double peak_bytes, first_energy, last_energy;
    double first_tx, first_rx; /* of NVLink's counters */
    double memory_errors;      /* that ECC could not correct; <= 0: none, or not known */
} gpu_sum;

typedef struct {
    const monitor_options *o;
    nvml *gpus;
    mill_file *file;
    gpu_sum sum[NVML_MAX_GPUS];
    host_sample before;
    double start, cpu_sum, peak_rss;
    int64_t samples, late, dropped;
    int child; /* COMMAND, or 0 */
} monitor;

static volatile sig_atomic_t received;

static void note(int sig)
{
    received = sig;
}

static void put_time(char text[40], bool utc)
{
    struct timeval now;
    struct tm t;

    gettimeofday(&now, NULL);
    if (utc)
        gmtime_r(&now.tv_sec, &t);
    else
        localtime_r(&now.tv_sec, &t);
    const size_t n = strftime(text, 40, utc ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &t);
    snprintf(text + n, 40 - n, utc ? ".%03dZ" : ".%03d", (int)(now.tv_usec / 1000));
}

/* ",12.5", or "," for what is not known. */
static void add_cell(char *line, size_t size, double x, int decimals)
{
    const size_t n = strlen(line);

    if (x < 0)
        snprintf(line + n, size - n, ",");
    else
        snprintf(line + n, size - n, ",%.*f", decimals, x);
}

static void add_text(char *line, size_t size, const char *text)
{
    size_t n = strlen(line);

    n += (size_t)snprintf(line + n, size - n, strpbrk(text, ",\"\n") ? ",\"" : ",");
    for (const char *c = text; *c && n + 4 < size; c++) {
        if (*c == '"') line[n++] = '"';
        line[n++] = *c;
    }
    snprintf(line + n, size - n, strpbrk(text, ",\"\n") ? "\"" : "");
}

/* The cells behind those of the GPU; `instance` is its, or -1. */
static void add_rest(char *line, size_t size, const monitor *m, const host_sample *h, double busy,
                     int instance)
{
    char phase[100];

    add_cell(line, size, busy, 1);
    add_cell(line, size, h->used_bytes / 1048576, 0);
    add_cell(line, size, h->total_bytes / 1048576, 0);
    add_cell(line, size, h->ranks || m->child ? h->ranks : -1, 0);
    add_cell(line, size, h->rss_bytes > 0 ? h->rss_bytes / 1048576 : -1, 1);
    rank_view_words(phase, sizeof phase, &h->view);
    add_text(line, size, phase);
    add_cell(line, size, (double)h->view.step, 0);
    add_cell(line, size, instance, 0);
}

/* The last cells: what a counter of NVLink has grown by since the first sample, and health. */
static void add_health(char *line, size_t size, const nvml_sample *g, const gpu_sum *s)
{
    add_cell(line, size, g->nvlink_tx < 0 ? -1 : (g->nvlink_tx - s->first_tx) / 1024, 1);
    add_cell(line, size, g->nvlink_rx < 0 ? -1 : (g->nvlink_rx - s->first_rx) / 1024, 1);
    add_cell(line, size, g->fan, 0);
    add_cell(line, size, g->encoder, 0);
    add_cell(line, size, g->memory_errors, 0);
    add_cell(line, size, g->pcie_replays, 0);
    strncat(line, "\n", size - strlen(line) - 1);
}

/* A disk that is full loses lines, which are counted; sampling goes on. */
static void put_line(monitor *m, const char *line)
{
    if (!file_write(m->file, line, strlen(line)) && !file_flush(m->file)) return;
    if (!m->dropped++) mill_log(MILL_LOG_WARN, "%s; lines are lost", mill_error());
}

static void add_gpu(char *line, size_t size, const nvml_sample *g, double energy)
{
    add_text(line, size, g->name);
    add_cell(line, size, g->temperature, 0);
    add_cell(line, size, g->busy, 0);
    add_cell(line, size, g->memory_busy, 0);
    add_cell(line, size, g->used_bytes < 0 ? -1 : g->used_bytes / 1048576, 0);
    add_cell(line, size, g->total_bytes < 0 ? -1 : g->total_bytes / 1048576, 0);
    add_cell(line, size, g->power, 2);
    add_text(line, size, g->uuid);
    add_cell(line, size, g->cuda_index, 0);
    add_cell(line, size, g->sm_clock, 0);
    add_cell(line, size, g->memory_clock, 0);
    add_cell(line, size, g->power_limit, 2);
    add_cell(line, size, energy, 1);
    add_cell(line, size, g->throttle, 0);
    add_cell(line, size, g->pcie_tx, 0);
    add_cell(line, size, g->pcie_rx, 0);
    add_cell(line, size, g->xid, 0);
    add_cell(line, size, g->processes, 0);
    strncat(line, ",", size - strlen(line) - 1);
    for (int i = 0; i < g->n_pids; i++) {
        const size_t n = strlen(line);
        snprintf(line + n, size - n, "%s%u", i ? ";" : "", g->pid[i]);
    }
}

static void count_gpu(gpu_sum *s, const nvml_sample *g)
{
    if (!s->samples++) {
        s->first_energy = g->energy;
        s->first_tx = g->nvlink_tx;
        s->first_rx = g->nvlink_rx;
    }
    s->gpu = g->gpu;
    s->instance = g->instance;
    s->last_energy = g->energy;
    if (g->busy >= 0) s->busy[g->busy > 100 ? 100 : (int)g->busy]++;
    s->known += g->busy >= 0;
    if (g->used_bytes > s->peak_bytes) s->peak_bytes = g->used_bytes;
    s->tells_throttle |= g->throttle >= 0;
    s->throttled += g->throttle > 1;
    if (g->xid > 0) s->xid = g->xid;
    if (g->memory_errors > 0) s->memory_errors = g->memory_errors;
}

/* "12", or "?" for what is not known. */
static const char *shown(char buf[24], double x, int decimals)
{
    snprintf(buf, 24, x < 0 ? "?" : "%.*f", decimals, x);
    return buf;
}

/* "GPU 0", "GPU 0 MIG 2" */
static const char *name_of(char buf[40], int gpu, int instance)
{
    if (instance < 0)
        snprintf(buf, 40, "GPU %d", gpu);
    else
        snprintf(buf, 40, "GPU %d MIG %d", gpu, instance);
    return buf;
}

static void say_gpu(const char *time, const nvml_sample *g)
{
    char name[40], busy[24], used[24], total[24], celsius[24], power[24];

    fprintf(stderr, "[%s] %s: %s%% util, %s/%s MB, %s°C, %sW\n", time,
            name_of(name, g->gpu, g->instance), shown(busy, g->busy, 0),
            shown(used, g->used_bytes < 0 ? -1 : g->used_bytes / 1048576, 0),
            shown(total, g->total_bytes < 0 ? -1 : g->total_bytes / 1048576, 0),
            shown(celsius, g->temperature, 0), shown(power, g->power, 1));
}

static void sample_gpu(monitor *m, int i, const char *time, const char *begin, const host_sample *h,
                       double busy)
{
    char line[3000];
    nvml_sample g;

    nvml_read(m->gpus, i, &g);
    count_gpu(&m->sum[i], &g);
    snprintf(line, sizeof line, "%s,%d", begin, g.gpu);
    add_gpu(line, sizeof line, &g, g.energy < 0 ? -1 : g.energy - m->sum[i].first_energy);
    add_rest(line, sizeof line, m, h, busy, g.instance);
    add_health(line, sizeof line, &g, &m->sum[i]);
    put_line(m, line);
    if (!m->o->quiet) say_gpu(time, &g);
}

static void sample(monitor *m)
{
    char time[40], begin[80], line[400];
    host_sample h;

    host_read(&h, m->child);
    const int64_t ticks = h.all - m->before.all;
    const double busy =
        m->samples && ticks > 0 ? 100.0 * (double)(h.busy - m->before.busy) / (double)ticks : -1;
    m->before = h;
    put_time(time, m->o->utc);
    snprintf(begin, sizeof begin, "%s,%.2f", time, mill_clock() - m->start);
    for (int i = 0; i < nvml_count(m->gpus); i++) sample_gpu(m, i, time, begin, &h, busy);
    if (!nvml_count(m->gpus)) {
        snprintf(line, sizeof line, "%s,,,,,,,,,,,,,,,,,,,,", begin);
        add_rest(line, sizeof line, m, &h, busy, -1);
        const size_t n = strlen(line);
        snprintf(line + n, sizeof line - n, ",,,,,,\n");
        put_line(m, line);
        if (!m->o->quiet)
            fprintf(stderr, "[%s] CPU: %.0f%% util, %.0f/%.0f MB, %d rank%s, %.0f MB\n", time,
                    busy < 0 ? 0 : busy, h.used_bytes / 1048576, h.total_bytes / 1048576, h.ranks,
                    mill_s(h.ranks), h.rss_bytes / 1048576);
    }
    if (busy > 0) m->cpu_sum += busy;
    if (h.rss_bytes > m->peak_rss) m->peak_rss = h.rss_bytes;
    m->samples++;
}

/* The utilization that a share of the samples did not exceed. */
static int percentile(const gpu_sum *s, double share)
{
    int64_t below = 0;

    for (int p = 0; p < BINS; p++)
        if ((double)(below += s->busy[p]) >= share * (double)s->known) return p;
    return 100;
}

static void print_gpu(const gpu_sum *s, double each)
{
    char size[32], name[40];
    double mean = 0;

    name_of(name, s->gpu, s->instance);
    if (!s->known) {
        fprintf(stderr, "%s: does not tell its utilization", name);
        if (s->peak_bytes > 0) fprintf(stderr, ", peak %s", mill_format_size(size, s->peak_bytes));
        fprintf(stderr, "\n");
        return;
    }
    for (int p = 0; p < BINS; p++) mean += p * (double)s->busy[p] / (double)s->known;
    fprintf(stderr, "%s: mean %.0f%% util (p5 %d, p95 %d), idle %.1f s, peak %s", name, mean,
            percentile(s, 0.05), percentile(s, 0.95), (double)s->busy[0] * each,
            mill_format_size(size, s->peak_bytes));
    if (s->last_energy >= 0)
        fprintf(stderr, ", %.6f kWh", (s->last_energy - s->first_energy) / 3.6e6);
    if (s->tells_throttle) fprintf(stderr, ", throttled %.1f s", (double)s->throttled * each);
    if (s->memory_errors > 0)
        fprintf(stderr, ", %.0f memory error%s not corrected", s->memory_errors,
                mill_s((int64_t)s->memory_errors));
    fprintf(stderr, s->xid > 0 ? ", last error XID %.0f\n" : "\n", s->xid);
}

static void print_summary(const monitor *m)
{
    char size[32];

    fprintf(stderr, "%lld sample%s in %.1f s", (long long)m->samples, mill_s(m->samples),
            mill_clock() - m->start);
    if (m->late) fprintf(stderr, ", %lld of them late", (long long)m->late);
    if (m->dropped)
        fprintf(stderr, ", %lld line%s lost", (long long)m->dropped, mill_s(m->dropped));
    fprintf(stderr, "\nCPU: mean %.0f%% util\n",
            m->samples > 1 ? m->cpu_sum / (double)(m->samples - 1) : 0.0);
    if (m->peak_rss > 0) fprintf(stderr, "ranks: peak %s\n", mill_format_size(size, m->peak_rss));
    for (int i = 0; m->samples && i < nvml_count(m->gpus); i++)
        print_gpu(&m->sum[i], m->o->interval);
}

/* Sleeps until `at`; true when it is time for the next sample, false when there is no need. */
static bool wait_until(const monitor *m, double at)
{
    for (;;) {
        const double left = at - mill_clock();
        siginfo_t end = {0};

        if (received && (!m->child || received == SIGTERM)) return false;
        if (m->child && !waitid(P_PID, (id_t)m->child, &end, WEXITED | WNOHANG | WNOWAIT) &&
            end.si_pid)
            return false;
        if (left <= 0) return true;
        const double slice = left < 0.05 ? left : 0.05;
        nanosleep(&(struct timespec){.tv_nsec = (long)(slice * 1e9)}, NULL);
    }
}

static void watch(monitor *m)
{
    const double end = m->o->duration > 0 ? m->start + m->o->duration : HUGE_VAL;
    double next = m->start;

    while (next <= end + 1e-6 && wait_until(m, next)) {
        sample(m);
        next += m->o->interval;
        if (next < mill_clock()) { /* too late for some: the times stay start + k interval */
            const double missed = ceil((mill_clock() - next) / m->o->interval);
            m->late += (int64_t)missed;
            next += missed * m->o->interval;
        }
    }
    if (m->child && m->samples) sample(m); /* how it ended */
}

/* Stays in our process group: Ctrl-C reaches it by itself. */
static mill_err start_command(monitor *m, const opt_parsed *p)
{
    const char **word = mill_alloc((size_t)p->n_args + 1, sizeof *word);

    if (!word) return MILL_ENOMEM;
    for (int i = 0; i < p->n_args; i++) word[i] = p->arg[i];
    fflush(NULL);
    m->child = (int)fork();
    if (m->child == 0) {
        signal(SIGPIPE, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        execvp(word[0], (char *const *)word);
        const int e = errno;
        fprintf(stderr, "tabmill monitor: %s: %s\n", word[0], strerror(e));
        _exit(e == ENOENT ? 127 : 126);
    }
    mill_free(word);
    return m->child > 0 ? MILL_OK : mill_fail(MILL_EIO, "fork: %s", strerror(errno));
}

/* With --duration it may run on: it is waited for, without samples. */
static int end_of_command(const monitor *m)
{
    int status = 0;

    while (waitpid(m->child, &status, 0) < 0 && errno == EINTR)
        if (received) kill(m->child, received);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(monitor *m, const opt_parsed *p)
{
    const struct sigaction action = {.sa_handler = note};
    int status = 0;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (cli_check_output(m->o->output, m->o->force) || file_create(&m->file, m->o->output))
        return cli_error(&monitor_set);
    if (nvml_open(&m->gpus)) {
        m->gpus = NULL;
        cli_say("%s; sampling the processors alone", mill_error());
    }
    put_line(m, header);
    if (p->n_args && start_command(m, p)) status = cli_error(&monitor_set);
    m->start = mill_clock();
    if (!status) watch(m);
    if (m->child > 0) {
        if (received == SIGTERM) kill(m->child, SIGTERM);
        status = end_of_command(m);
    }
    if (!m->o->quiet) print_summary(m);
    if (m->dropped && !status) status = 1;
    return status;
}

int cmd_monitor(int argc, char **argv)
{
    monitor_options o;
    opt_parsed p;
    monitor *m;
    int status;

    if (opt_parse(&p, &status, &monitor_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&monitor_set, o.quiet);
    if (!(m = mill_alloc(1, sizeof *m))) {
        status = cli_error(&monitor_set);
    } else {
        m->o = &o;
        status = run(m, &p);
        nvml_close(m->gpus);
        file_close(m->file);
    }
    mill_free(m);
    opt_free(&p);
    return status;
}
