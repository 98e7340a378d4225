/* rows.c - the tables of options that several commands share. */
#include "cli/cli.h"

#define OPT OPT_ROW

#define OPT_STRUCT talk_options
const opt_row talk_rows[] = {
#include "cli/talk.def"
    {0}};
#undef OPT_STRUCT

#define OPT_STRUCT csv_flags
const opt_row csv_rows[] = {
#include "cli/csv.def"
    {0}};
#undef OPT_STRUCT

#define OPT_STRUCT column_options
const opt_row column_rows[] = {
#include "cli/columns.def"
    {0}};
#undef OPT_STRUCT

#define OPT_STRUCT run_options
const opt_row run_rows[] = {
#include "cli/run.def"
    {0}};
#undef OPT_STRUCT

#define OPT_STRUCT file_options
const opt_row file_rows[] = {
#include "cli/file.def"
    {0}};
#undef OPT_STRUCT

#define OPT_STRUCT synth_config
const opt_row synth_rows[] = {
#include "synth/options.def"
    {0}};
#undef OPT_STRUCT
