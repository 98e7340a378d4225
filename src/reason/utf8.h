/*
 * utf8.h - text as UTF-8: what is valid, what is put in place of what is not, and JSON strings.
 */
#ifndef MILL_REASON_UTF8_H
#define MILL_REASON_UTF8_H

#include "base/text.h"

/* Bytes at the front of [s, s+n) that neither end nor escape a JSON string and are ASCII: all but
 * '"', '\\', controls and bytes from 0x80 on. */
size_t utf8_plain(const char *s, size_t n);

/* Length of the character at s, n > 0; 0: not valid there.  (Unicode 15, table 3-7.) */
int utf8_char(const char *s, size_t n);
int utf8_put(char *to, uint32_t code); /* how many bytes it takes: 1 to 4 */

/* Appends s as a JSON string, quotes with it; MILL_EINPUT with the byte where it is not UTF-8. */
mill_err utf8_add_json(mill_text *t, const char *s, size_t n);

/*
 * Appends JSON text with U+FFFD in place of what no JSON string of ours may hold: bytes that are no
 * UTF-8 (one for each longest beginning of a character, else for each byte: Unicode 15, 3.9,
 * "maximal subparts"), \u0000, and halves of surrogate pairs.  Whether it is JSON is not asked.
 */
void utf8_mend_json(mill_text *t, const char *s, size_t n);

#endif
