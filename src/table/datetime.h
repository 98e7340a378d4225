/*
 * datetime.h - dates and times as integer seconds since 1970-01-01 00:00 UTC, and back by a
 * strftime pattern.
 *
 * Proleptic Gregorian calendar, years 0001 to 9999, no leap seconds (day numbers after H. Hinnant,
 * "chrono-compatible low-level date algorithms").
 *
 * The forms that are recognised by themselves (ISO 8601): YYYY-MM-DD, and with hours and minutes or
 * hours, minutes and seconds behind a T or one space, and behind that Z, +hh:mm, +hhmm, +hh (or -)
 * or nothing.  A form has a number, so that a column can be asked whether it has one only; an
 * offset is part of the form and stands in its pattern literally: "%Y-%m-%dT%H:%M:%S+02:00".
 * Fractions of a second are not taken: seconds are whole here.
 *
 * A pattern from a types file may hold %Y %m %d %H %M %S (of fixed width), %y (1970-2069), %b and
 * %B (English months), %j is refused, %% and any literal.  An offset at its end behind %M or %S is
 * obeyed.
 */
#ifndef MILL_TABLE_DATETIME_H
#define MILL_TABLE_DATETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATETIME_PATTERN_MAX = 40, DATETIME_TEXT_MAX = 128 };

/* form > 0. */
bool datetime_parse_iso(int64_t *seconds, int *form, const char *s, size_t n);
void datetime_form_pattern(char pattern[DATETIME_PATTERN_MAX], int form);

bool datetime_pattern_ok(
    const char *pattern); /* only what is named above, a date at least, short enough */
bool datetime_parse(int64_t *seconds, const char *pattern, const char *s, size_t n);
/* Length; seconds outside the years 0001 to 9999 are taken to the nearest. */
int datetime_format(char buf[DATETIME_TEXT_MAX], const char *pattern, int64_t seconds);

#endif
