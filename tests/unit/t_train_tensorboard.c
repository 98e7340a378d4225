/* t_train_tensorboard.c - event files, read back by a decoder of its own: bitwise CRC, field by
 * field. */
#include "base/file.h"
#include "base/mem.h"
#include "lib/test.h"
#include "train/tensorboard.h"

#include <math.h>
#include <unistd.h>

/* Castagnoli, reflected, a bit at a time. */
static uint32_t crc_masked(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;

    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82F63B78u : 0);
    }
    c = ~c;
    return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

typedef struct {
    const uint8_t *p, *end;
} span;

static uint64_t varint(span *s)
{
    uint64_t x = 0;

    for (int shift = 0;; shift += 7) {
        assert_true(s->p < s->end);
        x |= (uint64_t)(*s->p & 127) << shift;
        if (!(*s->p++ & 128)) return x;
    }
}

static span bytes_of(span *s)
{
    const uint64_t n = varint(s);

    assert_true(n <= (uint64_t)(s->end - s->p));
    const span inner = {s->p, s->p + n};
    s->p += n;
    return inner;
}

/* Next record, its checksums checked. */
static span record(span *s)
{
    uint64_t n;
    uint32_t crc;

    assert_true(s->end - s->p >= 16);
    memcpy(&n, s->p, 8);
    memcpy(&crc, s->p + 8, 4);
    assert_int_equal(crc, crc_masked(s->p, 8));
    assert_true(n + 16 <= (uint64_t)(s->end - s->p));
    const span data = {s->p + 12, s->p + 12 + n};
    memcpy(&crc, data.end, 4);
    assert_int_equal(crc, crc_masked(data.p, n));
    s->p = data.end + 4;
    return data;
}

static bool is_text(span s, const char *text)
{
    return (size_t)(s.end - s.p) == strlen(text) && !memcmp(s.p, text, strlen(text));
}

/* The event's wall time must be a time of ours; returns what follows it. */
static span behind_time(span e)
{
    double seconds;

    assert_int_equal(varint(&e), 1 << 3 | 1);
    memcpy(&seconds, e.p, 8);
    assert_true(seconds > 1.6e9 && seconds < 1e10);
    e.p += 8;
    return e;
}

static int64_t step_of(span *e)
{
    assert_int_equal(varint(e), 2 << 3 | 0);
    return (int64_t)varint(e);
}

static void check_value(span *summary, const char *tag, float x, bool has_metadata)
{
    float value;

    assert_int_equal(varint(summary), 1 << 3 | 2);
    span v = bytes_of(summary);
    assert_int_equal(varint(&v), 1 << 3 | 2);
    assert_true(is_text(bytes_of(&v), tag));
    assert_int_equal(varint(&v), 2 << 3 | 5);
    memcpy(&value, v.p, 4);
    assert_true(value == x);
    v.p += 4;
    if (has_metadata) {
        assert_int_equal(varint(&v), 9 << 3 | 2);
        span m = bytes_of(&v);
        assert_int_equal(varint(&m), 1 << 3 | 2);
        span plugin = bytes_of(&m);
        assert_int_equal(varint(&plugin), 1 << 3 | 2);
        assert_true(is_text(bytes_of(&plugin), "scalars"));
        assert_int_equal(varint(&m), 4 << 3 | 0);
        assert_int_equal(varint(&m), 1);
        assert_true(m.p == m.end);
    }
    assert_true(v.p == v.end);
}

static char dir[64], *text;

static span events(void)
{
    char **names, path[400];
    int n;
    size_t len;

    assert_ok(file_list(&names, &n, dir));
    assert_int_equal(n, 1);
    assert_memory_equal(names[0], "events.out.tfevents.", 20);
    snprintf(path, sizeof path, "%s/%s", dir, names[0]);
    assert_ok(file_read_all(&text, &len, path));
    mill_free(names);
    return (span){(uint8_t *)text, (uint8_t *)text + len};
}

static void check_head(span *s)
{
    span e = behind_time(record(s));

    assert_int_equal(varint(&e), 3 << 3 | 2);
    assert_true(is_text(bytes_of(&e), "brain.Event:2"));
}

static void begin(void)
{
    strcpy(dir, "/tmp/tabmill-events-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void end(void)
{
    mill_free(text);
    assert_ok(file_remove_tree(dir));
}

void test_tensorboard__writes_scalars_that_read_back(void **state)
{
    (void)state;
    static const char *const tags[] = {"loss_a", "quality"};
    tensorboard *tb;

    begin();
    assert_ok(tensorboard_open(&tb, dir, -1));
    assert_ok(tensorboard_scalars(tb, 300, 2, tags, (double[]){-1.5, 0.25}));
    assert_ok(tensorboard_scalars(tb, 301, 2, tags, (double[]){2, (double)NAN}));
    assert_ok(tensorboard_scalars(tb, 302, 1, tags, (double[]){(double)NAN}));
    tensorboard_close(tb);

    span s = events();
    check_head(&s);
    span e = behind_time(record(&s));
    assert_int_equal(step_of(&e), 300);
    assert_int_equal(varint(&e), 5 << 3 | 2);
    span summary = bytes_of(&e);
    check_value(&summary, "loss_a", -1.5f, true);
    check_value(&summary, "quality", 0.25f, true);
    assert_true(summary.p == summary.end && e.p == e.end);

    e = behind_time(record(&s));
    assert_int_equal(step_of(&e), 301);
    assert_int_equal(varint(&e), 5 << 3 | 2);
    summary = bytes_of(&e);
    check_value(&summary, "loss_a", 2, false); /* known by now; a value that is none is left out */
    assert_true(summary.p == summary.end);
    assert_true(s.p == s.end); /* nothing but NaN: no event */
    end();
}

void test_tensorboard__marks_where_a_run_was_resumed(void **state)
{
    (void)state;
    tensorboard *tb;

    begin();
    assert_ok(tensorboard_open(&tb, dir, 70000));
    tensorboard_close(tb);
    span s = events();
    check_head(&s);
    span e = behind_time(record(&s));
    assert_int_equal(step_of(&e), 70001); /* from there on points are dropped: 70000 stays */
    assert_int_equal(varint(&e), 7 << 3 | 2);
    span log = bytes_of(&e);
    assert_int_equal(varint(&log), 1 << 3 | 0);
    assert_int_equal(varint(&log), 1); /* START */
    assert_true(log.p == log.end && s.p == s.end);
    end();
}

/* The file of a run that was told that all went well holds all. */
static void check_whole(void)
{
    span s = events();

    check_head(&s);
    span e = behind_time(record(&s));
    assert_int_equal(step_of(&e), 6); /* START */
    e = behind_time(record(&s));
    assert_int_equal(step_of(&e), 6);
    assert_int_equal(varint(&e), 5 << 3 | 2);
    span summary = bytes_of(&e);
    check_value(&summary, "loss_a", 1, true);
    check_value(&summary, "loss_b", 2, true);
    assert_true(summary.p == summary.end && e.p == e.end && s.p == s.end);
}

void test_tensorboard__writes_all_or_says_that_memory_is_out(void **state)
{
    (void)state;
    static const char *const tags[] = {"loss_a", "loss_b"};
    mill_mem_stats before, after;
    tensorboard *tb = NULL;
    int failures = 0;

    bool reached = true;
    for (int64_t n = 1; reached; n++) {
        begin();
        text = NULL;
        mill_mem_get_stats(&before);
        mill_mem_fail_at(n);
        mill_err err = tensorboard_open(&tb, dir, 5);
        if (!err) err = tensorboard_scalars(tb, 6, 2, tags, (double[]){1, 2});
        mill_mem_fail_at(0);
        tensorboard_close(tb);
        tb = NULL;
        mill_mem_get_stats(&after);
        assert_int_equal(after.live, before.live);
        reached = after.calls - before.calls >= n;
        if (err)
            assert_int_equal(err, MILL_ENOMEM);
        else
            check_whole();
        failures += err != MILL_OK;
        end();
    }
    assert_true(failures > 8);
}
