/*
 * csv_sniff.c - delimiter, quote and header from the beginning of the file.
 *
 *     delimiter  of ; tab | , the one that cuts the largest share of the lines into as many
 *                fields (at least two) as the first line; of equals, the first in this order: a
 *                comma inside numbers is more common than a semicolon inside texts.  A file that
 *                none of them cuts has one column.
 *     quote      " unless the sample has none and has ' around every field that begins with '.
 *     header     a text above a column of numbers or dates says yes; else a number or a date in
 *                the first line says no; else yes.
 */
#include "table/csv_sniff.h"
#include "base/mem.h"
#include "table/csv_reader.h"

#include <string.h>

/* Index the whole sample; the last line counts only if it is complete. */
static mill_err index_sample(csv_block *b, size_t n, char delimiter, char quote)
{
    const csv_layout l = {.delimiter = delimiter, .quote = quote};
    csv_fault fault = {0};
    bool found;
    return csv_block_index(&found, b, &l, true, 0, n, SIZE_MAX, &fault);
}

static size_t fields_of(const csv_block *b, size_t line)
{
    return b->row[line].field - (line ? b->row[line - 1].field : 0);
}

/* Share of lines with as many fields as the first, in lines of all non-empty; 0 if the first has
 * one field only. */
static double agreement(const csv_block *b)
{
    size_t equal = 0, lines = 0;

    for (size_t i = 0; i < b->n_lines; i++) {
        const uint32_t end = b->end[b->row[i].field - 1];
        const uint32_t begin = i ? b->end[b->row[i - 1].field - 1] + 1 : 0;
        if (end <= begin + (b->buf[begin] == '\r')) continue;
        lines++;
        equal += fields_of(b, i) == fields_of(b, 0);
    }
    return lines && fields_of(b, 0) > 1 ? (double)equal / (double)lines : 0.0;
}

/* Every field that begins with ' ends with ', and there is one. */
static bool single_quotes_pair(const csv_block *b)
{
    size_t pairs = 0, begin = 0;

    for (size_t i = 0; i < b->n_ends; i++) {
        size_t end = b->end[i];
        const size_t next = end + 1;
        if (b->buf[end] == '\n' && end > begin && b->buf[end - 1] == '\r') end--;
        if (end > begin && b->buf[begin] == '\'') {
            if (end - begin < 2 || b->buf[end - 1] != '\'') return false;
            pairs++;
        }
        begin = next;
    }
    return pairs > 0;
}

mill_err csv_sniff_dialect(char *delimiter, char *quote, csv_block *b, size_t n)
{
    static const char candidates[] = ";\t|,", quotes[] = "\"'";
    const char given = *delimiter;
    double best = 0;
    const char *list = given ? &given : candidates;
    const size_t n_list = given ? 1 : sizeof candidates - 1;
    const bool maybe_single = !memchr(b->buf, '"', n) && memchr(b->buf, '\'', n);

    *quote = '"';
    if (!given) *delimiter = ',';
    for (int single = 0; single <= maybe_single; single++) {
        for (size_t k = 0; k < n_list; k++) {
            const char q = quotes[single];
            TRY(index_sample(b, n, list[k], q));
            double share = agreement(b);
            if (single && !single_quotes_pair(b)) continue;
            if (single) share += 1e-9; /* of equals the one that takes the quotes off */
            if (share <= best && !(single && given)) continue;
            best = share;
            *delimiter = list[k];
            *quote = q;
        }
    }
    return MILL_OK;
}

static value_kind kind_at(const csv_reader *r, csv_block *b, csv_thread *t, size_t line, int col,
                          int n_cols)
{
    csv_value v;
    mill_err err = MILL_OK;
    const uint32_t first = line ? b->row[line - 1].field : 0;
    const uint32_t end = b->end[first + (uint32_t)col];
    const uint32_t begin = first + (uint32_t)col ? b->end[first + (uint32_t)col - 1] + 1 : 0;
    csv_field f = {b->buf + begin, end - begin};

    if (col == n_cols - 1 && f.n && f.s[f.n - 1] == '\r') f.n--;
    const bool quoted = csv_unquote(t, r->layout.quote, &f, &err);
    return err ? VALUE_MISSING : csv_classify(r, &v, f, quoted);
}

static bool is_value(value_kind k)
{
    return k == VALUE_INT || k == VALUE_REAL || k == VALUE_HUGE || k == VALUE_DATE;
}

bool csv_sniff_header(const csv_reader *r, csv_block *b, csv_thread *t)
{
    const int n = (int)fields_of(b, 0);
    bool any_value = false;

    for (int j = 0; j < n; j++) {
        const value_kind top = kind_at(r, b, t, 0, j, n);
        if (is_value(top)) {
            any_value = true;
            continue;
        }
        if (top != VALUE_TEXT) continue;
        size_t values = 0, texts = 0;
        for (size_t i = 1; i < b->n_lines; i++) {
            if ((int)fields_of(b, i) != n) continue;
            const value_kind k = kind_at(r, b, t, i, j, n);
            values += is_value(k);
            texts += k == VALUE_TEXT || k == VALUE_COMMA;
        }
        if (values && !texts) return true;
    }
    return !any_value;
}
