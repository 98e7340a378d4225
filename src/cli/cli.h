/*
 * cli.h - what the commands share: their tables of options, reading tables, talking, refusing
 * early.
 */
#ifndef MILL_CLI_CLI_H
#define MILL_CLI_CLI_H

#include "base/log.h"
#include "cli/options.h"
#include "synth/synth.h"
#include "table/csv.h"
#include "table/writer.h"
#include "train/loop.h"

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv); /* exit status */
    const opt_set *set;
    const char *about;
} command;

/* What a command does besides its own: `tabmill prior show`. */
typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
} cli_verb;
/* main.c: runs the verb that argv[0] names, and refuses a word that is none.  false: there is no
 * word, the command itself is meant. */
bool cli_run_verb(int *status, const opt_set *set, const cli_verb *verbs, int n, int argc,
                  char **argv);

int cmd_fit(int argc, char **argv);
int cmd_sample(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_score(int argc, char **argv);
int cmd_estimate(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_launch(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_prior(int argc, char **argv);
int cmd_generate_data(int argc, char **argv);
int cmd_reason(int argc, char **argv);
extern const opt_set fit_set, sample_set, generate_set, evaluate_set, score_set, estimate_set,
    inspect_set, train_set, predict_set, devices_set, launch_set, monitor_set, bench_set,
    prior_run_set, generate_data_set, reason_set;

#define OPT OPT_FIELD
typedef struct {
#include "cli/talk.def"
} talk_options;
typedef struct {
#include "cli/csv.def"
} csv_flags;
typedef struct {
#include "cli/columns.def"
} column_options;
typedef struct {
#include "cli/run.def"
} run_options;
typedef struct {
#include "cli/file.def"
} file_options;
#undef OPT

extern const opt_row talk_rows[], csv_rows[], column_rows[], run_rows[], file_rows[], synth_rows[];

/* Rows of a table whose fields lie in OPT_STRUCT: OPT is OPT_ROW, and the .def is included inside
 * an array that ends in {0}. */
#define OPT_ROW(kind, field, name, letter, def, least, most, value, help) \
    {OPT_##kind,                                                          \
     offsetof(OPT_STRUCT, field),                                         \
     name,                                                                \
     letter,                                                              \
     OPT_DEF_##kind(def),                                                 \
     (double)(least),                                                     \
     (double)(most),                                                      \
     value,                                                               \
     help},
#define OPT_COUNT(rows) (int)(sizeof(rows) / sizeof *(rows))

/* talk.c */
void cli_talk_early(void);                     /* warnings, until a command says how it talks */
void cli_talk(const opt_set *set, bool quiet); /* the log alone: before ranks are forked */
void cli_talk_least(mill_log_level least);     /* of what the log says */
void cli_mute(void); /* this rank has nothing to say: rank 0 speaks for all */
int cli_begin(mill_pool **pool, const opt_set *set,
              const talk_options *o); /* log and threads; 0, or the exit status */
int cli_error(const opt_set *set);    /* prints the last error; returns 1 */
void cli_say(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));   /* stderr, unless --quiet */
int cli_exit_status(void);                   /* 130 or 143 after a signal, else 0 */
bool cli_reader_went_away(const char *path); /* path is "-" and nobody reads stdout any more */

/* launch.c: in a rank, become the program; arg ends with NULL.  x.py is run by python3 unless
 * as_it_is; a module by python3 -m.  Returns only if that cannot be: 126 or 127. */
int cli_become(const opt_set *set, const char *const *arg, bool as_it_is, bool is_module);

/* launch_ask.c */
int cli_launch_ask(void); /* exit status */

/* input.c */
typedef struct {
    const char *path; /* "-": stdin, which is a regular file by then */
    int64_t bytes;
    char hash[33]; /* XXH3, 128 bits, of the content */
} cli_input;
mill_err cli_input_open(cli_input *in, const char *path); /* spools stdin, hashes the content */
mill_err cli_input_keep(const char *path); /* "-": spools stdin now, for a model, or for ranks */
bool cli_is_same_file(const char *a, const char *b); /* by whatever names; both are there */
bool cli_is_pipe(const char *path);                  /* a named one, or the shell's <(...) */
mill_err cli_hash_file(char hash[33], int64_t *bytes, const char *path);
/* `p` says whether --header was given. */
void cli_csv_options(csv_options *out, const opt_parsed *p, const csv_flags *csv,
                     const column_options *columns);
/* MILL_EINPUT if the file exists (unless force) or cannot be made there; "-" is fine. */
mill_err cli_check_output(const char *path, bool force);
const char *cli_shown(const char *output); /* in words to the user: stdout for "-" */
/* MILL_EINPUT if the output is the very file that is read, by whatever name: --force is meant for
 * results of an earlier run.  NULL and "-" are fine. */
mill_err cli_check_apart(const char *output, const char *input);

/* model.c */
/* MILL_EINPUT if the path is a folder: what it is, and which command takes it. */
mill_err cli_check_not_folder(const char *path);
mill_err cli_model_open(synth_model **out, const char *path, mill_pool *pool); /* of a fit */

/* method.c */
extern const char
    *const cli_refused[]; /* options of document 2 that are not there yet, with the reasons */
int cli_check_method(const opt_set *set, const char *name); /* 0, or 2 with the reason */
int cli_check_device(const opt_set *set, const char *device);
bool cli_row_is_used(const opt_row *r, const char *method); /* synth rows: r->value lists methods */
/* An option of another method on the command line would do nothing: refused, 2. */
int cli_check_used(const opt_parsed *p, const char *method);
/* The configuration says what is trained; a resume must agree with it.  Its parts: the options of
 * `method` out of `fields`, what reading depends on, the content of a file. */
void cli_config_options(json_t *config, const opt_set *set, const char *method, const void *fields);
void cli_config_csv(json_t *config, const csv_options *csv);
json_t *cli_config_file(const cli_input *in);

/* fitting.c: read, choose, train; what fit and generate share. */
typedef struct {
    file_options files;
    run_options run;
    synth_config synth;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} fit_options;
typedef struct {
    const opt_parsed *p;
    run_options *run;
    synth_config *synth;
    const csv_flags *csv;
    const column_options *columns;
    talk_options *talk;
    const char *input;
    const char *output;    /* what must not be overwritten; names the run folder too */
    bool model_in_run;     /* the model is only a step on the way: it lies in the run folder */
    bool after_on_all;     /* what follows the fit is done by all ranks */
    int64_t rows;          /* of the result, where they are a part of the configuration; else 0 */
    const opt_list *where; /* conditions on it: what no table can meet is refused before training */
    const void *ctx;       /* of what follows the fit */
    rank_group *group;     /* that trains together; NULL: this process alone */
} fitting;
typedef struct {
    bool was_finished; /* --resume found everything done */
    bool is_interrupted;
    int64_t rows; /* of the input */
    char run_dir[4096], model[4112];
    bool run_is_temporary;
    json_t *config, *manifest;
} fitted;
fitting cli_fitting(const opt_parsed *p, fit_options *o); /* both borrowed */
/* The fit, as several ranks where --nproc says so or this process is one of several; then, if
 * there is a new model, `after` on rank 0, or on all.  Exit status. */
int cli_fit_and(fitting *f, int (*after)(const fitted *done, const fitting *f, mill_pool *pool));
/* The output stands: tidy the run folder. */
mill_err cli_fit_finish(const fitted *out, const fitting *f);
/* The manifest in MODEL.run that says how the model was fitted (input's hash, version, level);
 * null, which is new, where there is none or it is another fit's: `options` are the model's. */
json_t *cli_fit_manifest(const char *model, const json_t *options);

/* memory.c: what the libraries that a method calls will add to what the process holds. */
int64_t cli_library_bytes(const synth_method *m);
/* A batch of rows as drawn and as text, which `tabmill sample` holds beside the model. */
int64_t cli_draw_bytes(const synth_schema *s, int64_t batch);
/* The largest batch whose fit takes at most `bytes`; 0: none, or the method has no
 * batches. */
int64_t cli_largest_batch(const synth_method *m, const synth_schema *s, const synth_config *c,
                          int threads, int64_t bytes);

/* draw.c, draw_ranks.c: rows from a model to a file. */
typedef struct {
    const char *model, *output;
    int64_t rows; /* 0: as many as the model was trained on */
    int64_t batch;
    uint64_t seed;
    bool force, quiet;
    const opt_list *where;
} drawing;
typedef struct {
    const drawing *d;
    synth_model *model;
    synth_where *where;
    synth_sampler *sampler;
    table_writer *writer; /* NULL: an array, written as one */
    bool is_interrupted;
    bool went_away; /* nobody reads the output any more */
} draw_work;
/* Whether each has the form of a condition; 0 or 2. */
int cli_check_where(const opt_set *set, const opt_list *where);
mill_err cli_draw_shared(draw_work *w, int64_t rows, mill_pool *pool, rank_group *group);
/* The ranks of `group` together, each with the same arguments; NULL: this process alone.  Exit
 * status. */
int cli_draw(const opt_set *set, const drawing *d, mill_pool *pool, rank_group *group);

#endif
