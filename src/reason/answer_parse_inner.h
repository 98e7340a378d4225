/*
 * answer_parse_inner.h - what the files of answer_parse.c share: a cursor in tokens, new nodes.
 *
 *     answer_parse.c    lists, names, units, words: whole answers
 *     answer_term.c     values
 *
 * What does not go on clears `ok`; then nothing is read or made any more, and what comes back means
 * nothing.
 */
#ifndef MILL_REASON_ANSWER_PARSE_INNER_H
#define MILL_REASON_ANSWER_PARSE_INNER_H

#include "reason/expression.h"

#include <string.h>

typedef struct {
    expression *e;
    const token *t;
    size_t taken; /* of the digits of t: \frac12 takes them one by one */
    int depth;
    bool ok, in_bars;
} parser;

/* The index of the node. */
int answer_parse_value(parser *p);
int answer_parse_list(parser *p);

/* ---- nodes ---- */

static inline int new_node(parser *p, node_kind kind, int first)
{
    if (p->e->n == MAX_NODES) p->ok = false;
    if (!p->ok) return 0;
    p->e->at[p->e->n] = (node){.kind = kind, .first = first, .next = -1};
    return p->e->n++;
}

static inline int binary(parser *p, node_kind kind, int a, int b)
{
    if (p->ok) p->e->at[a].next = b;
    return new_node(p, kind, a);
}

static inline int leaf(parser *p, node_kind kind, answer_span text)
{
    const int at = new_node(p, kind, -1);
    if (p->ok) p->e->at[at].text = text;
    return at;
}

static inline int fail(parser *p)
{
    p->ok = false;
    return 0;
}

/* ---- tokens ---- */

static inline bool is_sign(const token *t, int op)
{
    return t->kind == T_OP && t->op == op;
}

static inline bool is_op(const parser *p, int op)
{
    return is_sign(p->t, op);
}

static inline bool take(parser *p, int op)
{
    if (!is_op(p, op)) return false;
    p->t++;
    return true;
}

static inline bool is_word(const token *t, const char *word)
{
    return t->kind == T_WORD && t->text.n == strlen(word) && !memcmp(t->text.s, word, t->text.n);
}

#endif
