/* dict.c - see dict.h. */
#include "table/dict.h"
#include "base/mem.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

void dict_free(dict *d)
{
    mill_free(d->slot);
    mill_free(d->offset);
    mill_free(d->first);
    mill_free(d->text);
    memset(d, 0, sizeof *d);
}

dict_key dict_long_key(const char *s, size_t n)
{
    const uint64_t h = XXH3_64bits(s, n);
    return (dict_key){.a = load_u64(s), .b = h, .hash = h >> 16};
}

/* The key of a string that may end where its memory ends. */
static dict_key safe_key(const char *s, size_t n)
{
    char padded[32] = {0};

    if (n > 16) return dict_long_key(s, n);
    if (n) memcpy(padded, s, n);
    return dict_make_key(padded, n);
}

static dict_slot *free_slot(dict_slot *slot, uint64_t mask, uint64_t hash)
{
    uint64_t i = hash & mask;
    while (slot[i].code_1) i = (i + 1) & mask;
    return &slot[i];
}

/* Twice the slots (64 at first). */
static mill_err grow_slots(dict *d)
{
    const uint64_t n = d->slot ? (d->mask + 1) * 2 : 64;
    dict_slot *slot = mill_alloc(n, sizeof *slot);

    if (!slot) return MILL_ENOMEM;
    for (uint64_t i = 0; d->slot && i <= d->mask; i++) {
        const dict_slot *old = &d->slot[i];
        if (!old->code_1) continue;
        const dict_key k = safe_key(d->text + d->offset[old->code_1 - 1], old->len);
        *free_slot(slot, n - 1, k.hash) = *old;
    }
    mill_free(d->slot);
    d->slot = slot;
    d->mask = n - 1;
    return MILL_OK;
}

static mill_err grow_values(dict *d)
{
    if (d->cap > INT32_MAX / 2 - 1)
        return mill_fail(MILL_ENOMEM, "more than 2^30 different values");
    const int32_t cap = d->cap ? d->cap * 2 : 32;
    int64_t *first = mill_realloc(d->first, (size_t)cap, sizeof *first);
    if (!first) return MILL_ENOMEM;
    d->first = first;
    size_t *offset = mill_realloc(d->offset, (size_t)cap + 1, sizeof *offset);
    if (!offset) return MILL_ENOMEM;
    d->offset = offset;
    d->cap = cap;
    return MILL_OK;
}

mill_err dict_insert(dict *d, const dict_key *k, const char *s, size_t n, int64_t first,
                     int64_t count)
{
    if (d->n == d->cap) TRY(grow_values(d));
    if (!d->slot || (uint64_t)d->n * 2 > d->mask) TRY(grow_slots(d));

    const size_t at = d->offset[d->n];
    if (at + n > d->text_cap || !d->text) {
        const size_t cap = (at + n) * 2 + 256;
        char *text = mill_realloc(d->text, cap, 1);
        if (!text) return MILL_ENOMEM;
        d->text = text;
        d->text_cap = cap;
    }
    if (n) memcpy(d->text + at, s, n);
    d->offset[d->n + 1] = at + n;
    d->first[d->n] = first;
    *free_slot(d->slot, d->mask, k->hash) =
        (dict_slot){.a = k->a, .b = k->b, .count = count, .len = (uint32_t)n, .code_1 = d->n + 1};
    d->n++;
    return MILL_OK;
}

mill_err dict_merge_code(int32_t *code, dict *d, const char *s, size_t n, int64_t first,
                         int64_t count)
{
    const dict_key k = safe_key(s, n);
    dict_slot *slot = dict_find_key(d, &k, s, n);

    *code = slot ? slot->code_1 - 1 : d->n;
    if (!slot) return dict_insert(d, &k, s, n, first, count);
    if (first < d->first[*code]) d->first[*code] = first;
    slot->count += count;
    return MILL_OK;
}

mill_err dict_merge(dict *d, const char *s, size_t n, int64_t first, int64_t count)
{
    int32_t code;
    return dict_merge_code(&code, d, s, n, first, count);
}

int32_t dict_code(const dict *d, const char *s, size_t n)
{
    const dict_key k = safe_key(s, n);
    const dict_slot *slot = dict_find_key(d, &k, s, n);
    return slot ? slot->code_1 - 1 : -1;
}

bool dict_has_keys(const dict *d)
{
    if (d->n <= DICT_KEYS) return false;
    for (uint64_t i = 0; i <= d->mask; i++)
        if (d->slot[i].code_1 && d->slot[i].count != 1) return false;
    return true;
}

typedef struct {
    int64_t first;
    dict_slot *slot;
} dict_rank;

static int by_first(const void *pa, const void *pb)
{
    const dict_rank *a = pa, *b = pb;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return (a->slot->code_1 > b->slot->code_1) - (a->slot->code_1 < b->slot->code_1);
}

mill_err dict_order(dict *d, int32_t *moved)
{
    if (!d->n) return MILL_OK;

    dict_rank *order = mill_alloc((size_t)d->n, sizeof *order);
    size_t *offset = mill_alloc((size_t)d->cap + 1, sizeof *offset);
    char *text = mill_alloc(d->text_cap, 1);

    if (!order || !offset || !text) {
        mill_free(order);
        mill_free(offset);
        mill_free(text);
        return MILL_ENOMEM;
    }
    int32_t n = 0;
    for (uint64_t i = 0; i <= d->mask; i++)
        if (d->slot[i].code_1)
            order[n++] = (dict_rank){d->first[d->slot[i].code_1 - 1], &d->slot[i]};
    qsort(order, (size_t)n, sizeof *order, by_first);
    for (int32_t k = 0; k < n; k++) {
        const int32_t old = order[k].slot->code_1 - 1;
        const size_t len = order[k].slot->len;
        if (len) memcpy(text + offset[k], d->text + d->offset[old], len);
        offset[k + 1] = offset[k] + len;
    }
    for (int32_t k = 0; k < n; k++) {
        if (moved) moved[order[k].slot->code_1 - 1] = k;
        order[k].slot->code_1 = k + 1;
        d->first[k] = order[k].first;
    }
    mill_free(d->offset);
    mill_free(d->text);
    d->offset = offset;
    d->text = text;
    mill_free(order);
    return MILL_OK;
}
