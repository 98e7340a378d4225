/*
 * arrow_make.c - see arrow_make.h.
 *
 * A schema lies in one arena, which the release of its root frees.  Arrays are borrowed, so their
 * release only marks them.
 */
#include "table/arrow_make.h"

#include "base/mem.h"

#include <string.h>

static void released_part(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void released_schema(struct ArrowSchema *s)
{
    mill_arena *arena = s->private_data;

    for (int64_t j = 0; j < s->n_children; j++)
        if (s->children[j]->release) s->children[j]->release(s->children[j]);
    s->release = NULL;
    mill_arena_free(arena);
}

/* One pair, as arrow.h lays it out. */
static char *pair(mill_arena *arena, const char *key, const char *value)
{
    const int32_t head[] = {1, (int32_t)strlen(key), (int32_t)strlen(value)};
    char *all = mill_arena_alloc(arena, sizeof head + strlen(key) + strlen(value), 1), *at = all;

    if (!all) return NULL;
    /* NOLINTBEGIN(bugprone-not-null-terminated-result): lengths say where they end */
    memcpy(at, head, 2 * sizeof *head);
    memcpy(at += 2 * sizeof *head, key, strlen(key));
    memcpy(at += strlen(key), &head[2], sizeof *head);
    memcpy(at + sizeof *head, value, strlen(value));
    /* NOLINTEND(bugprone-not-null-terminated-result) */
    return all;
}

static struct ArrowSchema *make_field(mill_arena *arena, const arrow_field *f)
{
    struct ArrowSchema *s = mill_arena_alloc(arena, 1, sizeof *s);
    struct ArrowSchema *values = mill_arena_alloc(arena, 1, sizeof *values);
    const char *name = mill_arena_strdup(arena, f->name);
    const char *format = mill_arena_strdup(arena, f->format);
    const char *metadata = f->key ? pair(arena, f->key, f->value) : NULL;

    if (!s || !values || !name || !format || (f->key && !metadata)) return NULL;
    *s = (struct ArrowSchema){.format = f->has_dictionary ? "i" : format,
                              .name = name,
                              .metadata = metadata,
                              .flags = ARROW_FLAG_NULLABLE,
                              .release = released_part};
    *values = (struct ArrowSchema){.format = format, .name = "", .release = released_part};
    values->flags = ARROW_FLAG_NULLABLE;
    if (f->has_dictionary) s->dictionary = values;
    return s;
}

static mill_err make_fields(struct ArrowSchema *out, mill_arena *arena, const arrow_field *field,
                            int n)
{
    *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = n};
    out->children = mill_arena_alloc(arena, (size_t)n + 1, sizeof(struct ArrowSchema *));
    if (!out->children) return MILL_ENOMEM;
    for (int j = 0; j < n; j++)
        if (!(out->children[j] = make_field(arena, &field[j]))) return MILL_ENOMEM;
    out->private_data = arena;
    out->release = released_schema;
    return MILL_OK;
}

mill_err arrow_schema_make(struct ArrowSchema *out, const arrow_field *field, int n)
{
    mill_arena *arena;

    TRY(mill_arena_new(&arena));
    const mill_err err = make_fields(out, arena, field, n);
    if (err) mill_arena_free(arena);
    if (err) *out = (struct ArrowSchema){0};
    return err;
}

/* ---- arrays ---- */

static void released_array(struct ArrowArray *a)
{
    for (int64_t j = 0; j < a->n_children; j++)
        if (a->children[j]->release) a->children[j]->release(a->children[j]);
    if (a->dictionary && a->dictionary->release) a->dictionary->release(a->dictionary);
    a->release = NULL;
}

void arrow_column_make(arrow_column *c, int64_t rows, const void *valid, int64_t n_missing,
                       const void *data, const void *text)
{
    *c = (arrow_column){.buffer = {n_missing ? valid : NULL, data, text}};
    c->array = (struct ArrowArray){.length = rows,
                                   .null_count = n_missing,
                                   .n_buffers = text ? 3 : 2,
                                   .buffers = c->buffer,
                                   .release = released_array};
}

void arrow_column_values(arrow_column *c, int64_t n, const int32_t *offset, const void *text)
{
    c->value_buffer[1] = offset;
    c->value_buffer[2] = text;
    c->values = (struct ArrowArray){
        .length = n, .n_buffers = 3, .buffers = c->value_buffer, .release = released_array};
    c->array.dictionary = &c->values;
}

void arrow_rows_make(struct ArrowArray *out, int64_t rows, struct ArrowArray **child, int n)
{
    static const void *no_buffer[1];

    *out = (struct ArrowArray){.length = rows,
                               .n_buffers = 1,
                               .n_children = n,
                               .buffers = no_buffer,
                               .children = child,
                               .release = released_array};
}
