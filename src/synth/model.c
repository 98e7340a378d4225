/*
 * model.c - the model file: meta {"kind":"model", "method", "config", "schema", ...the method's
 * own} and tensors.
 *
 * Nothing in it depends on when, where or by how many threads it was made: the same fit gives the
 * same bytes.
 */
#include "synth/synth.h"

#include "base/mem.h"

#include <string.h>

mill_err synth_model_write(const char *path, const synth_method *method, void *fit,
                           const synth_schema *s, const synth_config *c)
{
    store_writer *w = NULL;
    json_t *meta = json_pack("{s:s, s:s}", "kind", "model", "method", method->name);
    json_t *config = NULL;
    mill_err err;

    if (!meta) return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    if ((err = synth_config_json(&config, c))) goto done;
    if (json_object_set_new(meta, "config", config)) {
        err = mill_fail(MILL_ENOMEM, "no memory for the model's header");
        goto done;
    }
    if ((err = store_writer_new(&w))) goto done;
    if ((err = synth_schema_write(s, w, meta))) goto done;
    if ((err = method->fit_write(fit, w, meta))) goto done;
    err = store_writer_commit(w, path, meta);
done:
    if (w) store_writer_free(w);
    json_decref(meta);
    return err;
}

/* A checkpoint is known by the job that it is of; shards and the like have no kind. */
static mill_err not_a_model(const char *path, const json_t *meta)
{
    const char *job = json_string_value(json_object_get(json_object_get(meta, "loop"), "job"));

    if (job)
        return mill_fail(MILL_EINPUT, "%s: is a checkpoint of %s, not the model of a fit", path,
                         job);
    return mill_fail(MILL_EINPUT, "%s: holds tensors, not the model of a fit", path);
}

mill_err synth_model_open(synth_model **out, const char *path, mill_pool *pool)
{
    synth_model *m = mill_alloc(1, sizeof *m);
    mill_err err;

    if (!m) return MILL_ENOMEM;
    m->pool = pool;
    if ((err = store_open(&m->file, path))) goto fail;

    const char *kind = json_string_value(json_object_get(store_meta(m->file), "kind"));
    const char *name = json_string_value(json_object_get(store_meta(m->file), "method"));
    if (!kind || strcmp(kind, "model") != 0 || !name) {
        err = not_a_model(path, store_meta(m->file));
        goto fail;
    }
    if (!(m->method = synth_method_find(name))) {
        err = mill_fail(MILL_EINPUT,
                        "%s: made by the method \"%s\", which this program does not "
                        "have",
                        path, name);
        goto fail;
    }
    if ((err = synth_schema_read(&m->schema, m->file))) goto fail;
    if ((err = m->method->model_open(&m->model, m->file, m->schema, pool))) goto fail;
    *out = m;
    return MILL_OK;
fail:
    synth_model_close(m);
    return err;
}

void synth_model_close(synth_model *m)
{
    if (!m) return;
    if (m->method && m->model) m->method->model_close(m->model);
    synth_schema_free(m->schema);
    if (m->file) store_close(m->file);
    mill_free(m);
}
