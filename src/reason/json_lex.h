/*
 * json_lex.h - the smallest pieces of JSON text (RFC 8259), for scanners that walk it without
 * building it: chat_scan.c and members.c.
 *
 * All of them are strict, and "unsure" where jansson would have to be asked: \u0000, halves of
 * surrogate pairs, bytes that are not UTF-8.
 */
#ifndef MILL_REASON_JSON_LEX_H
#define MILL_REASON_JSON_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands between the quotes of a string. */
typedef struct {
    const char *p;
    size_t n;
    bool is_plain; /* no escapes in it */
} lex_span;

static inline const char *lex_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
    return p;
}

/* The escape at p, a backslash: its code, and how many bytes it takes; 0: unsure. */
size_t lex_escape(uint32_t *code, const char *p, const char *end);

/* The string at p, from quote to quote; where it ends, or NULL: none, or unsure. */
const char *lex_string(lex_span *out, const char *p, const char *end);

#endif
