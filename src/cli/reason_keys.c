/*
 * reason_keys.c - data sets by a key: which file a key is, its fields, and where to get it.
 *
 * Nothing is fetched, and nothing is made up where a file is missing: a key is a name for
 * DATA-DIR/KEY.jsonl or .parquet, or with a split DATA-DIR/KEY-SPLIT.jsonl or .parquet.
 */
#include "cli/reason.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *key, *problem, *solution, *answer, *about, *from;
} keys[] = {
    {"gsm8k", "question", "answer", "", "grade school word problems, 7,473 train and 1,319 test",
     "the Hugging Face hub, openai/gsm8k, configuration main"},
    {"math_qa", "Problem,options", "Rationale", "correct", "word problems with choices, 37,000",
     "the Hugging Face hub, allenai/math_qa"},
    {"math", "problem", "solution", "answer", "competition problems with solutions, 12,500",
     "the Hugging Face hub, EleutherAI/hendrycks_math"},
    {"asdiv", "body,question", "formula", "answer", "diverse word problems, 2,305",
     "the Hugging Face hub, EleutherAI/asdiv"},
    {"aqua", "question,options", "rationale", "correct", "algebra with choices, 97,000",
     "the Hugging Face hub, deepmind/aqua_rat"},
    {"numina_math", "problem", "solution", "answer", "competition problems, 860,000 and more",
     "the Hugging Face hub, AI-MO/NuminaMath-1.5 or AI-MO/NuminaMath-CoT"},
};

static const char *const ends[] = {".jsonl", ".parquet", ".jsonl.gz", ".jsonl.zst"};

static int find_key(const char *key)
{
    for (int i = 0; i < OPT_COUNT(keys); i++)
        if (!strcmp(keys[i].key, key)) return i;
    return -1;
}

/* The file of a key that is there; NULL: none is. */
static char *find_file(const char *key, const reason_data_options *o)
{
    for (int i = 0; i < OPT_COUNT(ends); i++) {
        mill_text path = {0};
        text_add(&path, "%s/%s%s%s%s", o->data_dir, key, o->split ? "-" : "",
                 o->split ? o->split : "", ends[i]);
        if (!path.failed && file_exists(path.s)) return path.s;
        text_free(&path);
    }
    return NULL;
}

int cli_reason_list(const reason_data_options *o)
{
    printf("%-12s %-18s %-10s %-8s %s\n", "key", "problem", "solution", "answer", "file");
    for (int i = 0; i < OPT_COUNT(keys); i++) {
        char *path = find_file(keys[i].key, o);
        printf("%-12s %-18s %-10s %-8s %s\n", keys[i].key, keys[i].problem, keys[i].solution,
               *keys[i].answer ? keys[i].answer : "-", path ? path : "not there");
        mill_free(path);
    }
    return 0;
}

static const char *nearest_key(const char *key)
{
    const char *names[OPT_COUNT(keys)];

    for (int i = 0; i < OPT_COUNT(keys); i++) names[i] = keys[i].key;
    return mill_nearest(key, names, OPT_COUNT(keys));
}

static int unknown_key(const opt_set *set, const char *key)
{
    const char *nearest = nearest_key(key);
    return opt_usage_error(set,
                           nearest ? "%s: no such key; did you mean %s?"
                                   : "%s: no such key; --list-datasets has them",
                           key, nearest);
}

int cli_reason_info(const opt_set *set, const reason_data_options *o)
{
    const int i = find_key(o->dataset_info);

    if (i < 0) return unknown_key(set, o->dataset_info);
    char *path = find_file(keys[i].key, o);
    printf("%s: %s\nfields: problem \"%s\", solution \"%s\"", keys[i].key, keys[i].about,
           keys[i].problem, keys[i].solution);
    printf(*keys[i].answer ? ", answer \"%s\"\n" : ", the answer stands in it\n", keys[i].answer);
    printf("get it from %s,\nand put it at %s/%s.jsonl or .parquet; nothing is downloaded here\n",
           keys[i].from, o->data_dir, keys[i].key);
    printf("now: %s\n", path ? path : "not there");
    mill_free(path);
    return 0;
}

mill_err cli_reason_dataset(char **path, reason_data_options *o, const opt_parsed *p)
{
    const int i = find_key(o->dataset);

    if (i < 0 && (o->split || opt_is_given(p, &o->data_dir)))
        return mill_fail(MILL_EINPUT,
                         "--%s goes with a key, and %s is none of them: --list-datasets has them",
                         o->split ? "split" : "data-dir", o->dataset);
    if (i < 0) {
        const char *nearest = file_exists(o->dataset) ? NULL : nearest_key(o->dataset);
        if (nearest)
            return mill_fail(MILL_EINPUT, "%s: no such file; did you mean the key %s?", o->dataset,
                             nearest);
        *path = mill_strdup(o->dataset);
        return *path ? MILL_OK : MILL_ENOMEM;
    }
    if (!opt_is_given(p, &o->problem_field)) o->problem_field = keys[i].problem;
    if (!opt_is_given(p, &o->solution_field)) o->solution_field = keys[i].solution;
    if (!opt_is_given(p, &o->answer_field)) o->answer_field = keys[i].answer;
    if ((*path = find_file(keys[i].key, o))) return MILL_OK;
    return mill_fail(
        MILL_EINPUT,
        "%s/%s%s%s.jsonl and .parquet are not there: get the data set from %s; nothing "
        "is downloaded here",
        o->data_dir, keys[i].key, o->split ? "-" : "", o->split ? o->split : "", keys[i].from);
}
