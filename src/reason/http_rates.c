/*
 * http_rates.c - what response headers say of limits.
 *
 *     retry-after: 2 | 0.5 | Wed, 21 Oct 2026 07:28:00 GMT
 *     retry-after-ms: 500
 *     x-ratelimit-remaining-requests: 59      x-ratelimit-reset-requests: 6m0s | 1.5s | 20ms | 3
 *     x-ratelimit-remaining-tokens: 149984    x-ratelimit-reset-tokens: ...
 *
 * What cannot be read says nothing.
 */
#include "base/text.h"
#include "reason/http_inner.h"

#include <string.h>
#include <strings.h>
#include <time.h>

const http_rates http_no_rates = {-1, -1, -1, -1, -1};

/* "1h2m3.5s", "20ms", or plain seconds; -1: neither. */
static double duration(const char *s, size_t n)
{
    double sum = 0, x;

    if (mill_parse_f64(&x, s, n)) return x >= 0 ? x : -1;
    for (size_t i = 0; i < n;) {
        size_t digits = 0;
        while (i + digits < n && strchr("0123456789.", s[i + digits])) digits++;
        if (!digits || !mill_parse_f64(&x, s + i, digits)) return -1;
        i += digits;
        if (n - i >= 2 && !memcmp(s + i, "ms", 2)) {
            sum += x / 1000;
            i += 2;
        } else if (i < n && strchr("dhms", s[i])) {
            sum += x * (s[i] == 'd' ? 86400 : s[i] == 'h' ? 3600 : s[i] == 'm' ? 60 : 1);
            i++;
        } else {
            return -1;
        }
    }
    return n ? sum : -1;
}

static double until_date(const curl_library *curl, const char *s, size_t n)
{
    char text[64];

    if (n >= sizeof text) return -1;
    memcpy(text, s, n);
    text[n] = '\0';
    const time_t at = curl->curl_getdate(text, NULL);
    const double left = difftime(at, time(NULL));
    return at < 0 ? -1 : left > 0 ? left : 0;
}

static bool is(const char *line, size_t n, const char *name, size_t *value)
{
    const size_t k = strlen(name);

    if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0) return false;
    for (*value = k + 1; *value < n && (line[*value] == ' ' || line[*value] == '\t');) ++*value;
    return true;
}

void http_rates_take(http_rates *r, const curl_library *curl, const char *line, size_t n)
{
    size_t v;

    if ((*line | 32) != 'r' && (*line | 32) != 'x') return;
    while (n && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ')) n--;
    if (is(line, n, "retry-after", &v)) {
        const double seconds = duration(line + v, n - v);
        if (r->retry_after < 0)
            r->retry_after = seconds >= 0 ? seconds : until_date(curl, line + v, n - v);
    } else if (is(line, n, "retry-after-ms", &v)) {
        const double ms = duration(line + v, n - v);
        if (ms >= 0) r->retry_after = ms / 1000;
    } else if (is(line, n, "x-ratelimit-remaining-requests", &v)) {
        r->requests_left = duration(line + v, n - v);
    } else if (is(line, n, "x-ratelimit-remaining-tokens", &v)) {
        r->tokens_left = duration(line + v, n - v);
    } else if (is(line, n, "x-ratelimit-reset-requests", &v)) {
        r->requests_reset = duration(line + v, n - v);
    } else if (is(line, n, "x-ratelimit-reset-tokens", &v)) {
        r->tokens_reset = duration(line + v, n - v);
    }
}
