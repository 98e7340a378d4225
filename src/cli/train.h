/* train.h - what the files of `tabmill train` share. */
#ifndef MILL_CLI_TRAIN_H
#define MILL_CLI_TRAIN_H

#include "classify/classify.h"
#include "cli/cli.h"

#define OPT OPT_FIELD
typedef struct {
#include "cli/train.def"
} train_flags;
typedef struct {
#include "cli/ranks.def"
} rank_options_of_cli;
#undef OPT

typedef struct {
    train_flags run;
    rank_options_of_cli ranks;
    cls_config cls;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} train_command;

typedef struct {
    train_command *o;
    opt_parsed *p;
    rank_identity who;
    rank_group *group;
    mill_pool *pool;
    csv_options csv;
    cls_source source[3]; /* data, val, test */
    cli_input in[3];
    cls_encoder *encoder;
    cls_rows *rows[3]; /* train, val, test */
    cls_trainer *trainer;
    json_t *config, *manifest;
    train_options train;
    double began;
    train_end end;
    bool is_finished; /* --resume found everything done */
} train_work;

/* train_data.c: reads, splits and encodes; the configuration that a resume must agree with. */
mill_err train_read(train_work *w);
/* Collective: MILL_EINPUT on a rank whose data or options are not those of rank 0. */
mill_err train_compare(const train_work *w);
/* train_results.c: evaluates the best state, prints, writes training_results.json. */
mill_err train_report(train_work *w);

#endif
