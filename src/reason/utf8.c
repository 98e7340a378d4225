/* utf8.c - see utf8.h. */
#include "reason/utf8.h"

#include <emmintrin.h>
#include <string.h>

size_t utf8_plain(const char *s, size_t n)
{
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(' ');
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        /* As signed bytes those from 0x80 on lie below the space too. */
        const __m128i odd =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, back)),
                         _mm_cmplt_epi8(x, space));
        const int at = _mm_movemask_epi8(odd);
        if (at) return i + (size_t)__builtin_ctz((unsigned)at);
    }
    while (i < n && s[i] != '"' && s[i] != '\\' && (signed char)s[i] >= ' ') i++;
    return i;
}

static bool continues(const char *s, size_t n, size_t i)
{
    return i < n && ((unsigned char)s[i] & 0xc0) == 0x80;
}

/* Which second bytes may follow `first`; false: it begins nothing. */
static bool second_range(unsigned first, unsigned *least, unsigned *most)
{
    *least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return first >= 0xc2 && first <= 0xf4;
}

/* How many bytes at s belong to a character or to the beginning of one; *whole: of how many. */
static int beginning(const char *s, size_t n, int *whole)
{
    const unsigned first = (unsigned char)s[0];
    unsigned least, most;

    *whole = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0x80) return 1;
    if (!second_range(first, &least, &most)) return 0;
    if (n < 2 || (unsigned char)s[1] < least || (unsigned char)s[1] > most) return 1;
    int k = 2;
    while (k < *whole && continues(s, n, (size_t)k)) k++;
    return k;
}

int utf8_char(const char *s, size_t n)
{
    int whole;

    return beginning(s, n, &whole) == whole ? whole : 0;
}

/* How many bytes at s, where no character is, one U+FFFD stands for. */
static int bad_bytes(const char *s, size_t n)
{
    int whole;
    const int k = beginning(s, n, &whole);

    return k > 1 ? k : 1;
}

int utf8_put(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    const int n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, code >>= 6) to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)((0xf00u >> n & 0xf0) | code);
    return n;
}

static void add_escape(mill_text *t, unsigned char c)
{
    static const char letters[] = "btn\vfr"; /* of 8 to 13 */

    if (c == '"' || c == '\\')
        text_add_bytes(t, (char[]){'\\', (char)c}, 2);
    else if (c >= 8 && c <= 13 && c != 11)
        text_add_bytes(t, (char[]){'\\', letters[c - 8]}, 2);
    else
        text_add(t, "\\u%04x", c);
}

mill_err utf8_add_json(mill_text *t, const char *s, size_t n)
{
    text_add_bytes(t, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t k = utf8_plain(s + i, n - i);
        if (i + k < n && (unsigned char)s[i + k] >= 0x80) {
            const int length = utf8_char(s + i + k, n - i - k);
            if (!length)
                return mill_fail(MILL_EINPUT, "not UTF-8 at byte %zu of a text of %zu", i + k, n);
            text_add_bytes(t, s + i, k += (size_t)length);
        } else {
            text_add_bytes(t, s + i, k);
            if (i + k < n) add_escape(t, (unsigned char)s[i + k++]);
        }
        i += k;
    }
    text_add_bytes(t, "\"", 1);
    return text_check(t);
}

static int hex4(const char *s, size_t n)
{
    int x = 0;

    if (n < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = s[i];
        if (c >= '0' && c <= '9')
            x = 16 * x + c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            x = 16 * x + (c | 32) - 'a' + 10;
        else
            return -1;
    }
    return x;
}

/* The escape at s, '\\' first, with what has to go in its place, if anything; how long it is. */
static size_t mend_escape(mill_text *t, const char *s, size_t n)
{
    const int code = n >= 2 && s[1] == 'u' ? hex4(s + 2, n - 2) : -1;
    size_t length = n < 2 ? n : code < 0 ? 2 : 6;

    if (code >= 0xd800 && code < 0xdc00 && n >= 8 && s[6] == '\\' && s[7] == 'u') {
        const int low = hex4(s + 8, n - 8);
        if (low >= 0xdc00 && low < 0xe000) {
            text_add_bytes(t, s, 12);
            return 12;
        }
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        text_add_bytes(t, "\\ufffd", 6);
    else
        text_add_bytes(t, s, length);
    return length;
}

void utf8_mend_json(mill_text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t k = utf8_plain(s + i, n - i);
        text_add_bytes(t, s + i, k);
        i += k;
        if (i == n) break;
        if (s[i] == '\\') {
            i += mend_escape(t, s + i, n - i);
        } else if ((unsigned char)s[i] < 0x80) {
            text_add_bytes(t, s + i++, 1);
        } else {
            const int length = utf8_char(s + i, n - i);
            text_add_bytes(t, length ? s + i : "\xef\xbf\xbd", length ? (size_t)length : 3);
            i += (size_t)(length ? length : bad_bytes(s + i, n - i));
        }
    }
}
