/*
 * expression.h - what an answer becomes when it is read; for answer*.c only.
 *
 *     text -> tokens (answer_lex.c) -> a tree (answer_parse.c, answer_term.c)
 *     -> values (answer_value.c: answer_exact.c, answer_points.c)
 *
 * A tree is an array of nodes; a node knows its first child and its next sibling.  Everything has
 * a fixed size: what does not fit is not a short answer.
 */
#ifndef MILL_REASON_EXPRESSION_H
#define MILL_REASON_EXPRESSION_H

#include "reason/answer.h"

#include <stdint.h>

enum { MAX_ANSWER = 1024, MAX_TOKENS = 512, MAX_NODES = 512, MAX_DEPTH = 40 };

/* ---- tokens ---- */

typedef enum {
    T_END,
    T_NUMBER,   /* text: digits with at most one point, no separators */
    T_SYMBOL,   /* text: a letter or a \command, with its subscript */
    T_FUNCTION, /* function */
    T_WORD,     /* text: of \text{}, or a word that is neither function nor product of letters */
    T_OP,       /* op: one of  + - * / ^ ! % = < > , ; | ( ) [ ] { } and those below */
} token_kind;
enum { /* operators that are no single character of ASCII */
       OP_PM = 128,
       OP_MP,
       OP_FRAC,
       OP_SQRT,
       OP_BINOM,
       OP_DEGREE,
       OP_SET_OPEN, /* \{ */
       OP_SET_CLOSE,
       OP_UNION,
       OP_AT_MOST, /* relations are told apart, and that is all */
       OP_AT_LEAST,
       OP_NOT_EQUAL,
       OP_IN,
       OP_APPROX,
       OP_LOG_BASE /* the _ of \log_2 */
};
typedef enum {
    F_SIN,
    F_COS,
    F_TAN,
    F_COT,
    F_SEC,
    F_CSC,
    F_ASIN,
    F_ACOS,
    F_ATAN,
    F_SINH,
    F_COSH,
    F_TANH,
    F_LN,
    F_LOG, /* of an unnamed base: the same function on both sides */
    F_EXP,
    F_ABS,
    F_SQRT, /* first child: radicand; second, if any: which root */
    F_FACTORIAL,
    F_BINOM,
    N_FUNCTIONS
} function_id;

typedef struct {
    token_kind kind;
    int op;
    function_id function;
    bool after_space; /* a space stood before it: "1 1/2" */
    answer_span text; /* in tokens.text */
} token;

typedef struct {
    int n;
    token t[MAX_TOKENS + 1];        /* closed by T_END */
    char text[2 * MAX_ANSWER + 64]; /* what the spans point to */
    size_t used;
} token_list;

/* ---- readings ---- */

/* What stands there may mean something else too.  Answers are different only if they are in every
 * reading; equal as they are usually read, with none of these. */
enum {
    READ_COMMA = 1,      /* 2,5 is two and a half */
    READ_UNIT = 2,       /* the m of 5 m is a metre, not a variable */
    READ_NO_PERCENT = 4, /* 5% is 5 */
    READ_DEGREES = 8,    /* angles are in degrees: sin 30 is a half, pi is 180 */
    READ_LOG_NATURAL = 16,
    READ_LOG_TEN = 32,
    READ_NO_CONSTANT = 64, /* x^2 + C is x^2 */
    READ_NAMES = 128       /* R is r, and k and m are n: 2 pi n is any even multiple of pi */
};

/* ---- trees ---- */

typedef enum {
    E_NUMBER, /* text */
    E_SYMBOL, /* text */
    E_ADD,
    E_SUBTRACT,
    E_MULTIPLY,
    E_DIVIDE,
    E_POWER,
    E_NEGATE,
    E_PLUS_MINUS, /* a \pm b */
    E_MINUS_PLUS,
    E_CALL, /* function */
    E_DEGREE,
    E_PERCENT,
    E_TUPLE, /* open, close: tuples, points, intervals */
    E_SET,
    E_LIST, /* "1, 2", "1 and 2": in any order */
    E_UNION,
    E_EQUATION,
    E_LETTERS, /* text: two or three that may be a product, or a word */
    E_CHOICE,  /* text: one capital letter */
    E_WORDS    /* text */
} node_kind;

typedef struct {
    node_kind kind;
    function_id function;
    char open, close;
    answer_span text;
    int first, next; /* -1: none */
} node;

typedef struct {
    int n, root;
    node at[MAX_NODES];
    answer_span unit; /* words behind a value: "5 cm"; n == 0: none */
    bool unit_known;  /* all of them may be left out */
    answer_span name; /* what stood before the sign of equality: "x = 5"; n == 0: none */
    unsigned reading; /* how it is read: READ_... */
    unsigned choices; /* which of them make something else of it */
    token_list tokens;
} expression;

/* Whether it is read so; and notes that it might be. */
bool answer_reads(expression *e, unsigned how);

/* s as out->tokens; false: it has something that is not understood, or is too long. */
bool answer_lex(expression *out, answer_span s);
bool answer_is_unit(answer_span s); /* one that may be left out */
bool answer_same_tokens(const token_list *a, const token_list *b);

bool answer_parse(expression *out); /* its tokens; they stay as they are */

/* ---- values ---- */

/* A node with the sign that its \pm takes. */
typedef struct {
    const expression *e;
    int at;
    int sign; /* +1, -1 */
} value_of;

const node *answer_node(value_of v);
value_of answer_child(value_of v, int which); /* .at -1: there is none */
bool answer_is_named(answer_span s, const char *name);
uint64_t answer_name_hash(answer_span s, uint64_t salt);

answer_verdict answer_same_value(value_of a, value_of b);

enum { EXACT_PRIMES = 2 };
/* Its residues by the two primes; false: it is not rational. */
bool answer_exact_value(uint64_t out[EXACT_PRIMES], value_of v);
answer_verdict answer_same_at_points(value_of a, value_of b);
/* Whether a1 = a2 and b1 = b2 say the same: differences that are proportional. */
answer_verdict answer_same_equation(value_of a, value_of b);

#endif
