/*
 * run_deal.c - ranges and records: what becomes a chain under way, and how one ends.
 *
 * A range's rows, if the store has any, are read with its lease; a record is read when there is
 * room for its chains.
 */
#include "reason/run_inner.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const int64_t ahead = 64, ahead_low = 8; /* chains ready beyond those in flight */
static const size_t most_bytes = 32 << 20, most_low = 4 << 20; /* held, before no more is read */

/* ---- leases ---- */

static void free_lease(lease *l)
{
    row_list_free(&l->rows);
    mill_free(l);
}

static mill_err finish_lease(runner *r, lease *l)
{
    lease **at = &r->leases;

    if (l->live || l->next < l->n) return MILL_OK;
    while (*at != l) at = &(*at)->after;
    *at = l->after;
    const mill_err err = results_finish(r->store, l->first);
    free_lease(l);
    return err;
}

/* The range to deal from; NULL: there is none now. */
static mill_err current_lease(lease **out, runner *r)
{
    int64_t first, n;

    *out = r->leases && r->leases->next < r->leases->n ? r->leases : NULL;
    if (*out) return MILL_OK;
    if (r->none_left && (!r->left || http_now() - r->asked_at < 0.5)) return MILL_OK;
    TRY(results_lease(r->store, &first, &n, &r->left));
    r->asked_at = http_now();
    r->none_left = !n;
    if (!n) return MILL_OK;
    lease *l = mill_alloc(1, sizeof *l);
    if (!l) return MILL_ENOMEM;
    *l = (lease){.first = first, .n = n, .after = r->leases};
    r->leases = l;
    TRY(results_read(r->store, first, n, row_list_add, &l->rows));
    *out = l;
    return MILL_OK;
}

/* ---- chains ---- */

static void count_bytes(active *a)
{
    const size_t now = sizeof *a + flow_bytes(&a->flow);

    a->run->held_bytes += now - a->held_bytes;
    a->held_bytes = now;
}

static void release_record(runner *r, held_record *h)
{
    if (!h || --h->users) return;
    r->held_bytes -= (size_t)h->bytes;
    data_record_free(&h->text);
    mill_free(h);
}

/* One that is neither in a queue nor in flight. */
static void drop(active *a)
{
    runner *r = a->run;

    if (a->prev)
        a->prev->next = a->next;
    else
        r->first = a->next;
    if (a->next) a->next->prev = a->prev;
    r->n_active--;
    r->held_bytes -= a->held_bytes;
    flow_end(&a->flow);
    release_record(r, a->record);
    mill_free(a);
}

mill_err run_queue(active *a)
{
    runner *r = a->run;
    const queue_item item = {.later = a->flow.step,
                             .longer = a->record->bytes,
                             .number = a->record->number * RESULTS_MAX_SAMPLES + a->sample,
                             .thing = a};

    a->group = a->flow.stage == STAGE_EVALUATE && r->group[1] ? 1 : 0;
    return queue_add(a->killed ? &r->suspects[a->group] : &r->ready[a->group], item);
}

static mill_err end_chain(active *a)
{
    runner *r = a->run;
    lease *l = a->record->of;

    r->ended[a->flow.outcome]++;
    drop(a);
    l->live--;
    return finish_lease(r, l);
}

mill_err run_take_row(active *a, result_row *row)
{
    runner *r = a->run;
    const flow_record view = data_view(&a->record->text);

    row->record = a->record->number;
    row->sample = a->sample;
    row->attempts = a->attempts;
    row->server = a->server;
    TRY(flow_take_new(row, &a->flow, &r->o->flow, &view));
    TRY(results_put(r->store, row));
    r->rows += row->finish != FINISH_NONE;
    if (row->completion_tokens > 0) r->tokens += row->completion_tokens;
    if (row->prompt_tokens > 0) r->prompt_tokens += row->prompt_tokens;
    if (a->flow.outcome) return end_chain(a);
    a->attempts = a->garbled = 0;
    a->most_tokens = 0;
    count_bytes(a);
    return run_queue(a);
}

/* The chain of sample k, as far as its rows go. */
static mill_err begin_chain(runner *r, held_record *h, int k, const result_row *row, int64_t n_rows)
{
    active *a = mill_alloc(1, sizeof *a);
    const flow_record view = data_view(&h->text);

    if (!a) return MILL_ENOMEM;
    *a = (active){.run = r, .record = h, .sample = k, .server = -1, .home = {-1, -1}};
    flow_begin(&a->flow);
    h->users++;
    h->of->live++;
    a->next = r->first;
    if (a->next) a->next->prev = a;
    r->first = a;
    r->n_active++;
    for (int64_t i = 0; i < n_rows; i++)
        if (row[i].sample == k && row[i].step == a->flow.step)
            TRY(flow_take(&a->flow, &r->o->flow, &view, &row[i]));
    count_bytes(a);
    return run_queue(a);
}

/* A record that is none: its chains fail. */
static mill_err fail_record(runner *r, int64_t number, const bool *has_ended)
{
    char why[160];

    snprintf(why, sizeof why, "%s", mill_error());
    for (int k = 0; k < r->o->samples; k++) {
        if (has_ended[k]) continue;
        result_row row = result_of_none(why);
        row.record = number;
        row.sample = k;
        row.outcome = OUTCOME_FAILED;
        r->ended[OUTCOME_FAILED]++;
        TRY(results_put(r->store, &row));
    }
    return MILL_OK;
}

static mill_err begin_record(runner *r, lease *l, int64_t number, const bool *has_ended)
{
    const result_row *row = l->rows.n ? l->rows.row + l->row_at : NULL;
    int64_t n_rows = 0;
    held_record *h;
    data_record text;

    const mill_err err = data_read(&text, NULL, r->o->data, number);
    if (err == MILL_EINPUT) return fail_record(r, number, has_ended);
    if (err) return err;
    if (!(h = mill_alloc(1, sizeof *h))) {
        data_record_free(&text);
        return MILL_ENOMEM;
    }
    *h = (held_record){.text = text, .number = number, .of = l, .users = 1};
    h->bytes = (int64_t)(sizeof *h + strlen(text.problem) + strlen(text.solution) +
                         strlen(text.gold) + strlen(text.id));
    r->held_bytes += (size_t)h->bytes;
    while (row && l->row_at + n_rows < l->rows.n && row[n_rows].record == number) n_rows++;
    mill_err begun = MILL_OK;
    for (int k = 0; k < r->o->samples && !begun; k++)
        if (!has_ended[k]) begun = begin_chain(r, h, k, row, n_rows);
    release_record(r, h);
    return begun;
}

static mill_err deal_record(runner *r, lease *l)
{
    const int64_t number = l->first + l->next;
    bool has_ended[RESULTS_MAX_SAMPLES] = {false};
    int n_ended = 0;
    mill_err err = MILL_OK;

    for (int64_t i = l->row_at; i < l->rows.n && l->rows.row[i].record == number; i++) {
        const result_row *row = &l->rows.row[i];
        if (row->outcome == OUTCOME_NONE || has_ended[row->sample]) continue;
        has_ended[row->sample] = true;
        n_ended++;
    }
    if (n_ended < r->o->samples) err = begin_record(r, l, number, has_ended);
    while (l->row_at < l->rows.n && l->rows.row[l->row_at].record == number) l->row_at++;
    l->next++;
    if (l->next == l->n) row_list_free(&l->rows);
    return err ? err : finish_lease(r, l);
}

/* ---- how much is held ---- */

static int64_t sum_of_windows(const runner *r)
{
    int64_t sum = 0;

    for (int g = 0; g < N_GROUPS; g++) {
        for (int i = 0; r->group[g] && i < servers_n(r->group[g]); i++) {
            server_view v;
            servers_view(r->group[g], i, &v);
            sum += v.window;
        }
    }
    return sum;
}

static bool has_room(const runner *r, int64_t most_active)
{
    const bool low = r->o->low_memory;

    if (r->ready[0].n >= (low ? ahead_low : ahead) || r->n_active >= most_active) return false;
    return !r->n_active || r->held_bytes < (low ? most_low : most_bytes);
}

mill_err run_deal(runner *r)
{
    lease *l;

    if (!has_room(r, INT64_MAX)) return MILL_OK;
    const int64_t most_active = 2 * (sum_of_windows(r) + ahead);
    while (has_room(r, most_active)) {
        TRY(current_lease(&l, r));
        if (!l) break;
        TRY(deal_record(r, l));
    }
    return MILL_OK;
}

bool run_is_done(const runner *r)
{
    return !r->n_active && !r->leases && r->none_left && !r->left;
}

void run_deal_free(runner *r)
{
    for (active *a = r->first, *next; a; a = next) {
        next = a->next;
        run_cancel(a);
        drop(a);
    }
    for (lease *l = r->leases, *after; l; l = after) {
        after = l->after;
        free_lease(l);
    }
    r->leases = NULL;
    for (int g = 0; g < N_GROUPS; g++) {
        queue_free(&r->ready[g]);
        queue_free(&r->suspects[g]);
    }
}
