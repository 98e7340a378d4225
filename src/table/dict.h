/*
 * dict.h - the different strings of a column, each with a code, a count and where it was first
 * seen.
 *
 * An open table of 32-byte slots: a value of up to 16 bytes is two words and its length, and is
 * compared without looking at the text; a longer one has its hash in the second word (XXH3) and is
 * compared in full after that.  Codes are given in order of arrival; dict_order() renumbers them by
 * `first`, so that dictionaries filled by several threads and then merged come out the same whoever
 * saw what.
 */
#ifndef MILL_TABLE_DICT_H
#define MILL_TABLE_DICT_H

#include "base/err.h"
#include "table/scan.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t a, b;
    int64_t count;
    uint32_t len;
    int32_t code_1; /* code + 1; 0: empty */
} dict_slot;

typedef struct {
    dict_slot *slot; /* mask + 1 of them, NULL before the first value */
    uint64_t mask;
    int32_t n;
    int32_t cap;
    size_t *offset; /* cap + 1; text of code k is [offset[k], offset[k+1]) */
    int64_t *first; /* cap */
    char *text;
    size_t text_cap;
} dict;

typedef struct {
    uint64_t a, b, hash;
} dict_key;

void dict_free(dict *d);

/* s must be readable for 8 bytes behind its end. */
dict_key dict_long_key(const char *s, size_t n);
static inline dict_key dict_make_key(const char *s, size_t n)
{
    if (n > 16) return dict_long_key(s, n);

    dict_key k = {.a = load_u64(s)};
    if (n < 8)
        k.a = n ? k.a << (64 - 8 * n) : 0;
    else
        k.b = load_u64(s + n - 8);
    uint64_t h = (k.a * 0x9e3779b97f4a7c15u) ^ (k.b * 0xc2b2ae3d27d4eb4fu) ^ n;
    h ^= h >> 32;
    k.hash = h * 0xd6e8feb86659fd93u >> 16;
    return k;
}

/* The slot of the value, or NULL. */
static inline dict_slot *dict_find_key(const dict *d, const dict_key *k, const char *s, size_t n)
{
    if (!d->slot) return NULL;
    for (uint64_t i = k->hash & d->mask;; i = (i + 1) & d->mask) {
        dict_slot *slot = &d->slot[i];
        if (!slot->code_1) return NULL;
        if (slot->a != k->a || slot->b != k->b || slot->len != n) continue;
        if (n <= 16 || !memcmp(d->text + d->offset[slot->code_1 - 1], s, n)) return slot;
    }
}

/* More slots than a core's nearest cache holds beside other things. */
static inline bool dict_is_large(const dict *d)
{
    return d->mask >= 512;
}

/* Where the slot of a value that is looked for soon lies: a large table is not in the cache. */
static inline void dict_prefetch(const dict *d, const dict_key *k)
{
    if (d->slot) __builtin_prefetch(&d->slot[k->hash & d->mask]);
}

/* A value that dict_find_key did not find. */
mill_err dict_insert(dict *d, const dict_key *k, const char *s, size_t n, int64_t first,
                     int64_t count);

/* Find or insert: adds to the count, keeps the least `first`.  Any s, padded or not. */
mill_err dict_merge(dict *d, const char *s, size_t n, int64_t first, int64_t count);
/* The same with the code that it has, or got. */
mill_err dict_merge_code(int32_t *code, dict *d, const char *s, size_t n, int64_t first,
                         int64_t count);
int32_t dict_code(const dict *d, const char *s, size_t n); /* -1 if absent; any s */

/* Different values that look like keys: more than DICT_KEYS of them, each seen once. */
enum { DICT_KEYS = 50 };
bool dict_has_keys(const dict *d);

/* Codes in order of `first`, ties in order of the codes that were.  moved: (n) code k became
 * moved[k]; NULL allowed. */
mill_err dict_order(dict *d, int32_t *moved);

static inline const char *dict_text(const dict *d, int32_t code, size_t *n)
{
    *n = d->offset[code + 1] - d->offset[code];
    return d->text + d->offset[code];
}

#endif
