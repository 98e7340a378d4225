/* queue.c - a binary heap: the first of at[0..n) comes before both of its children, and so on. */
#include "reason/queue.h"

#include "base/mem.h"

#include <stdbool.h>

void queue_free(queue *q)
{
    mill_free(q->at);
    *q = (queue){0};
}

static bool comes_before(const queue_item *a, const queue_item *b)
{
    if (a->later != b->later) return a->later > b->later;
    if (a->longer != b->longer) return a->longer > b->longer;
    return a->number < b->number;
}

mill_err queue_add(queue *q, queue_item item)
{
    if (q->n == q->room) {
        const int64_t room = q->room ? 2 * q->room : 64;
        queue_item *at = mill_realloc(q->at, (size_t)room, sizeof *at);
        if (!at) return MILL_ENOMEM;
        q->at = at;
        q->room = room;
    }
    int64_t i = q->n++;
    for (; i && comes_before(&item, &q->at[(i - 1) / 2]); i = (i - 1) / 2)
        q->at[i] = q->at[(i - 1) / 2];
    q->at[i] = item;
    return MILL_OK;
}

const queue_item *queue_first(const queue *q)
{
    return q->n ? &q->at[0] : NULL;
}

void queue_drop_first(queue *q)
{
    const queue_item last = q->at[--q->n];
    int64_t i = 0;

    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < q->n && comes_before(&q->at[child + 1], &q->at[child])) child++;
        if (child >= q->n || !comes_before(&q->at[child], &last)) break;
        q->at[i] = q->at[child];
        i = child;
    }
    q->at[i] = last;
}
