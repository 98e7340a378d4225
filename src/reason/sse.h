/*
 * sse.h - server-sent events, as they come:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2.6.
 *
 * Bytes may be split anywhere.  Lines end with LF, CRLF or CR; comments and fields other than data
 * are passed over; several data lines are joined by LF; an event that the end cuts off is none.
 */
#ifndef MILL_REASON_SSE_H
#define MILL_REASON_SSE_H

#include "base/text.h"

typedef struct {
    mill_text line; /* of a line, what has come of it */
    mill_text data; /* of an event, the data of its lines so far, each with an LF behind it */
    bool has_data, has_begun, skips_lf;
} sse;

/* Calls `event` with the data of each event that is whole; it is borrowed, and not NUL-terminated.
 * false: no memory, or `event` returned false. */
bool sse_feed(sse *s, const char *p, size_t n, bool (*event)(void *ctx, const char *data, size_t n),
              void *ctx);
void sse_reset(sse *s); /* for another stream; keeps the memory */
void sse_free(sse *s);

#endif
