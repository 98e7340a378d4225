/*
 * answer_parse.c - tokens as a tree.
 *
 *     answer   := [name =] union [unit]  |  value = value  |  CHOICE  |  words
 *     union    := list { \cup list }
 *     list     := value { (, | ; | and | or) value }     value: answer_term.c
 *
 * Letters that are all of an answer (CAB) are a product or a word: only the same ones are equal.
 */
#include "reason/answer_parse_inner.h"

#include <ctype.h>

/* ---- lists ---- */

/* Commas or semicolons; beside these a comma may be a decimal one. */
static bool take_comma(parser *p, int *sign)
{
    const token *const before = p->t;

    if (is_op(p, ',') || is_op(p, ';')) {
        if (*sign && *sign != p->t->op) p->ok = false;
        *sign = (p->t++)->op;
    }
    if (is_word(p->t, "and") || is_word(p->t, "or")) p->t++;
    if (p->t == before) return false;
    /* x = 1 or x = 2: the name again. */
    const answer_span name = p->e->name;
    if (name.n && p->t->kind == T_SYMBOL && p->t->text.n == name.n &&
        !memcmp(p->t->text.s, name.s, name.n) && p->t[1].kind == T_OP && p->t[1].op == '=')
        p->t += 2;
    return true;
}

/* CAB is a product, or letters in this order; bac is no word.  Only outside of brackets. */
static int parse_item(parser *p)
{
    const token *const begin = p->t;
    const int at = answer_parse_value(p);

    if (!p->ok || p->depth || p->t - begin < 2 || is_op(p, '=')) return at;
    for (const token *t = begin; t < p->t; t++)
        if (t->kind != T_SYMBOL || t->text.n != 1 || (t > begin && t->after_space)) return at;
    return leaf(p, E_LETTERS, (answer_span){begin->text.s, (size_t)(p->t - begin)});
}

/* One value is itself, several are an E_LIST. */
int answer_parse_list(parser *p)
{
    const int first = parse_item(p);
    int last = first, sign = 0;

    while (p->ok && take_comma(p, &sign)) {
        const int at = parse_item(p);
        if (!p->ok) return 0;
        p->e->at[last].next = at;
        last = at;
    }
    return last == first ? first : new_node(p, E_LIST, first);
}

static int parse_union(parser *p)
{
    const int first = answer_parse_list(p);
    int last = first;

    while (p->ok && take(p, OP_UNION)) {
        const int at = answer_parse_list(p);
        if (!p->ok) return 0;
        p->e->at[last].next = at;
        last = at;
    }
    return last == first ? first : new_node(p, E_UNION, first);
}

/* ---- whole answers ---- */

/* x = ..., f(x) = ...: what stands before the sign is a name. */
static void take_name(parser *p)
{
    const token *t = p->t;

    if (t->kind != T_SYMBOL) return;
    if (t[1].kind == T_OP && t[1].op == '(' && t[2].kind == T_SYMBOL && t[3].kind == T_OP &&
        t[3].op == ')' && t[4].kind == T_OP && t[4].op == '=')
        p->t += 5;
    else if (t[1].kind == T_OP && t[1].op == '=')
        p->t += 2;
    else
        return;
    p->e->name = t->text;
    if (t[1].op == '(') p->e->name.n += t[2].text.n; /* f(x) is no f(t) */
}

/* Words behind a value, or before it a sign of money. */
static void take_unit(parser *p)
{
    for (; p->t->kind == T_WORD; p->t++) {
        answer_span *u = &p->e->unit;
        p->e->unit_known = p->e->unit_known && answer_is_unit(p->t->text);
        if (u->n) { /* "square cm": one unit, as the words lie in the text one behind the other */
            if (u->s + u->n != p->t->text.s) p->ok = false;
            u->n += p->t->text.n;
        } else {
            *u = p->t->text;
        }
    }
    if (p->e->unit.n && p->t->kind == T_OP && p->t->op == '^') { /* cm^2 */
        if (p->t[1].kind != T_NUMBER || p->e->unit.s + p->e->unit.n != p->t[1].text.s) {
            p->ok = false;
            return;
        }
        p->e->unit.n += p->t[1].text.n;
        p->t += 2;
    }
}

static bool parse_words(parser *p)
{
    const token *t = p->t;
    expression *e = p->e;

    if (t->kind == T_SYMBOL && t->text.n == 1 && isupper((unsigned char)*t->text.s) &&
        t[1].kind == T_END) {
        e->root = leaf(p, E_CHOICE, t->text);
        return true;
    }
    if (t->kind == T_OP && t->op == '(' && t[1].kind == T_SYMBOL && t[1].text.n == 1 &&
        isupper((unsigned char)*t[1].text.s) && t[2].kind == T_OP && t[2].op == ')' &&
        t[3].kind == T_END) {
        e->root = leaf(p, E_CHOICE, t[1].text);
        return true;
    }
    if (t->kind != T_WORD || is_word(t, "$")) return false;
    answer_span all = t->text;
    for (t++; t->kind == T_WORD; t++) all.n += t->text.n; /* they lie one behind the other */
    if (t->kind != T_END) return false;
    /* \text{A} is a choice too. */
    const bool is_choice = all.n == 1 && isupper((unsigned char)*all.s);
    e->root = leaf(p, is_choice ? E_CHOICE : E_WORDS, all);
    return true;
}

bool answer_parse(expression *out)
{
    parser p = {.e = out, .t = out->tokens.t, .ok = true};

    out->n = 0;
    out->unit = out->name = (answer_span){0};
    out->unit_known = true;
    if (parse_words(&p)) return p.ok;
    take_name(&p);
    if (is_word(p.t, "$")) out->unit = (p.t++)->text;
    out->root = parse_union(&p);
    if (p.ok && !out->name.n && take(&p, '=')) {
        const int right = answer_parse_value(&p);
        out->root = binary(&p, E_EQUATION, out->root, right);
    }
    take_unit(&p);
    return p.ok && p.t->kind == T_END;
}
