/*
 * queue.h - what can be sent, the most urgent first: a binary heap of numbers with things.
 *
 * The order is total, by three keys, so that it does not depend on how things came in.
 */
#ifndef MILL_REASON_QUEUE_H
#define MILL_REASON_QUEUE_H

#include "base/err.h"

#include <stdint.h>

typedef struct {
    int64_t later;  /* the larger, the earlier it goes */
    int64_t longer; /* then the longer one */
    int64_t number; /* then the smaller one */
    void *thing;
} queue_item;

typedef struct {
    queue_item *at;
    int64_t n, room;
} queue;

void queue_free(queue *q);
mill_err queue_add(queue *q, queue_item item);
const queue_item *queue_first(const queue *q); /* NULL: it is empty */
void queue_drop_first(queue *q);

#endif
