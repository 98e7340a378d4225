/*
 * csv_value.c - one field: missing, number, date or text.
 *
 * Blanks (spaces and tabs) around a number, a date or a word of `na` do not count; in a text they
 * are part of it.
 */
#include "base/mem.h"
#include "table/csv_reader.h"
#include "table/datetime.h"

#include <string.h>

mill_err csv_na_init(csv_reader *r)
{
    const char *words = r->o->na ? r->o->na : CSV_NA_WORDS;
    int n = 1;

    for (const char *p = words; *p; p++) n += *p == ',';
    r->na_text = mill_strdup(words);
    r->na = mill_alloc((size_t)n, sizeof *r->na);
    r->na_len = mill_alloc((size_t)n, sizeof *r->na_len);
    if (!r->na_text || !r->na || !r->na_len) return MILL_ENOMEM;
    for (char *p = r->na_text; p;) {
        char *comma = strchr(p, ',');
        if (comma) *comma = 0;
        if (*p) {
            r->na[r->n_na] = p;
            r->na_len[r->n_na++] = strlen(p);
            r->na_first[(unsigned char)*p] = 1;
            r->na_numeric |= strchr("+-.0123456789", *p) != NULL;
        }
        p = comma ? comma + 1 : NULL;
    }
    return MILL_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

csv_field csv_trim(csv_field f)
{
    while (f.n && is_blank(*f.s)) f.s++, f.n--;
    while (f.n && is_blank(f.s[f.n - 1])) f.n--;
    return f;
}

static bool is_na_word(const csv_reader *r, csv_field f)
{
    if (!f.n || !r->na_first[(unsigned char)*f.s]) return false;
    for (int k = 0; k < r->n_na; k++)
        if (r->na_len[k] == f.n && !memcmp(r->na[k], f.s, f.n)) return true;
    return false;
}

bool csv_is_na(const csv_reader *r, const char *s, size_t n)
{
    return is_na_word(r, csv_trim((csv_field){s, (uint32_t)n}));
}

bool csv_unquote(csv_thread *t, char quote, csv_field *f, mill_err *err)
{
    if (!quote || f->n < 2 || *f->s != quote || f->s[f->n - 1] != quote) return false;
    f->s++;
    f->n -= 2;
    if (!memchr(f->s, quote, f->n)) return true;

    if (f->n > t->scratch_cap || !t->scratch) {
        const size_t cap = 2 * (size_t)f->n + 256;
        char *scratch = mill_realloc(t->scratch, cap + CSV_PAD, 1);
        if (!scratch) {
            *err = MILL_ENOMEM;
            return true;
        }
        t->scratch = scratch;
        t->scratch_cap = cap;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        t->scratch[n++] = f->s[i];
        if (f->s[i] == quote) i++;
    }
    memset(t->scratch + n, 0, CSV_PAD);
    *f = (csv_field){t->scratch, n};
    return true;
}

value_kind csv_classify(const csv_reader *r, csv_value *v, csv_field f, bool is_quoted)
{
    const csv_field bare = csv_trim(f);

    if (!f.n && !is_quoted) return VALUE_MISSING;
    if (!bare.n) return VALUE_SOFT;
    if (is_na_word(r, bare)) return is_quoted ? VALUE_SOFT : VALUE_MISSING;

    const number_kind kind = number_scan(&v->num, bare.s, bare.n);
    if (kind == NUMBER_INT) {
        v->is_plain = bare.n == f.n && !is_quoted && *f.s != '+' && !(*f.s == '-' && !v->num.i64);
        return VALUE_INT;
    }
    if (kind == NUMBER_REAL) return VALUE_REAL;
    if (kind == NUMBER_HUGE) return VALUE_HUGE;
    if (datetime_parse_iso(&v->seconds, &v->form, bare.s, bare.n)) return VALUE_DATE;
    return number_has_comma(bare.s, bare.n) ? VALUE_COMMA : VALUE_TEXT;
}

value_kind csv_classify_given(const csv_reader *r, csv_value *v, csv_field f, bool is_quoted,
                              mill_coltype type)
{
    const value_kind kind = csv_classify(r, v, f, is_quoted);
    const csv_field bare = csv_trim(f);

    if (kind != VALUE_TEXT || (type != MILL_INTEGER && type != MILL_REAL)) return kind;
    switch (number_scan_given(&v->num, bare.s, bare.n)) {
    case NUMBER_INT:
        return VALUE_INT;
    case NUMBER_REAL:
        return VALUE_REAL;
    default:
        return VALUE_TEXT;
    }
}

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode 15, table
 * 3-7). */
bool csv_utf8_ok(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + n;

    while (s < end) {
        const unsigned char c = *s++;
        if (c < 0x80) continue;
        const int more = c >= 0xc2 && c <= 0xdf   ? 1
                         : (c & 0xf0) == 0xe0     ? 2
                         : c >= 0xf0 && c <= 0xf4 ? 3
                                                  : 0;
        if (!more || end - s < more) return false;
        const unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        const unsigned char most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (s[0] < least || s[0] > most) return false;
        for (int i = 1; i < more; i++)
            if ((s[i] & 0xc0) != 0x80) return false;
        s += more;
    }
    return true;
}
