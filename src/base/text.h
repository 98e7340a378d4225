/*
 * text.h - a growing string, and numbers to and from text.
 *
 * A mill_text that has run out of memory stays as it was and remembers the failure:
 * append freely, ask text_check() once.
 */
#ifndef MILL_BASE_TEXT_H
#define MILL_BASE_TEXT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *s; /* NUL-terminated once anything was added; NULL before */
    size_t len, cap;
    bool failed;
} mill_text;

void text_add(mill_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(mill_text *t, const void *p, size_t n);
void text_clear(mill_text *t); /* keep the memory */
void text_free(mill_text *t);
mill_err text_check(const mill_text *t); /* MILL_ENOMEM if an append failed */

/* Bytes of the character at s; 0 if it is none (RFC 3629: neither too long, nor a surrogate, nor
 * beyond U+10FFFF). */
int mill_utf8_length(const char *s);
#define TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for what is none */

/* How many bytes to insert, remove or replace to make b of a, of the first TEXT_MAX_EDITS of each;
 * letters are alike in either case: for "did you mean". */
enum { TEXT_MAX_EDITS = 64 };
int text_edits(const char *a, size_t a_len, const char *b, size_t b_len);

/* Bytes like "8GB", "512MiB", "1.5G", "4096": decimal K M G T, binary Ki Mi Gi Ti, maybe a B. */
mill_err mill_parse_size(int64_t *bytes, const char *s);
/* "1.4 GiB", for people. */
const char *mill_format_size(char buf[32], double bytes);

/* The whole of [s, s+n) as a number; false if it is not one.  Correctly rounded. No locale, no hex,
 * no "nan"/"inf" words. */
bool mill_parse_f64(double *out, const char *s, size_t n);
/* w * 10^e, correctly rounded; false in the rare cases that take more than w: mill_parse_f64 knows
 * them. */
bool mill_decimal_f64(double *out, uint64_t w, int64_t e);
bool mill_parse_i64(int64_t *out, const char *s, size_t n); /* false on overflow too */

/* Shortest text that reads back as x, or fixed decimals; no locale.  The length; buf >= 40. */
int mill_format_f64(char *buf, double x);
/* decimals 0..15, |x| < 1e15; rounds half to even. */
int mill_format_fixed(char *buf, double x, int decimals);
int mill_format_i64(char *buf, int64_t x);
/* What a number puts after its noun: "1 row", "2 rows". */
static inline const char *mill_s(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* The nearest of n names (by edits), or NULL if none is near. */
const char *mill_nearest(const char *word, const char *const *names, int n);

#endif
