/* datetime.c - see datetime.h. */
#include "table/datetime.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DAY = 86400 };

/* form = 1 + time + 5 * zone + 25 * (offset in minutes + 1440) */
enum { TIME_NONE, TIME_T_MIN, TIME_T_SEC, TIME_SP_MIN, TIME_SP_SEC };
enum { ZONE_NONE, ZONE_Z, ZONE_COLON, ZONE_PLAIN, ZONE_HOURS };

static const char *const time_pattern[] = {"", "T%H:%M", "T%H:%M:%S", " %H:%M", " %H:%M:%S"};

static const char *const months[12] = {"January",   "February", "March",    "April",
                                       "May",       "June",     "July",     "August",
                                       "September", "October",  "November", "December"};

typedef struct {
    int year, month, day, hour, minute, second;
} civil;

static int64_t days_from_civil(int year, int month, int day)
{
    const int64_t y = year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t yoe = y - era * 400;
    const int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_from_days(civil *c, int64_t days)
{
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;

    c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c->year = (int)(yoe + era * 400 + (c->month <= 2));
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100) || year % 400 == 0;
}

static bool civil_seconds(int64_t *seconds, const civil *c)
{
    static const int length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12) return false;
    const int days = length[c->month - 1] + (c->month == 2 && is_leap(c->year));
    if (c->day < 1 || c->day > days) return false;
    if (c->hour > 23 || c->minute > 59 || c->second > 59) return false;
    *seconds = days_from_civil(c->year, c->month, c->day) * DAY + (int64_t)c->hour * 3600 +
               (int64_t)c->minute * 60 + c->second;
    return true;
}

/* n digits at s, or -1. */
static int digits(const char *s, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

/* Z or an offset, all of [s, s + n). */
static bool parse_zone(int *zone, int *minutes, const char *s, size_t n)
{
    *minutes = 0;
    *zone = ZONE_NONE;
    if (!n) return true;
    *zone = ZONE_Z;
    if (n == 1) return s[0] == 'Z';
    if (s[0] != '+' && s[0] != '-') return false;
    if (n != 3 && n != 5 && !(n == 6 && s[3] == ':')) return false;

    const int h = digits(s + 1, 2), m = n == 3 ? 0 : digits(s + n - 2, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59) return false;
    *zone = n == 6 ? ZONE_COLON : n == 5 ? ZONE_PLAIN : ZONE_HOURS;
    *minutes = (s[0] == '-' ? -1 : 1) * (h * 60 + m);
    return true;
}

bool datetime_parse_iso(int64_t *seconds, int *form, const char *s, size_t n)
{
    civil c = {0};
    int time = TIME_NONE, zone = ZONE_NONE, minutes = 0;

    if (n < 10 || n > 25 || s[4] != '-' || s[7] != '-') return false;
    if ((c.year = digits(s, 4)) < 0 || (c.month = digits(s + 5, 2)) < 0) return false;
    if ((c.day = digits(s + 8, 2)) < 0) return false;
    if (n > 10) {
        if (n < 16 || (s[10] != 'T' && s[10] != ' ') || s[13] != ':') return false;
        if ((c.hour = digits(s + 11, 2)) < 0 || (c.minute = digits(s + 14, 2)) < 0) return false;
        size_t at = 16;
        time = s[10] == 'T' ? TIME_T_MIN : TIME_SP_MIN;
        if (n >= 19 && s[16] == ':') {
            if ((c.second = digits(s + 17, 2)) < 0) return false;
            at = 19;
            time++;
        }
        if (!parse_zone(&zone, &minutes, s + at, n - at)) return false;
        if (zone > ZONE_Z && !minutes && s[at] == '-')
            return false; /* -00:00 would not come back */
    }
    if (!civil_seconds(seconds, &c)) return false;
    *seconds -= (int64_t)minutes * 60;
    *form = 1 + time + 5 * zone + 25 * (minutes + 1440);
    return true;
}

void datetime_form_pattern(char pattern[DATETIME_PATTERN_MAX], int form)
{
    const int time = (form - 1) % 5, zone = (form - 1) / 5 % 5, minutes = (form - 1) / 25 - 1440;
    const int size = minutes < 0 ? -minutes : minutes;
    const char *colon = zone == ZONE_COLON ? ":" : "";
    char tail[40] = "";

    if (zone == ZONE_Z) snprintf(tail, sizeof tail, "Z");
    if (zone == ZONE_HOURS)
        snprintf(tail, sizeof tail, "%c%02d", minutes < 0 ? '-' : '+', size / 60);
    if (zone == ZONE_COLON || zone == ZONE_PLAIN)
        snprintf(tail, sizeof tail, "%c%02d%s%02d", minutes < 0 ? '-' : '+', size / 60, colon,
                 size % 60);
    snprintf(pattern, DATETIME_PATTERN_MAX, "%%Y-%%m-%%d%s%s", time_pattern[time], tail);
}

/* Seconds of the offset that ends the pattern behind %M or %S; 0 if there is none. */
static int64_t pattern_offset(const char *pattern)
{
    const size_t n = strlen(pattern);
    static const size_t lengths[] = {6, 5, 3};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const size_t k = lengths[i];
        int zone, minutes;
        if (n < k + 2 || (pattern[n - k - 1] != 'S' && pattern[n - k - 1] != 'M')) continue;
        if (pattern[n - k - 2] != '%') continue;
        if (parse_zone(&zone, &minutes, pattern + n - k, k)) return (int64_t)minutes * 60;
    }
    return 0;
}

bool datetime_pattern_ok(const char *pattern)
{
    bool year = false, month = false, day = false;

    if (strlen(pattern) >= DATETIME_PATTERN_MAX) return false;
    for (const char *p = pattern; *p; p++) {
        if (*p != '%') continue;
        p++;
        if (!*p || !strchr("YymdHMSbB%", *p)) return false;
        year |= *p == 'Y' || *p == 'y';
        month |= *p == 'm' || *p == 'b' || *p == 'B';
        day |= *p == 'd';
    }
    return year && month && day;
}

/* Month by its English name, full or three letters; the length taken, or 0. */
static size_t parse_month(int *month, bool full, const char *s, size_t n)
{
    for (int m = 0; m < 12; m++) {
        const size_t k = full ? strlen(months[m]) : 3;
        if (n < k || strncasecmp(s, months[m], k) != 0) continue;
        *month = m + 1;
        return k;
    }
    return 0;
}

/* One conversion at s; the length taken, or 0. */
static size_t parse_field(civil *c, char what, const char *s, size_t n)
{
    int *const at = what == 'm'   ? &c->month
                    : what == 'd' ? &c->day
                    : what == 'H' ? &c->hour
                    : what == 'M' ? &c->minute
                    : what == 'S' ? &c->second
                                  : &c->year;
    const size_t width = what == 'Y' ? 4 : 2;

    if (what == 'b' || what == 'B') return parse_month(&c->month, what == 'B', s, n);
    if (n < width || (*at = digits(s, (int)width)) < 0) return 0;
    if (what == 'y') c->year += c->year < 70 ? 2000 : 1900;
    return width;
}

bool datetime_parse(int64_t *seconds, const char *pattern, const char *s, size_t n)
{
    civil c = {0};
    size_t at = 0;

    for (const char *p = pattern; *p; p++) {
        if (*p != '%' || p[1] == '%') {
            if (*p == '%') p++;
            if (at >= n || s[at++] != *p) return false;
            continue;
        }
        const size_t took = parse_field(&c, *++p, s + at, n - at);
        if (!took) return false;
        at += took;
    }
    if (at != n || !civil_seconds(seconds, &c)) return false;
    *seconds -= pattern_offset(pattern);
    return true;
}

static int put(char *buf, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        buf[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return width;
}

int datetime_format(char buf[DATETIME_TEXT_MAX], const char *pattern, int64_t seconds)
{
    const int64_t least = -62135596800, most = 253402300799; /* 0001-01-01, 9999-12-31 23:59:59 */
    civil c;
    int n = 0;

    if (seconds < least) seconds = least;
    if (seconds > most) seconds = most;
    seconds += pattern_offset(pattern);
    if (seconds < least) seconds = least;
    if (seconds > most) seconds = most;
    int64_t days = seconds / DAY, rest = seconds % DAY;
    if (rest < 0) days--, rest += DAY;
    civil_from_days(&c, days);
    for (const char *p = pattern; *p && n < DATETIME_TEXT_MAX - 16; p++) {
        if (*p != '%' || !p[1]) {
            buf[n++] = *p;
            continue;
        }
        const char *name = months[c.month - 1];
        switch (*++p) {
        case 'Y':
            n += put(buf + n, c.year, 4);
            break;
        case 'y':
            n += put(buf + n, c.year % 100, 2);
            break;
        case 'm':
            n += put(buf + n, c.month, 2);
            break;
        case 'd':
            n += put(buf + n, c.day, 2);
            break;
        case 'H':
            n += put(buf + n, (int)(rest / 3600), 2);
            break;
        case 'M':
            n += put(buf + n, (int)(rest / 60 % 60), 2);
            break;
        case 'S':
            n += put(buf + n, (int)(rest % 60), 2);
            break;
        case 'b':
            n += (int)strlen(memcpy(buf + n, (char[4]){name[0], name[1], name[2], 0}, 4));
            break;
        case 'B':
            memcpy(buf + n, name, strlen(name) + 1);
            n += (int)strlen(name);
            break;
        default:
            buf[n++] = *p;
        }
    }
    return n;
}
