/*
 * tabmill.h - synthetic tables: the public interface, for C and whatever can call C.
 *
 *     mill_engine  threads, shared by all that is opened with it
 *     mill_table   typed columns in memory
 *     mill_model   a fitted synthesizer, opened from its file
 *
 * A function that can fail returns 0 or one of the codes below; mill_error() then says in words
 * what was wrong, and nothing has changed.  Outputs come first.  Strings are UTF-8.  Nothing here
 * prints, exits or aborts; warnings go where mill_on_warning() says.
 *
 * An engine and what was opened with it belong to one thread at a time; different engines are
 * independent.  Close an engine last.
 */
#ifndef TABMILL_H
#define TABMILL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TABMILL_OK = 0,
    TABMILL_ENOMEM = 1, /* not enough memory */
    TABMILL_ESHAPE = 2, /* things that do not fit together */
    TABMILL_EINPUT = 3, /* a file, an option or a value is wrong */
    TABMILL_EIO = 4,    /* the system refused */
    TABMILL_EDEVICE = 5 /* the processor lacks something */
};

typedef struct mill_engine mill_engine;
typedef struct mill_table mill_table;
typedef struct mill_model mill_model;

/* "0.1.0" */
const char *mill_version(void);

/* What went wrong last on this thread; never NULL, and valid until the next failure on it. */
const char *mill_error(void);

/*
 * Warnings of the whole process, a line each, as of a column that one odd value makes a category:
 * they go to fn, on whatever thread they come up; NULL, and until this is called: nowhere.  Call it
 * before other threads use the library.
 */
typedef void (*mill_warning)(void *ctx, const char *line);
void mill_on_warning(mill_warning fn, void *ctx);

/* Threads to work with; `threads` <= 0 takes what affinity and cgroup allow.  Results do not depend
 * on the number. */
int mill_engine_open(mill_engine **out, int threads);
void mill_engine_close(mill_engine *e); /* NULL is allowed */

/*
 * Read a table: .npy and .npz by its name, Parquet also by its first bytes, else CSV, which may be
 * compressed by gzip or zstd.  options: "key=value" strings, NULL at the end, or NULL for none:
 *
 *   - delimiter=; and header=yes|no instead of sniffing
 *   - na=NA,? are the words that mean missing
 *   - types=FILE has the columns' types, as `tabmill inspect` writes it
 *   - columns=a,b reads only these, drop=a,b not these
 *   - discrete=NAME is a category; repeats
 */
int mill_table_open(mill_table **out, mill_engine *e, const char *path, const char *const *options);
/* The same; columns that `like` has as well get its types: a synthetic table, a holdout. */
int mill_table_open_like(mill_table **out, mill_engine *e, const char *path, const mill_table *like,
                         const char *const *options);
void mill_table_free(mill_table *t); /* NULL is allowed */

/* Write a table by its name's suffix: .npy, .npz, .parquet, .tsv, else CSV, which "-" (stdout) is
 * too; over a file only with `force`. */
int mill_table_save(const mill_table *t, mill_engine *e, const char *path, int force);

int64_t mill_table_rows(const mill_table *t);
int mill_table_columns(const mill_table *t);
/* NULL if there is no such column; belongs to the table. */
const char *mill_table_name(const mill_table *t, int column);
/* "integer", "real", "boolean", "category", "datetime", "identifier"; NULL: no such column. */
const char *mill_table_type(const mill_table *t, int column);
/*
 * One cell of an integer, real or datetime (seconds since 1970 UTC) column.
 * 1: *value was set; 0: missing, or no such cell, or text.
 */
int mill_table_number(double *value, const mill_table *t, int column, int64_t row);
/*
 * One cell of a boolean, category or identifier column: up to size - 1 bytes and a NUL go to buf.
 * The length of the whole text; -1: missing, or no such cell, or a number.
 */
int64_t mill_table_text(char *buf, int64_t size, const mill_table *t, int column, int64_t row);

/*
 * Called after each step, and once more when all is done (step == steps): `value` is the first of
 * the method's metrics (the mixture's log-likelihood per row, a network's first loss).  Anything
 * but 0 stops the fit, which then fails with TABMILL_EINPUT and writes nothing.
 */
typedef int (*mill_progress)(void *ctx, int64_t step, int64_t steps, double value);

/*
 * Fit a synthesizer to a table and write its model file, whole or not at all; a file of that name
 * is replaced.  options are the training options of `tabmill fit` as "key=value", NULL at the end,
 * or NULL for none: "method=ctgan", "epochs=100", "seed=7", ...  The default method is auto; an
 * option that the method does not use is refused.
 *
 * The file is the command's, byte for byte.  With "early-stop=N" the fit ends after N probes
 * ("probe-every=K" epochs apart) without a better quality, and the best state is the one that is
 * written; until then it is kept in memory.  Checkpoints and resuming are the command's alone.
 */
int mill_model_fit(const char *path, mill_engine *e, const mill_table *t,
                   const char *const *options, mill_progress progress, void *ctx);

/* Open a model file; the table that it was fitted to is not needed. */
int mill_model_open(mill_model **out, mill_engine *e, const char *path);
void mill_model_close(mill_model *m); /* NULL is allowed */
/* "mixture", ...; belongs to the model. */
const char *mill_model_method(const mill_model *m);

/*
 * Draw n rows into a new table.  Row i is a function of model, seed and conditions alone.  where:
 * conditions like "age>=30", "sex=male", "income=" (missing), 32 at most, NULL at the end, or NULL
 * for none; all are to hold.  TABMILL_EINPUT where fewer than one row in 10,000 meets them.
 */
int mill_model_sample(mill_table **out, mill_model *m, int64_t n, uint64_t seed,
                      const char *const *where);

/* The same rows into a file, in batches: the memory does not grow with n (.npy and .npz: it does).
 */
int mill_model_sample_file(const char *path, mill_model *m, int64_t n, uint64_t seed,
                           const char *const *where, int force);

/*
 * Log-likelihood of each row of a table, in nats: out has room for all its rows.  -inf: the model
 * cannot make such a row.  TABMILL_EINPUT if the method has no likelihood, or the table lacks a
 * column.
 */
int mill_model_score(double *out, mill_model *m, const mill_table *t);

/*
 * Compare a synthetic table with the real one: what `tabmill evaluate --json` writes but for the
 * files, as one JSON text with a NUL (docs/evaluate.md has its keys); mill_report_free it.
 * holdout: real rows that the synthesizer was not fitted to, or NULL.  options, NULL at the end,
 * or NULL for none:
 *
 *   - target=COLUMN is what learners are to predict; without it there is no utility
 *   - sdmetrics-compat=yes|no: all details as SDMetrics has them
 *   - sensitive=COLUMN and known=COLUMN, which repeats: what an attacker would like to know, and
 *     what she knows
 *   - key=COLUMN names a row and has no distribution
 *   - max-rows=N of a table for what looks at pairs of rows, and for learners (50000)
 *   - seed=N of the learners' folds and draws (0)
 *
 * Types are the real table's; open the others with mill_table_open_like().  TABMILL_EINPUT where a
 * table has no rows, no column is common, or the target is not there.
 */
int mill_table_evaluate(char **json, mill_engine *e, const mill_table *real,
                        const mill_table *synthetic, const mill_table *holdout,
                        const char *const *options);
void mill_report_free(char *json); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
