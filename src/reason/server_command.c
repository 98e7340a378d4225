/*
 * server_command.c - the command line of a server that we start.
 *
 *     vllm serve {model} --port {port}
 *
 * Words are split as a shell does it, and each is filled in after that, so that a model's path may
 * hold anything.
 */
#include "reason/server_inner.h"

#include "base/text.h"

#include <string.h>
#include <unistd.h>

static const char *const places[] = {"model", "port", "gpu", "socket", "cache"};
enum { N_PLACES = sizeof places / sizeof *places, MOST_WORDS = 512 };

static const char *filling(const command_fill *fill, int place)
{
    const char *const with[N_PLACES] = {fill->model, fill->port, fill->gpu, fill->socket,
                                        fill->cache};
    return with[place];
}

/* The place that s, behind a {, names; -1: none. */
static int place_at(const char *s)
{
    for (int i = 0; i < N_PLACES; i++) {
        const size_t n = strlen(places[i]);
        if (!strncmp(s, places[i], n) && s[n] == '}') return i;
    }
    return -1;
}

bool command_names(const char *text, const char *what)
{
    for (const char *c = strchr(text, '{'); c; c = strchr(c + 1, '{')) {
        const int place = place_at(c + 1);
        if (place >= 0 && !strcmp(places[place], what)) return true;
    }
    return false;
}

/* Adds the character at *s, or what stands for the {place} there. */
static mill_err add_filled(mill_text *word, const char **s, const command_fill *fill)
{
    const int place = **s == '{' ? place_at(*s + 1) : -1;

    if (place < 0) {
        text_add_bytes(word, (*s)++, 1);
        return MILL_OK;
    }
    const char *with = filling(fill, place);
    if (!with)
        return mill_fail(MILL_EINPUT, "--serve: the command has {%s}, but there is none",
                         places[place]);
    text_add(word, "%s", with);
    *s += strlen(places[place]) + 2;
    return MILL_OK;
}

/* One word from *s on, which is no blank. */
static mill_err take_word(mill_text *word, const char **s, const command_fill *fill)
{
    char quote = 0;

    for (text_clear(word); **s && (quote || !strchr(" \t\n", **s));) {
        const char c = **s;
        if (quote ? c == quote : c == '\'' || c == '"') {
            if (quote)
                quote = 0;
            else
                quote = c;
            (*s)++;
        } else if (c == '\\' && quote != '\'' && (*s)[1]) {
            text_add_bytes(word, *s + 1, 1);
            *s += 2;
        } else {
            TRY(add_filled(word, s, fill));
        }
    }
    if (quote) return mill_fail(MILL_EINPUT, "--serve: a %c is not closed", quote);
    return text_check(word);
}

mill_err command_words(char ***words, int *n, mill_arena *a, const char *text,
                       const command_fill *fill)
{
    char **w = mill_arena_alloc(a, MOST_WORDS + 1, sizeof *w);
    mill_text word = {0};
    mill_err err = w ? MILL_OK : MILL_ENOMEM;
    int count = 0;

    while (!err) {
        text += strspn(text, " \t\n");
        if (!*text || (err = take_word(&word, &text, fill))) break;
        if (count == MOST_WORDS)
            err = mill_fail(MILL_EINPUT, "--serve: more than %d words", MOST_WORDS);
        else if (!(w[count++] = mill_arena_strdup(a, word.len ? word.s : "")))
            err = MILL_ENOMEM;
    }
    text_free(&word);
    if (!err && !count) err = mill_fail(MILL_EINPUT, "--serve: an empty command");
    if (err) return err;
    *words = w;
    *n = count;
    return MILL_OK;
}

mill_err command_join(char ***words, mill_arena *a, int n, char *const *more, int n_more)
{
    char **w = mill_arena_alloc(a, (size_t)n + (size_t)n_more + 1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    memcpy(w, *words, (size_t)n * sizeof *w);
    memcpy(w + n, more, (size_t)n_more * sizeof *w);
    *words = w;
    return MILL_OK;
}

static bool has_name(char *const *words, int n, const char *assignment)
{
    const size_t len = strcspn(assignment, "=") + 1;

    for (int i = 0; i < n; i++)
        if (!strncmp(words[i], assignment, len)) return true;
    return false;
}

mill_err command_environment(char ***env, mill_arena *a, char *const *words, int n,
                             const char *over)
{
    int had = 0, count = 0;

    while (environ[had]) had++;
    char **e = mill_arena_alloc(a, (size_t)had + (size_t)n + 2, sizeof *e);
    char *last = over ? mill_arena_strdup(a, over) : NULL;
    if (!e || (over && !last)) return MILL_ENOMEM;
    for (int i = 0; i < had; i++)
        if (!over || !has_name(&last, 1, environ[i])) e[count++] = environ[i];
    for (int i = 0; i < n; i++)
        if (!has_name(environ, had, words[i])) e[count++] = words[i];
    e[count] = last;
    *env = e;
    return MILL_OK;
}
