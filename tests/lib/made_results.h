/*
 * made_results.h - stores of results in a folder of the test's own, rows whose content says what
 * they are, and a scan that counts them apart from the store's own counts.
 */
#ifndef TESTS_LIB_MADE_RESULTS_H
#define TESTS_LIB_MADE_RESULTS_H

#include "lib/folder.h"
#include "lib/test.h"

#include "base/file.h"
#include "base/library.h"
#include "base/mem.h"
#include "reason/results.h"

#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

#define HASH "0123456789abcdef0123456789abcdef"
enum { RECORDS = 1000, RANGE = 64 };

static inline results_options options(const char *path, const json_t *config)
{
    return (results_options){.where = path,
                             .name = "test",
                             .hash = HASH,
                             .config = config,
                             .records = RECORDS,
                             .range = RANGE,
                             .resume = true};
}

static inline json_t *config_of(const char *model)
{
    return json_pack("{s:s,s:f,s:s}", "model", model, "temperature", 0.5, "prompt", "Think.");
}

static inline results *opened(const char *path)
{
    json_t *config = config_of("m");
    const results_options o = options(path, config);
    results *r;

    assert_ok(results_open(&r, &o));
    json_decref(config);
    return r;
}

static inline results *opened_to_read(const char *path)
{
    const results_options o = {.where = path, .read_only = true};
    results *r;

    assert_ok(results_open(&r, &o));
    return r;
}

static inline void assert_refused(const results_options *o, const char *words)
{
    results *r = NULL;

    assert_fails(MILL_EINPUT, words, results_open(&r, o));
    assert_null(r);
}

static inline void remove_store(const char *path)
{
    static const char *const parts[] = {"", "-wal", "-shm", "-lock"};
    char name[240];

    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, parts[i]);
        assert_ok(file_remove(name));
    }
}

static inline void text_of(char out[200], int64_t record, int sample, int step)
{
    snprintf(out, 200, "answer %lld/%d/%d \xe2\x88\x9a", (long long)record, sample, step);
}

static inline result_row row_of(const char *content, int64_t record, int sample, int step)
{
    return (result_row){.record = record,
                        .sample = sample,
                        .step = step,
                        .stage = (reason_stage)(step % N_STAGE),
                        .finish = FINISH_STOP,
                        .outcome = step == 2 ? OUTCOME_GOOD : OUTCOME_NONE,
                        .score = step == 2 ? 0.5 : (double)NAN,
                        .attempts = 1,
                        .prompt_tokens = 7,
                        .completion_tokens = 11,
                        .cached_tokens = -1,
                        .content = content,
                        .n_content = strlen(content),
                        .reasoning = "",
                        .why = ""};
}

static inline mill_err put(results *r, int64_t record, int sample, int step)
{
    char text[200];

    text_of(text, record, sample, step);
    const result_row row = row_of(text, record, sample, step);
    return results_put(r, &row);
}

/* What a scan saw, counted apart from the store's own counts. */
typedef struct {
    int64_t rows, last_key, of_stage[N_STAGE], tokens, good, wrong;
    const char *only; /* content of every row, or NULL: text_of */
} scan;

static inline mill_err see(void *ctx, const result_row *row)
{
    scan *s = ctx;
    char want[200];
    const int64_t key = row->record * 65536 + row->sample * 256 + row->step;

    text_of(want, row->record, row->sample, row->step);
    if (s->only) snprintf(want, sizeof want, "%s", s->only);
    s->wrong += key <= s->last_key || strcmp(row->content, want) != 0 ||
                row->n_content != strlen(want) || (int)row->stage != row->step % N_STAGE;
    s->last_key = key;
    s->rows++;
    s->of_stage[row->stage]++;
    s->tokens += row->completion_tokens;
    s->good += row->outcome == OUTCOME_GOOD;
    return MILL_OK;
}

static inline scan scanned(results *r, int64_t first, int64_t n)
{
    scan s = {.last_key = -1};

    assert_ok(results_read(r, first, n, see, &s));
    assert_int_equal(s.wrong, 0);
    return s;
}

/* The counts of the store are those of its rows. */
static inline void assert_counted(results *r)
{
    const scan s = scanned(r, 0, RECORDS);
    results_counts c;
    int64_t tokens = 0;

    assert_ok(results_count(r, &c));
    for (int k = 0; k < N_STAGE; k++) {
        assert_int_equal(c.rows[k], s.of_stage[k]);
        tokens += c.completion_tokens[k];
    }
    assert_int_equal(tokens, s.tokens);
    assert_int_equal(c.outcome[OUTCOME_GOOD], s.good);
    assert_int_equal(c.score[10], s.good); /* 0.5 */
}

static struct sqlite_library {
    __typeof__(sqlite3_open) *sqlite3_open;
    __typeof__(sqlite3_exec) *sqlite3_exec;
    __typeof__(sqlite3_close) *sqlite3_close;
} sql;

static inline sqlite3 *direct(const char *path)
{
    static const char *const names[] = {"sqlite3_open", "sqlite3_exec", "sqlite3_close"};
    sqlite3 *db;

    assert_ok(library_open(&sql, names, LIBRARY_COUNT(names), "libsqlite3.so.0", ""));
    assert_int_equal(sql.sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static inline void change(const char *path, const char *text)
{
    sqlite3 *db = direct(path);

    assert_int_equal(sql.sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sql.sqlite3_close(db);
}

#endif
