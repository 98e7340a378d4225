/*
 * tensorboard.c - TensorBoard's event files, written record by record.
 *
 * File events.out.tfevents.<seconds, 10 digits>.<host>.<pid>.<uid>.  A record, little endian:
 *
 *     u64 length | u32 masked crc32c of these 8 bytes | data | u32 masked crc32c of data
 *     masked(c) = rotr(c, 15) + 0xa282ead8
 *
 * data is a protobuf Event: 1 wall_time (double), 2 step (varint), then one of 3 file_version
 * (string), 5 summary, 7 session_log; 10 source_metadata { 1 writer }.  Summary { 1: Value { 1 tag,
 * 2 simple_value (float), 9 metadata { 1 plugin_data { 1 "scalars" }, 4 data_class = 1 } } },
 * metadata with the first use of a tag.  SessionLog { 1 status = 1 START } makes TensorBoard drop
 * all points from the event's step on: it stands one behind the step that a resume goes on from,
 * whose own point stays.
 *
 * Each event goes out with one write, so that a killed run leaves at most one torn record at the
 * end.
 */
#include "train/tensorboard.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tensorboard {
    mill_file *file;
    const char *seen[TENSORBOARD_MAX_TAGS];
    int n_seen;
};

enum { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2, WIRE_FLOAT = 5 };

static void put_varint(mill_text *t, uint64_t x)
{
    do {
        const uint8_t byte = (uint8_t)((x & 127) | (x > 127 ? 128 : 0));
        text_add_bytes(t, &byte, 1);
    } while (x >>= 7);
}

static void put_key(mill_text *t, int field, int wire)
{
    put_varint(t, (uint64_t)(field << 3 | wire));
}

static void put_bytes(mill_text *t, int field, const void *p, size_t n)
{
    put_key(t, field, WIRE_BYTES);
    put_varint(t, n);
    text_add_bytes(t, p, n);
}

static void put_text(mill_text *t, int field, const char *s)
{
    put_bytes(t, field, s, strlen(s));
}

static void put_wall_time(mill_text *t)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    put_key(t, 1, WIRE_DOUBLE);
    text_add_bytes(t, &seconds, sizeof seconds);
}

static uint32_t masked_crc(const void *p, size_t n)
{
    const uint32_t c = mill_crc32c(0, p, n);
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

/* Frames `event` and writes it whole. */
static mill_err write_event(tensorboard *tb, const mill_text *event)
{
    const uint64_t length = event->len;
    const uint32_t length_crc = masked_crc(&length, sizeof length);
    const uint32_t data_crc = masked_crc(event->s, event->len);
    mill_text record = {0};
    mill_err err;

    TRY(text_check(event));
    text_add_bytes(&record, &length, sizeof length);
    text_add_bytes(&record, &length_crc, sizeof length_crc);
    text_add_bytes(&record, event->s, event->len);
    text_add_bytes(&record, &data_crc, sizeof data_crc);
    if ((err = text_check(&record))) goto done;
    if ((err = file_write(tb->file, record.s, record.len))) goto done;
    err = file_flush(tb->file);
done:
    text_free(&record);
    return err;
}

static mill_err write_start(tensorboard *tb, int64_t resume_step)
{
    mill_text event = {0}, inner = {0};
    mill_err err;

    put_wall_time(&event);
    put_text(&event, 3, "brain.Event:2");
    put_text(&inner, 1, "tabmill");
    put_bytes(&event, 10, inner.s ? inner.s : "", inner.len);
    err = inner.failed ? text_check(&inner) : write_event(tb, &event);

    if (!err && resume_step >= 0) {
        static const uint8_t start[] = {1 << 3 | WIRE_VARINT, 1};

        text_clear(&event);
        put_wall_time(&event);
        put_key(&event, 2, WIRE_VARINT);
        put_varint(&event, (uint64_t)resume_step + 1);
        put_bytes(&event, 7, start, sizeof start);
        err = write_event(tb, &event);
    }
    text_free(&event);
    text_free(&inner);
    return err;
}

mill_err tensorboard_open(tensorboard **out, const char *dir, int64_t resume_step)
{
    static int uid;
    char host[128] = "host";
    mill_text path = {0};
    mill_err err;

    tensorboard *tb = mill_alloc(1, sizeof *tb);
    if (!tb) return MILL_ENOMEM;
    gethostname(host, sizeof host - 1);
    text_add(&path, "%s/events.out.tfevents.%010lld.%s.%d.%d", dir, (long long)time(NULL), host,
             (int)getpid(), uid++);
    if ((err = text_check(&path))) goto fail;
    if ((err = file_open_append(&tb->file, path.s))) goto fail;
    if ((err = write_start(tb, resume_step))) goto fail;
    text_free(&path);
    *out = tb;
    return MILL_OK;
fail:
    text_free(&path);
    tensorboard_close(tb);
    return err;
}

/* True the first time. */
static bool is_new_tag(tensorboard *tb, const char *tag)
{
    for (int i = 0; i < tb->n_seen; i++)
        if (!strcmp(tb->seen[i], tag)) return false;
    if (tb->n_seen < TENSORBOARD_MAX_TAGS) tb->seen[tb->n_seen++] = tag;
    return true;
}

static void put_scalar(mill_text *summary, const char *tag, double x, bool is_new)
{
    static const char metadata[] =
        "\x0a\x09\x0a\x07scalars\x20\x01"; /* plugin_data { "scalars" }, data_class SCALAR */
    const float value = (float)x;
    mill_text t = {0};

    put_text(&t, 1, tag);
    put_key(&t, 2, WIRE_FLOAT);
    text_add_bytes(&t, &value, sizeof value);
    if (is_new) put_bytes(&t, 9, metadata, sizeof metadata - 1);
    if (t.failed)
        summary->failed = true;
    else
        put_bytes(summary, 1, t.s, t.len);
    text_free(&t);
}

mill_err tensorboard_scalars(tensorboard *tb, int64_t step, int n, const char *const *tag,
                             const double *value)
{
    mill_text event = {0}, summary = {0};
    mill_err err;

    for (int i = 0; i < n; i++)
        if (!isnan(value[i])) put_scalar(&summary, tag[i], value[i], is_new_tag(tb, tag[i]));
    put_wall_time(&event);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    if (summary.len) put_bytes(&event, 5, summary.s, summary.len);
    err = text_check(&summary);
    if (!err && summary.len) err = write_event(tb, &event);
    text_free(&event);
    text_free(&summary);
    return err;
}

void tensorboard_close(tensorboard *tb)
{
    if (!tb) return;
    file_close(tb->file);
    mill_free(tb);
}
