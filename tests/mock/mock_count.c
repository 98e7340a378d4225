/*
 * mock_count.c - what the mock server counts of itself, its log, and the pages that show them.
 */
#include "mock/mock_server.h"

#include <stdlib.h>

/* How often this request came, this time too. */
int64_t count_attempt(uint64_t hash)
{
    if (2 * S.n_seen >= S.cap_seen) {
        seen *old = S.seen;
        const size_t n = S.cap_seen;
        S.cap_seen = n ? 2 * n : 1024;
        S.seen = calloc(S.cap_seen, sizeof *S.seen);
        if (!S.seen) mock_die("no memory");
        for (size_t i = 0; i < n; i++) {
            if (!old[i].n) continue;
            size_t k = old[i].hash & (S.cap_seen - 1);
            while (S.seen[k].n) k = (k + 1) & (S.cap_seen - 1);
            S.seen[k] = old[i];
        }
        free(old);
    }
    size_t k = hash & (S.cap_seen - 1);
    while (S.seen[k].n && S.seen[k].hash != hash) k = (k + 1) & (S.cap_seen - 1);
    if (!S.seen[k].n) S.n_seen++;
    S.seen[k].hash = hash;
    return ++S.seen[k].n;
}

void count_running(int64_t n)
{
    const double t = mock_now();
    const double full = S.window ? (double)S.window : 1;

    S.busy += (t - S.busy_since) * ((double)S.running < full ? (double)S.running : full) / full;
    S.busy_since = t;
    S.running = n;
    if (n > S.most_running) S.most_running = n;
}

static void log_chat(const conn *c, bool whole)
{
    S.prompt_tokens += c->a.prompt_tokens;
    S.completion_tokens += c->w.status == 200 ? (int64_t)c->r.n : 0;
    if (!S.log_file) return;
    fprintf(S.log_file, "%lld %s %016llx %lld %lld %lld %d %s %s\n", (long long)c->number,
            ask_stage_names[c->a.stage], (unsigned long long)c->a.hash, (long long)c->attempt,
            (long long)c->a.prompt_tokens, c->w.status == 200 ? (long long)c->r.n : 0LL,
            c->w.status, fault_names[c->f ? c->f->kind : FAULT_NONE], whole ? "sent" : "cut");
}

/* ---- gaps ---- */

static void note_end(void)
{
    if (S.n_ended == S.cap_ended) {
        S.cap_ended = S.cap_ended ? 2 * S.cap_ended : 4096;
        S.ended = realloc(S.ended, S.cap_ended * sizeof *S.ended);
        if (!S.ended) mock_die("no memory");
    }
    S.ended[S.n_ended++] = mock_now();
}

static void note_request(void)
{
    if (S.ended_at == S.n_ended) return;
    const double gap = mock_now() - S.ended[S.ended_at++];
    const int64_t k = (int64_t)(gap * 1e5);

    S.gap[k < GAP_STEPS ? k : GAP_STEPS - 1]++;
    S.n_gaps++;
    if (S.ended_at == S.n_ended) S.ended_at = S.n_ended = 0;
}

/* Microseconds that this share of the gaps did not exceed. */
static long long gap_quantile(double q)
{
    int64_t sum = 0;

    for (int i = 0; i < GAP_STEPS; i++)
        if ((double)(sum += S.gap[i]) >= q * (double)S.n_gaps) return 10LL * (i + 1);
    return 0;
}

void count_end(const conn *c, bool whole)
{
    S.last_chat = mock_now();
    if (S.gaps && whole) note_end();
    log_chat(c, whole);
}

void count_arrival(void)
{
    const int64_t places = S.window && S.window < MOST_PLACES ? S.window : 1;

    if (!S.first_chat) S.first_chat = S.busy_since = mock_now();
    count_running(S.running);
    S.last[S.chats % places].came = S.busy_since;
    S.last[S.chats % places].busy = S.busy;
    if (S.gaps) note_request();
}

void put_counts(bytes *b)
{
    /* Of the time in which at least as many chats were still to come as there are places. */
    const int64_t places = S.window && S.window < MOST_PLACES ? S.window : 1;
    const int64_t oldest = S.chats >= places ? (S.chats + 1) % places : 0;
    const double while_work = S.last[oldest].came - S.first_chat;
    const double idle = while_work > 0 ? 1 - S.last[oldest].busy / while_work : 0;

    count_running(S.running);
    bytes_fmt(b,
              "{\"chats\":%lld,\"plain\":%lld,\"accepted\":%lld,\"open\":%lld,\"running\":%lld,"
              "\"waiting\":%lld,\"most_running\":%lld,\"prompt_tokens\":%lld,"
              "\"completion_tokens\":%lld,\"expects\":%lld,\"seconds\":%.6f,\"busy\":%.6f,"
              "\"idle_share\":%.6f,\"gaps\":%lld,\"gap_us_p50\":%lld,\"gap_us_p99\":%lld}\n",
              (long long)S.chats, (long long)S.plain, (long long)S.accepted, (long long)S.open,
              (long long)S.running, (long long)S.waiting, (long long)S.most_running,
              (long long)S.prompt_tokens, (long long)S.completion_tokens, (long long)S.expects,
              S.last_chat - S.first_chat, S.busy, idle, (long long)S.n_gaps, gap_quantile(.5),
              gap_quantile(.99));
}

void put_metrics(bytes *b)
{
    const double share = S.window ? (double)S.running / (double)S.window : 0;

    bytes_fmt(b,
              "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
              "# TYPE vllm:num_requests_running gauge\n"
              "vllm:num_requests_running{engine=\"0\",model_name=\"%s\"} %lld.0\n"
              "# TYPE vllm:num_requests_waiting gauge\n"
              "vllm:num_requests_waiting{engine=\"0\",model_name=\"%s\"} %lld.0\n"
              "# TYPE vllm:kv_cache_usage_perc gauge\n"
              "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"%s\"} %g\n"
              "# TYPE vllm:num_preemptions_total counter\n"
              "vllm:num_preemptions_total{engine=\"0\",model_name=\"%s\"} 0.0\n",
              S.reply.name, (long long)S.running, S.reply.name, (long long)S.waiting, S.reply.name,
              share, S.reply.name);
}
