/*
 * mock_fault.c - the script of faults.  A line: conditions, then one fault.
 *
 *     when   nth=N every=N          the N-th chat, or path request; each N-th
 *            attempt=N attempt<=N   the N-th time that this very request comes; the first N times
 *            share=0.05             so many of all requests, chosen by their hash
 *            once                   the first time that the rest of the line fits
 *            stage=generate|evaluate|improve
 *            text=WORDS             in the body; %20 is a space
 *            path=/health           a request that is no chat
 *     what   status:429 reset-before reset-body close-body torn drip:RATE bad-utf8 odd-chunks:N
 *            long-length short-length duplicate-keys huge:BYTES no-finish error-mid no-choices
 *            pings finish:WORD null-content empty-content context crash hang hang-body not-http
 *     with   retry-after=S latency=S rates=REQUESTS,TOKENS,SECONDS
 *
 * The first line that fits a request acts.  # begins a comment.
 */
#include "mock/mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fault_names[N_FAULT] = {
    "none",         "status",         "reset-before", "reset-body",   "close-body",
    "torn",         "drip",           "bad-utf8",     "odd-chunks",   "long-length",
    "short-length", "duplicate-keys", "huge",         "no-finish",    "error-mid",
    "no-choices",   "pings",          "finish",       "null-content", "empty-content",
    "context",      "crash",          "hang",         "hang-body",    "not-http"};

static char *decoded(const char *s)
{
    char *out = strdup(s), *to = out;

    if (!out) mock_die("no memory");
    for (; *s; s++) {
        unsigned byte;
        if (*s == '%' && sscanf(s + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
    return out;
}

static const char *value_of(const char *word, const char *name)
{
    const size_t n = strlen(name);

    return strncmp(word, name, n) ? NULL : word + n;
}

static bool take_condition(fault *f, const char *w)
{
    const char *v;

    if ((v = value_of(w, "nth=")))
        f->nth = atoll(v);
    else if ((v = value_of(w, "every=")))
        f->every = atoll(v);
    else if ((v = value_of(w, "attempt=")))
        f->attempt = atoll(v);
    else if ((v = value_of(w, "attempt<=")))
        f->attempt_most = atoll(v);
    else if ((v = value_of(w, "share=")))
        f->share = atof(v);
    else if ((v = value_of(w, "text=")))
        f->text = decoded(v);
    else if ((v = value_of(w, "path=")))
        f->path = decoded(v);
    else if ((v = value_of(w, "retry-after=")))
        f->retry_after = atof(v);
    else if ((v = value_of(w, "latency=")))
        f->latency = atof(v);
    else if ((v = value_of(w, "rates=")))
        f->rates = decoded(v);
    else if (!strcmp(w, "once"))
        f->once = 1;
    else if ((v = value_of(w, "stage="))) {
        for (f->stage = 0; strcmp(v, ask_stage_names[f->stage]) != 0; f->stage++)
            if (f->stage == ASK_OTHER) mock_die("no such stage: %s", v);
    } else
        return false;
    return true;
}

static void take_fault(fault *f, const char *w)
{
    const size_t n = strcspn(w, ":");

    for (int k = 1; k < N_FAULT; k++)
        if (strlen(fault_names[k]) == n && !memcmp(fault_names[k], w, n)) f->kind = (fault_kind)k;
    if (!f->kind) mock_die("the script of faults has a word that is none: %s", w);
    if (w[n]) {
        f->arg = atof(w + n + 1);
        f->word = decoded(w + n + 1);
    }
}

void faults_add(faults *fs, const char *line)
{
    fault f = {.share = -1, .stage = -1, .retry_after = -1, .latency = -1};
    char *copy = strdup(line), *save = NULL;
    int words = 0;

    if (!copy) mock_die("no memory");
    for (char *w = strtok_r(copy, " \t\r\n", &save); w && *w != '#';
         w = strtok_r(NULL, " \t\r\n", &save), words++)
        if (!take_condition(&f, w)) take_fault(&f, w);
    free(copy);
    if (!words) return;
    fs->f = realloc(fs->f, (size_t)(fs->n + 1) * sizeof *fs->f);
    if (!fs->f) mock_die("no memory");
    fs->f[fs->n++] = f;
}

void faults_read(faults *fs, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;

    if (!file) mock_die("%s: cannot be read", path);
    while (getline(&line, &cap, file) > 0) faults_add(fs, line);
    free(line);
    fclose(file);
}

static bool fits(const fault *f, const fault_case *c)
{
    if (f->path ? strcmp(f->path, c->path) != 0 : c->stage < 0) return false;
    if (f->nth && f->nth != c->nth) return false;
    if (f->every && c->nth % f->every) return false;
    if (f->attempt && f->attempt != c->attempt) return false;
    if (f->attempt_most && f->attempt_most < c->attempt) return false;
    if (f->share >= 0 && unit64(mix64(c->hash ^ 77)) >= f->share) return false;
    if (f->stage >= 0 && f->stage != c->stage) return false;
    return !f->text || memmem(c->body, c->n, f->text, strlen(f->text));
}

const fault *faults_find(faults *fs, const fault_case *c)
{
    for (int i = 0; i < fs->n; i++) {
        fault *f = fs->f + i;
        if (f->once == 2 || !fits(f, c)) continue;
        if (f->once) f->once = 2;
        return f;
    }
    return NULL;
}
