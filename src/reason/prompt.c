/*
 * prompt.c - prompts: the texts of our own, and places filled in.
 *
 * A text is cut once into pieces, each literal bytes and the place behind them.  The problem comes
 * first in all three, so that a server that keeps the states of prefixes has those of a record's
 * later stages already.
 */
#include "reason/prompt.h"

#include "base/mem.h"

#include <jansson.h>
#include <string.h>

typedef struct {
    const char *s; /* in prompt.text */
    size_t n;
    int place; /* N_PLACE: none, at the end or behind {{ */
} piece;

struct prompt {
    char *text;
    piece *at;
    int n;
};

static const char *const place_names[N_PLACE] = {"problem",   "solution", "id",    "answer",
                                                 "reasoning", "feedback", "scores"};
/* How many of them, from the first on, a stage has. */
static const int n_places[N_STAGE] = {
    [STAGE_GENERATE] = PLACE_ANSWER, [STAGE_EVALUATE] = PLACE_FEEDBACK, [STAGE_IMPROVE] = N_PLACE};

static const char *const defaults[N_STAGE] = {
    [STAGE_GENERATE] =
        "Problem:\n{problem}\n\n"
        "Solve this problem. Reason step by step: say what is given and what is asked, justify "
        "each step, and check the result before you state it. Put the final answer, and nothing "
        "else, into \\boxed{} in the last line.\n",
    [STAGE_EVALUATE] =
        "Problem:\n{problem}\n\n"
        "Proposed reasoning:\n{reasoning}\n\n"
        "Reference solution (may be empty):\n{solution}\n\n"
        "Judge the proposed reasoning. Give each criterion a number from 0 (worst) to 1 (best):\n"
        "- correctness: are the steps and the final answer right?\n"
        "- step_by_step_clarity: is every step stated, and can it be followed?\n"
        "- logical_coherence: does each step follow from those before it?\n"
        "- mathematical_precision: are notation, conditions and computations exact?\n"
        "Say in feedback what is wrong or missing and how to repair it. Answer with one JSON "
        "object only, with the members correctness, step_by_step_clarity, logical_coherence, "
        "mathematical_precision and feedback.\n",
    [STAGE_IMPROVE] =
        "Problem:\n{problem}\n\n"
        "Earlier reasoning:\n{reasoning}\n\n"
        "A reviewer scored it: {scores}\n"
        "and said:\n{feedback}\n\n"
        "Write a better, complete solution from the beginning: repair what the reviewer found, "
        "keep "
        "what was right, justify each step, and check the result. Put the final answer, and "
        "nothing else, into \\boxed{} in the last line.\n",
};

const char *prompt_default(reason_stage s)
{
    return defaults[s];
}

const char *prompt_text(const prompt *p)
{
    return p->text;
}

/* The length of a name in braces at s, without them; 0: there is none. */
static size_t name_length(const char *s)
{
    size_t n = 0;

    if (*s != '{') return 0;
    while ((s[1 + n] >= 'a' && s[1 + n] <= 'z') || s[1 + n] == '_') n++;
    return s[1 + n] == '}' ? n : 0;
}

static mill_err find_place(int *out, reason_stage s, const char *name, size_t n)
{
    mill_text known = {0};

    for (*out = 0; *out < n_places[s]; ++*out)
        if (strlen(place_names[*out]) == n && !memcmp(place_names[*out], name, n)) return MILL_OK;
    for (int i = 0; i < n_places[s]; i++) text_add(&known, " {%s}", place_names[i]);
    const mill_err err = mill_fail(
        MILL_EINPUT, "the prompt to %s has no place {%.*s}, but%s; {{%.*s}} is that text itself",
        stage_name(s), (int)n, name, known.s ? known.s : "", (int)n, name);
    text_free(&known);
    return err;
}

static mill_err add_piece(prompt *p, const char *s, size_t n, int place)
{
    piece *at = mill_realloc(p->at, (size_t)p->n + 1, sizeof *at);

    if (!at) return MILL_ENOMEM;
    p->at = at;
    at[p->n++] = (piece){s, n, place};
    return MILL_OK;
}

static mill_err cut(prompt *p, reason_stage s)
{
    const char *from = p->text, *c = p->text;

    while (*c) {
        int place = N_PLACE;
        size_t n = *c == '{' && c[1] == '{' ? name_length(c + 1) : 0;

        if (n && c[n + 3] == '}') {
            TRY(add_piece(p, from, (size_t)(c - from), N_PLACE));
            TRY(add_piece(p, c + 1, n + 2, N_PLACE));
            from = c += n + 4;
        } else if ((n = name_length(c))) {
            TRY(find_place(&place, s, c + 1, n));
            TRY(add_piece(p, from, (size_t)(c - from), place));
            from = c += n + 2;
        } else {
            c++;
        }
    }
    return add_piece(p, from, (size_t)(c - from), N_PLACE);
}

static bool has_place(const prompt *p, prompt_place place)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].place == (int)place) return true;
    return false;
}

static mill_err check(const prompt *p, reason_stage s)
{
    json_t *utf8 = json_string(p->text);

    if (!utf8) return mill_fail(MILL_EINPUT, "the prompt to %s is not UTF-8", stage_name(s));
    json_decref(utf8);
    if (!has_place(p, PLACE_PROBLEM))
        return mill_fail(MILL_EINPUT, "the prompt to %s has no place {problem}", stage_name(s));
    if (s != STAGE_GENERATE && !has_place(p, PLACE_REASONING))
        return mill_fail(MILL_EINPUT, "the prompt to %s has no place {reasoning}", stage_name(s));
    return MILL_OK;
}

mill_err prompt_new(prompt **out, reason_stage s, const char *text)
{
    prompt *p = mill_alloc(1, sizeof *p);
    mill_err err = p && (p->text = mill_strdup(text)) ? MILL_OK : MILL_ENOMEM;

    if (!err) err = cut(p, s);
    if (!err) err = check(p, s);
    if (err)
        prompt_free(p);
    else
        *out = p;
    return err;
}

void prompt_free(prompt *p)
{
    if (!p) return;
    mill_free(p->at);
    mill_free(p->text);
    mill_free(p);
}

void prompt_fill(mill_text *out, const prompt *p, const char *const value[N_PLACE])
{
    for (int i = 0; i < p->n; i++) {
        const piece *at = &p->at[i];
        text_add_bytes(out, at->s, at->n);
        if (at->place < N_PLACE && value[at->place])
            text_add_bytes(out, value[at->place], strlen(value[at->place]));
    }
}
