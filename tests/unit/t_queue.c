/* t_queue.c - what goes first: later steps, then longer records, then the order of the records. */
#include "lib/test.h"

#include "base/philox.h"
#include "reason/queue.h"

#include <stdlib.h>

enum { N = 2000 };

/* By the rule, written apart from the queue. */
static int by_rule(const void *x, const void *y)
{
    const queue_item *a = x, *b = y;

    if (a->later != b->later) return a->later < b->later ? 1 : -1;
    if (a->longer != b->longer) return a->longer < b->longer ? 1 : -1;
    return a->number < b->number ? -1 : 1;
}

void test_queue__gives_the_most_urgent_first(void **state)
{
    static queue_item item[N];
    mill_rng r = mill_rng_init(3, 1, 4);
    queue q = {0};
    (void)state;

    for (int i = 0; i < N; i++) {
        item[i] = (queue_item){.later = mill_rng_below(&r, 4),
                               .longer = mill_rng_below(&r, 20),
                               .number = i,
                               .thing = &item[i]};
        assert_ok(queue_add(&q, item[i]));
    }
    qsort(item, N, sizeof *item, by_rule);
    for (int i = 0; i < N; i++) {
        const queue_item *first = queue_first(&q);
        assert_int_equal(first->number, item[i].number);
        queue_drop_first(&q);
    }
    assert_null(queue_first(&q));
    queue_free(&q);
}
