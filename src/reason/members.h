/*
 * members.h - the members of a JSON object where they lie in its text, without building it.
 *
 * A run reads every record and writes it out again, twice; what is not looked at need not be
 * understood, only passed on as it is.
 */
#ifndef MILL_REASON_MEMBERS_H
#define MILL_REASON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

enum { MEMBERS_MOST = 128 };

typedef struct {
    const char *key, *value; /* in the text; the key without its quotes */
    size_t n_key, n_value;
    bool is_plain; /* the value is a string without escapes */
} member;

typedef struct {
    int n;
    member at[MEMBERS_MOST];
} members;

/*
 * The whole text is checked as JSON (RFC 8259) on the way.  False: it is none, or has something of
 * which the scanner is not sure: a key with an escape, twice the same key in one object, a number
 * with an exponent or more than 18 digits, half a surrogate pair, \u0000, bytes that are no UTF-8,
 * more than 24 levels or MEMBERS_MOST members in an object.  What it takes, jansson takes.
 *
 * is_checked: the text is jansson's own, so that only the members are looked for.
 */
bool members_scan(members *out, const char *json, size_t n, bool is_checked);

const member *members_find(const members *m, const char *key); /* NULL: not there */

#endif
