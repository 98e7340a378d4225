/*
 * file.c - the trainer's state in a checkpoint, which is a model too.
 *
 * meta:     "classifier": {the network's options, "encoder": {..}}
 * tensors:  every parameter by its name, NAME.adam_m and NAME.adam_v of those that are trained,
 *           "epoch.sums" F64 (3): loss, hits and rows of the epoch so far; the encoder's
 *
 * It does not know how many ranks wrote it.
 */
#include "base/mem.h"
#include "classify/trainer.h"

#include <string.h>

/* The options that say what the network is. */
static const char *const network_options[] = {"arch",      "hidden-dims", "activation",
                                              "token-dim", "heads",       "layers"};

static bool is_network_option(const char *name)
{
    for (size_t i = 0; i < sizeof network_options / sizeof *network_options; i++)
        if (!strcmp(name, network_options[i])) return true;
    return false;
}

#define JSON_INT(x)  json_integer(x)
#define JSON_REAL(x) json_real(x)
#define JSON_TEXT(x) json_string(x)
#define JSON_DIMS(x) json_string(x)
#define JSON_FLAG(x) json_boolean(x)

static mill_err network_write(const cls_config *c, json_t *meta)
{
    json_t *o = json_object();

#define OPT(kind, field, name, letter, def, least, most, who, help) \
    if (is_network_option(name)) json_object_set_new(o, name, JSON_##kind(c->field));
#include "classify/options.def"
#undef OPT
    if (!o || json_object_set_new(meta, "classifier", o))
        return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    return MILL_OK;
}

#define READ_INT(x, o)  (x) = json_integer_value(o)
#define READ_REAL(x, o) (x) = json_number_value(o)
#define READ_TEXT(x, o) (x) = json_string_value(o) ? json_string_value(o) : (x)
#define READ_DIMS(x, o) READ_TEXT(x, o)
#define READ_FLAG(x, o) (x) = json_is_true(o)

/* Texts are borrowed from the file of this path. */
static mill_err network_read(cls_config *c, const store *s, const char *path)
{
    const json_t *o = json_object_get(store_meta(s), "classifier");

    *c = cls_config_default();
    if (!json_is_object(o))
        return mill_fail(MILL_EINPUT, "%s: this is no model of `tabmill train`", path);
#define OPT(kind, field, name, letter, def, least, most, who, help) \
    if (is_network_option(name)) READ_##kind(c->field, json_object_get(o, name));
#include "classify/options.def"
#undef OPT
    return cls_config_check(c);
}

mill_err cls_state_save(const cls_trainer *t, store_writer *w, json_t *meta)
{
    const int64_t three = 3;

    TRY(network_write(&t->c, meta));
    TRY(cls_encoder_write(t->d.encoder, w, json_object_get(meta, "classifier")));
    TRY(shards_write(&t->shards, w, "", true));
    return store_writer_add(w, "epoch.sums", STORE_F64, 1, &three, &t->sums);
}

/* encoder_only: all but the head, from a model that may have another one. */
mill_err cls_params_load(cls_trainer *t, const store *s, bool encoder_only)
{
    float *flat = rank_buffer_data(t->shards.params);
    const store_tensor *from;

    for (int copy = 0; copy < 2; copy++) /* look at all of them, then copy */
        for (int i = 0; i < t->layout.n; i++) {
            const flat_entry *p = &t->layout.entry[i];
            if (encoder_only && !strncmp(p->name, "net.head.", 9)) continue;
            TRY(store_get(&from, s, p->name, STORE_F32, p->shape.rank, p->shape.dim));
            if (copy) memcpy(flat + p->at, from->data, (size_t)p->count * sizeof *flat);
        }
    return MILL_OK;
}

mill_err cls_state_load(cls_trainer *t, const store *s)
{
    const store_tensor *sums;
    const int64_t three = 3;

    TRY(store_get(&sums, s, "epoch.sums", STORE_F64, 1, &three));
    TRY(shards_read(&t->shards, s));
    memcpy(&t->sums, sums->data, sizeof t->sums);
    return MILL_OK;
}

/* ---- a model that predicts ---- */

mill_err cls_model_open(cls_model *m, const char *path, mill_pool *pool)
{
    *m = (cls_model){.pool = pool};
    TRY(store_open(&m->file, path));
    mill_err err = network_read(&m->c, m->file, path);
    if (!err) err = cls_encoder_read(&m->encoder, m->file);
    if (err) cls_model_close(m);
    return err;
}

void cls_model_close(cls_model *m)
{
    cls_encoder_free(m->encoder);
    store_close(m->file);
    *m = (cls_model){0};
}

static mill_err load_states(mill_exec *e, const store *s)
{
    for (int i = 0; i < mill_exec_n_states(e); i++) {
        const exec_tensor to = mill_exec_state_at(e, i);
        const store_tensor *from;

        TRY(store_get(&from, s, to.name, STORE_F32, to.shape.rank, to.shape.dim));
        memcpy(to.data, from->data, to.bytes);
    }
    return MILL_OK;
}

static mill_err run_tiles(float *out, mill_exec *e, const cls_rows *r, int64_t tile, int64_t k)
{
    exec_tensor num = {0}, code = {0}, answer;

    if (r->n_num) TRY(mill_exec_input(&num, e, "num"));
    if (r->n_cat) TRY(mill_exec_input(&code, e, "code"));
    TRY(mill_exec_output(&answer, e, "out"));
    for (int64_t first = 0; first < r->n; first += tile) {
        const int64_t n = r->n - first < tile ? r->n - first : tile;

        if (r->n_num)
            memcpy(num.data, r->num + first * r->n_num, (size_t)(n * r->n_num) * sizeof(float));
        if (r->n_cat)
            memcpy(code.data, r->code + first * r->n_cat, (size_t)(n * r->n_cat) * sizeof(int32_t));
        TRY(mill_exec_run(e, 0));
        memcpy(out + first * k, answer.data, (size_t)(n * k) * sizeof *out);
    }
    return MILL_OK;
}

mill_err cls_model_run(float *out, const cls_model *m, const cls_rows *rows)
{
    const int64_t tile = m->encoder->n_num + m->encoder->n_cat > 4096 ? 64 : 256;
    cls_net net;
    mill_graph *g;
    mill_exec *e = NULL;
    const exec_options o = {.pool = m->pool};

    TRY(cls_net_init(&net, &m->c, m->encoder));
    TRY(mill_graph_new(&g));
    mill_err err = cls_build_eval(g, &net, tile);
    if (!err) err = mill_exec_new(&e, g, &o);
    if (!err) err = load_states(e, m->file);
    if (!err) err = run_tiles(out, e, rows, tile, net.n_out);
    mill_exec_free(e);
    mill_graph_free(g);
    return err;
}
