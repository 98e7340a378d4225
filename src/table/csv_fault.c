/*
 * csv_fault.c - what is wrong with a file, in words: file, line, column and value.
 *
 * Only offsets are kept while reading; lines are counted here, once, when there is something to
 * tell.
 */
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"

#include <stdio.h>
#include <string.h>

int64_t csv_line_of(const csv_reader *r, int64_t at)
{
    char *buf = mill_alloc(CSV_BLOCK, 1);
    int64_t line = 1;
    size_t got = 1;

    for (int64_t pos = 0; buf && pos < at && got; pos += (int64_t)got) {
        const size_t want = at - pos < CSV_BLOCK ? (size_t)(at - pos) : CSV_BLOCK;
        if (source_read(&r->src, buf, want, pos, &got)) break;
        for (size_t k = 0; k < got; k++) line += buf[k] == '\n';
    }
    mill_free(buf);
    return line;
}

void csv_quote_value(const csv_reader *r, char out[64], int64_t at)
{
    char raw[48];
    size_t got = 0, n = 0, i = 0;
    const char quote = r->layout.quote;

    if (source_read(&r->src, raw, sizeof raw, at, &got)) got = 0;
    const bool quoted = quote && got && raw[0] == quote;
    for (i = quoted; i < got && n < 40; i++) {
        const char c = raw[i];
        if (quoted && c == quote && !(i + 1 < got && raw[i + 1] == quote)) break;
        if (quoted && c == quote) i++;
        if (!quoted && (c == r->layout.delimiter || c == '\n' || c == '\r')) break;
        out[n++] = (char)((unsigned char)c < 32 || c == 127 ? '?' : c);
    }
    while (n == 40 && ((unsigned char)out[n - 1] & 0xc0) == 0x80) n--; /* not half a character */
    if (n >= 39 || (i == got && got == sizeof raw)) {
        while (n && (unsigned char)out[n - 1] >= 0xc0) n--;
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = 0;
}

/* The column in which offset `at` lies, counted from the beginning of its record; -1 if that is not
 * to be had. */
static int column_at(const csv_reader *r, int64_t at)
{
    const int64_t back = at - r->layout.begin < 65536 ? at - r->layout.begin : 65536;
    char *buf = mill_alloc((size_t)back + 1, 1);
    size_t got = 0;
    int col = 0;

    if (!buf || source_read(&r->src, buf, (size_t)back, at - back, &got) || (int64_t)got != back) {
        mill_free(buf);
        return -1;
    }
    bool quoted = false;
    for (size_t k = got; k-- > 0;) { /* backwards to the line end before, quotes paired off */
        if (r->layout.quote && buf[k] == r->layout.quote) quoted = !quoted;
        if (quoted) continue;
        if (buf[k] == '\n') break;
        col += buf[k] == r->layout.delimiter;
    }
    mill_free(buf);
    return col < r->n_file_cols ? col : -1;
}

static mill_err tell_type(const csv_reader *r, const csv_fault *f, const char *where)
{
    static const char *const article[MILL_N_COLTYPE] = {"an integer", "a number", "a boolean",
                                                        "a category", "a date",   "an identifier"};
    char value[64];
    csv_quote_value(r, value, f->at);
    size_t n = strlen(value);
    number x;
    const char *why = "";
    if (f->detail <= MILL_REAL && number_has_comma(value, n)) why = " (decimal comma?)";
    if (f->detail == MILL_REAL && number_scan(&x, value, n) == NUMBER_HUGE) why = " (too large)";
    return mill_fail(MILL_EINPUT, "%s: \"%s\" is not %s%s", where, value, article[f->detail], why);
}

mill_err csv_fault_tell(const csv_reader *r, const csv_fault *f)
{
    char where[400];
    const char *path = r->src.path;

    if (f->kind == FAULT_SYSTEM) return mill_fail(f->err, "%s", f->words);
    if (f->kind == FAULT_CHANGED) return source_changed(&r->src);

    const long long line = (long long)csv_line_of(r, f->at);
    const bool of_field = f->kind == FAULT_QUOTE_OPEN || f->kind == FAULT_QUOTE_TAIL;
    const int col = f->col >= 0 ? f->col : of_field ? column_at(r, f->at) : -1;
    if (col >= 0)
        snprintf(where, sizeof where, "%s:%lld: column \"%s\"", path, line, r->file_name[col]);
    else
        snprintf(where, sizeof where, "%s:%lld", path, line);

    switch (f->kind) {
    case FAULT_RAGGED:
        return mill_fail(MILL_EINPUT, "%s: %lld field%s, but the table has %d column%s", where,
                         (long long)f->detail, mill_s(f->detail), r->n_file_cols,
                         mill_s(r->n_file_cols));
    case FAULT_QUOTE_OPEN:
        return mill_fail(MILL_EINPUT, "%s: the quote is not closed", where);
    case FAULT_QUOTE_TAIL:
        return mill_fail(MILL_EINPUT, "%s: there is text behind the closing quote", where);
    case FAULT_LONG:
        return mill_fail(MILL_EINPUT,
                         "%s: the record is longer than 64 MiB (a quote that is not closed?)",
                         where);
    case FAULT_NUL:
        return mill_fail(MILL_EINPUT, "%s: a NUL byte in the text", where);
    case FAULT_UTF8:
        return mill_fail(MILL_EINPUT, "%s: the text is not UTF-8", where);
    default:
        return tell_type(r, f, where);
    }
}
