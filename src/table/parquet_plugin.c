/*
 * parquet_plugin.c - see parquet_plugin.h.
 *
 * The library is opened once and stays.  A failure of the file itself is more to the point than
 * what Arrow makes of it, so the first one is kept and told.
 */
#include "table/parquet_plugin.h"

#include "base/mem.h"
#include "base/plugin.h"
#include "table/csv_write.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the plug-in ---- */

static struct {
    pthread_once_t once;
    const parquet_shim *shim; /* NULL: words say why */
    char words[PARQUET_WORDS];
} plugin = {.once = PTHREAD_ONCE_INIT};

static void load(void)
{
    void *so = mill_plugin_open("libtabmill_parquet.so", "TABMILL_PARQUET", RTLD_NOW | RTLD_LOCAL);
    parquet_shim_get get;

    if (!so) {
        snprintf(plugin.words, sizeof plugin.words, "%s", dlerror());
        return;
    }
    *(void **)&get = dlsym(so, "tabmill_parquet");
    if (get && get()->version == PARQUET_SHIM_VERSION)
        plugin.shim = get();
    else
        snprintf(plugin.words, sizeof plugin.words, "it is of another version");
}

static mill_err need_plugin(const parquet_shim **out, const char *path)
{
    pthread_once(&plugin.once, load);
    if (!plugin.shim)
        return mill_fail(MILL_EDEVICE,
                         "%s: Parquet needs libtabmill_parquet.so, which `make parquet` builds on "
                         "the package pyarrow: %s",
                         path, plugin.words);
    *out = plugin.shim;
    return MILL_OK;
}

/* ---- failures ---- */

static void keep_failure(parquet_failure *f, mill_err err)
{
    pthread_mutex_lock(&f->lock);
    if (!f->err) snprintf(f->words, sizeof f->words, "%s", mill_error());
    if (!f->err) f->err = err;
    pthread_mutex_unlock(&f->lock);
}

/* How a call ended, in our terms. */
static mill_err told(parquet_failure *f, shim_end end, const char *path, const char *words)
{
    if (end == SHIM_OK) return MILL_OK;
    pthread_mutex_lock(&f->lock);
    const mill_err err = f->err;
    pthread_mutex_unlock(&f->lock);
    if (err) return mill_fail(err, "%s", f->words);
    if (end == SHIM_NOMEM) return mill_fail(MILL_ENOMEM, "%s: no memory for Parquet", path);
    return mill_fail(MILL_EINPUT, "%s: %s", path, words);
}

/* ---- reading ---- */

static int64_t read_bytes(void *ctx, void *p, int64_t n, int64_t at)
{
    parquet_file *f = ctx;
    size_t got;

    const mill_err err = source_read(f->in, p, (size_t)n, at, &got);
    if (err) keep_failure(&f->failure, err);
    return err ? -1 : (int64_t)got;
}

/* The head and the tail say PAR1; PARE at the end: the footer is encrypted. */
static mill_err check_magic(const source *in)
{
    char head[4] = {0}, tail[4] = {0};
    size_t got;

    TRY(source_read(in, head, sizeof head, 0, &got));
    if (in->bytes >= 4) TRY(source_read(in, tail, sizeof tail, in->bytes - 4, &got));
    if (!memcmp(tail, "PARE", 4) || !memcmp(head, "PARE", 4))
        return mill_fail(MILL_EINPUT, "%s: an encrypted Parquet file", in->path);
    if (memcmp(head, "PAR1", 4) != 0)
        return mill_fail(MILL_EINPUT, "%s: this is not a Parquet file", in->path);
    if (in->bytes < 12 || memcmp(tail, "PAR1", 4) != 0)
        return mill_fail(MILL_EINPUT, "%s: the Parquet file has no end: it was cut short?",
                         in->path);
    return MILL_OK;
}

static mill_err check_names(const parquet_file *f)
{
    const struct ArrowSchema *s = &f->schema;

    for (int64_t j = 1; j < s->n_children; j++)
        for (int64_t k = 0; k < j; k++)
            if (!strcmp(s->children[j]->name, s->children[k]->name))
                return mill_fail(MILL_EINPUT, "%s: column \"%s\" appears twice", f->in->path,
                                 s->children[j]->name);
    return MILL_OK;
}

mill_err parquet_file_open(parquet_file *f, const source *in, bool as_table, int threads)
{
    const shim_how how = {.threads = threads, .as_table = as_table};
    char words[PARQUET_WORDS];
    const parquet_shim *shim = NULL;

    TRY(check_magic(in));
    TRY(need_plugin(&shim, in->path));
    *f = (parquet_file){.in = in, .shim = shim};
    pthread_mutex_init(&f->failure.lock, NULL);
    const shim_input bytes = {.ctx = f, .bytes = in->bytes, .read = read_bytes};
    const shim_end end = shim->open(&f->reader, &f->schema, &f->facts, &bytes, &how, words);
    mill_err err = told(&f->failure, end, in->path, words);
    if (!err && f->schema.n_children < 1)
        err = mill_fail(MILL_EINPUT, "%s: the table has no columns", in->path);
    if (!err) err = check_names(f);
    if (err) parquet_file_close(f);
    return err;
}

mill_err parquet_file_stream(parquet_file *f, const int *column, int n, int64_t batch_rows)
{
    char words[PARQUET_WORDS];
    const shim_end end = f->shim->stream(&f->stream, f->reader, column, n, batch_rows, words);
    return told(&f->failure, end, f->in->path, words);
}

mill_err parquet_file_next(parquet_file *f, struct ArrowArray *out)
{
    *out = (struct ArrowArray){0};
    const int e = f->stream.get_next(&f->stream, out);
    if (!e) return MILL_OK;
    const char *words = f->stream.get_last_error(&f->stream);
    return told(&f->failure, e == ENOMEM ? SHIM_NOMEM : SHIM_BAD, f->in->path,
                words ? words : strerror(e));
}

void parquet_file_close(parquet_file *f)
{
    if (!f->shim) return;
    if (f->stream.release) f->stream.release(&f->stream);
    if (f->schema.release) f->schema.release(&f->schema);
    if (f->reader) f->shim->close(f->reader);
    pthread_mutex_destroy(&f->failure.lock);
    f->shim = NULL;
}

/* ---- writing ---- */

static int write_bytes(void *ctx, const void *p, int64_t n)
{
    parquet_output *o = ctx;
    const mill_err err = o->to ? file_write(o->to, p, (size_t)n) : MILL_EIO;

    if (err) keep_failure(&o->failure, err);
    return err != MILL_OK;
}

mill_err parquet_output_open(parquet_output *o, const char *path, bool force)
{
    const parquet_shim *shim = NULL;

    *o = (parquet_output){0};
    TRY(path_check_new(path, force));
    TRY(need_plugin(&shim, path));
    TRY(strcmp(path, "-") ? file_create_atomic(&o->to, path) : file_create(&o->to, path));
    o->path = path;
    o->shim = shim;
    pthread_mutex_init(&o->failure.lock, NULL);
    return MILL_OK;
}

mill_err parquet_output_begin(parquet_output *o, struct ArrowSchema *schema, int threads)
{
    const shim_output to = {.ctx = o, .write = write_bytes};
    const shim_how how = {.threads = threads};
    char words[PARQUET_WORDS];
    const shim_end end = o->shim->create(&o->writer, schema, &to, &how, words);

    if (schema->release) schema->release(schema);
    return told(&o->failure, end, o->path, words);
}

mill_err parquet_output_write(parquet_output *o, struct ArrowArray *rows)
{
    char words[PARQUET_WORDS];
    const shim_end end = o->shim->write(o->writer, rows, words);

    if (rows->release) rows->release(rows);
    return told(&o->failure, end, o->path, words);
}

mill_err parquet_output_commit(parquet_output *o)
{
    char words[PARQUET_WORDS];

    TRY(told(&o->failure, o->shim->finish(o->writer, words), o->path, words));
    return !strcmp(o->path, "-") ? file_flush(o->to) : file_commit(o->to);
}

void parquet_output_close(parquet_output *o)
{
    if (!o->shim) return;
    file_close(o->to);
    o->to = NULL; /* what a writer that was not finished says now goes nowhere */
    if (o->writer) o->shim->drop(o->writer);
    pthread_mutex_destroy(&o->failure.lock);
    o->shim = NULL;
}
