/*
 * reason_verify.c - `tabmill reason verify FILE`: answers against gold, without a model.
 *
 * Each record is read, judged and forgotten, so memory does not grow with the file.
 */
#include "cli/prior.h"
#include "cli/reason.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "reason/answer.h"
#include "reason/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_verify.def"
} verify_flags;
#undef OPT

typedef struct {
    verify_flags verify;
    prior_talk talk;
} verify_options;

#define OPT        OPT_ROW
#define OPT_STRUCT verify_flags
static const opt_row rows[] = {
#include "cli/reason_verify.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(verify_options, verify)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(verify_options, talk)},
};
const opt_set reason_verify_set = {
    .command = "reason verify",
    .usage = "reason verify FILE [-o verdicts.jsonl] [options]",
    .about = "Compare the answers in records (.jsonl, .json, .csv, .tsv, .parquet, maybe .gz or "
             ".zst) with "
             "the right ones, without a model.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(verify_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FILE",
};

/* What can come of a record, beside the verdicts. */
enum { NO_GOLD = ANSWER_N_VERDICT, UNREADABLE, N_OUTCOMES };
static const char *const outcome_words[N_OUTCOMES] = {
    [ANSWER_EQUAL] = "equal",
    [ANSWER_DIFFERENT] = "different",
    [ANSWER_UNSUPPORTED] = "unsupported: not understood, or too close to call",
    [ANSWER_MISSING] = "no answer: nothing in a box",
    [NO_GOLD] = "no gold: absent, or a proof",
    [UNREADABLE] = "unreadable: no record, or no text",
};
static const char *const outcome_names[N_OUTCOMES] = {"equal",     "different", "unsupported",
                                                      "no_answer", "no_gold",   "unreadable"};

typedef struct {
    const verify_flags *o;
    record_file *records;
    const char *text_field;
    mill_file *out;
    int64_t count[N_OUTCOMES];
} verify_work;

/* One record and what was found in it. */
typedef struct {
    json_t *record;
    char *gold, *text;
    answer_span given;
    char why[256];
} judged;

static int judge(judged *j, const verify_work *w, int64_t i)
{
    if (records_read(&j->record, w->records, i)) {
        snprintf(j->why, sizeof j->why, "%s", mill_error());
        return UNREADABLE;
    }
    if (record_text(&j->gold, j->record, w->o->answer_field) ||
        !answer_is_gold((answer_span){j->gold, strlen(j->gold)}))
        return NO_GOLD;
    if (record_text(&j->text, j->record, w->text_field)) {
        snprintf(j->why, sizeof j->why, "%s", mill_error());
        return UNREADABLE;
    }
    if (!answer_boxed(&j->given, j->text, strlen(j->text))) return ANSWER_MISSING;
    return (int)answer_compare((answer_span){j->gold, strlen(j->gold)}, j->given);
}

static mill_err write_verdict(const verify_work *w, const judged *j, int64_t i, int outcome)
{
    json_t *o = json_pack("{s:I}", "record", (json_int_t)i);
    json_t *id = j->record ? json_object_get(j->record, w->o->id_field) : NULL;

    if (id) json_object_set(o, "id", id);
    json_object_set_new(o, "verdict", json_string(outcome_names[outcome]));
    if (j->gold) json_object_set_new(o, "gold", json_string(j->gold));
    if (j->given.s) json_object_set_new(o, "given", json_stringn(j->given.s, j->given.n));
    if (*j->why) json_object_set_new(o, "why", json_string(j->why));
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    const mill_err err = text ? file_printf(w->out, "%s\n", text)
                              : mill_fail(MILL_ENOMEM, "no memory for a verdict");
    free(text);
    json_decref(o);
    return err;
}

static mill_err verify_one(verify_work *w, int64_t i)
{
    judged j = {0};
    const int outcome = judge(&j, w, i);

    w->count[outcome]++;
    const mill_err err = w->out ? write_verdict(w, &j, i, outcome) : MILL_OK;
    json_decref(j.record);
    mill_free(j.gold);
    mill_free(j.text);
    return err;
}

/* The default is what a run writes, or what a data set has; it is said. */
static mill_err choose_text(verify_work *w)
{
    json_t *first;

    if ((w->text_field = w->o->text_field)) return MILL_OK;
    w->text_field = "solution";
    if (records_read(&first, w->records, 0)) return MILL_OK;
    if (json_object_get(first, "reasoning")) w->text_field = "reasoning";
    if (!json_object_get(first, w->text_field)) {
        json_decref(first);
        return mill_fail(MILL_EINPUT, "the first record has neither \"reasoning\" nor "
                                      "\"solution\": --text-field NAME says where answers are");
    }
    json_decref(first);
    cli_say("answers are taken from \"%s\"", w->text_field);
    return MILL_OK;
}

static mill_err verify(verify_work *w, const char *path)
{
    const char *to = w->o->output;
    const bool replaces = to && !strcmp(to, "-");

    if (to) TRY(cli_check_apart(to, path));
    if (to) TRY(cli_check_output(to, w->o->force));
    TRY(records_open(&w->records, path, NULL));
    TRY(choose_text(w));
    if (to) TRY(replaces ? file_create(&w->out, to) : file_create_atomic(&w->out, to));
    const int64_t n = records_count(w->records);
    for (int64_t i = 0; i < n; i++) TRY(verify_one(w, i));
    if (to) TRY(replaces ? file_flush(w->out) : file_commit(w->out));
    if (replaces) return MILL_OK;
    printf("%-50s %10lld\n", "records", (long long)n);
    for (int k = 0; k < N_OUTCOMES; k++)
        printf("%-50s %10lld\n", outcome_words[k], (long long)w->count[k]);
    return MILL_OK;
}

int cmd_reason_verify(int argc, char **argv)
{
    verify_options o;
    verify_work w = {.o = &o.verify};
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &reason_verify_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&reason_verify_set, o.talk.quiet);
    const bool failed = verify(&w, p.arg[0]);
    const bool unread = failed && o.verify.output && cli_reader_went_away(o.verify.output);
    status = failed && !unread ? cli_error(&reason_verify_set) : 0;
    file_close(w.out);
    records_close(w.records);
    opt_free(&p);
    return status;
}
