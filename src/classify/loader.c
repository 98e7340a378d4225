/*
 * loader.c - parts, prepared ahead by threads.
 *
 * Batches lie in a ring: part number q in slot q mod depth.  Under the lock: next_make, the part
 * that the next worker takes; next_take, the part that the trainer holds or wants; ready and stop.
 * A worker may fill slot q once part q - depth has been released.  What lies in a slot belongs to
 * its worker until `ready`, then to the trainer until it is released.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "classify/deal.h"

#include <pthread.h>
#include <string.h>

struct cls_loader {
    cls_deal deal;
    const cls_rows *rows;
    double y_mean, y_scale;
    cls_share share;
    int depth, n_workers;
    cls_batch *slot;
    int64_t *ready; /* by slot: part number + 1 */

    pthread_mutex_t lock;
    pthread_cond_t is_ready, is_free;
    int64_t next_make, next_take;
    bool stop, has_lock;
    pthread_t *worker;
    double waited;
};

static void put_row(const cls_loader *l, cls_batch *b, int64_t i, int64_t row)
{
    const cls_rows *r = l->rows;

    memcpy(b->num + i * r->n_num, r->num + row * r->n_num, (size_t)r->n_num * sizeof *b->num);
    memcpy(b->code + i * r->n_cat, r->code + row * r->n_cat, (size_t)r->n_cat * sizeof *b->code);
    if (b->label)
        b->label[i] = r->label[row];
    else
        b->y[i] = (float)((r->y[row] - l->y_mean) / l->y_scale);
}

static void put_padding(const cls_loader *l, cls_batch *b, int64_t i)
{
    memset(b->num + i * l->rows->n_num, 0, (size_t)l->rows->n_num * sizeof *b->num);
    memset(b->code + i * l->rows->n_cat, 0xff, (size_t)l->rows->n_cat * sizeof *b->code);
    if (b->label)
        b->label[i] = -1;
    else
        b->y[i] = 0;
}

static void fill(const cls_loader *l, int64_t seq)
{
    cls_batch *b = &l->slot[seq % l->depth];
    const int64_t step = l->share.from + seq / l->share.count,
                  part = l->share.first + seq % l->share.count;
    const float weight = 1 / (float)cls_deal_step_rows(&l->deal, step);

    b->seq = seq;
    b->n = cls_deal_part(b->row, &l->deal, step, part);
    for (int64_t i = 0; i < l->deal.batch; i++) {
        if (i < b->n)
            put_row(l, b, i, b->row[i]);
        else
            put_padding(l, b, i);
        b->weight[i] = i < b->n ? weight : 0;
    }
}

static void *work(void *arg)
{
    cls_loader *l = arg;

    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->next_make >= l->next_take + l->depth) {
            pthread_cond_wait(&l->is_free, &l->lock);
            continue;
        }
        const int64_t seq = l->next_make++;
        pthread_mutex_unlock(&l->lock);
        fill(l, seq);
        pthread_mutex_lock(&l->lock);
        l->ready[seq % l->depth] = seq + 1;
        pthread_cond_broadcast(&l->is_ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int depth_of(int workers)
{
    return workers ? 2 + workers : 1;
}

int64_t cls_loader_bytes(const cls_rows *rows, int64_t batch, int workers)
{
    const cls_batch *b = NULL;
    const size_t row = (size_t)rows->n_num * sizeof *b->num +
                       (size_t)rows->n_cat * sizeof *b->code + sizeof *b->label +
                       sizeof *b->weight + sizeof *b->row;
    return depth_of(workers) * batch * (int64_t)row;
}

static mill_err make_slot(cls_batch *b, const cls_loader *l)
{
    const size_t n = (size_t)l->deal.batch;

    b->num = mill_alloc(n * (size_t)l->rows->n_num + 1, sizeof *b->num);
    b->code = mill_alloc(n * (size_t)l->rows->n_cat + 1, sizeof *b->code);
    b->weight = mill_alloc(n, sizeof *b->weight);
    b->row = mill_alloc(n, sizeof *b->row);
    if (l->rows->label)
        b->label = mill_alloc(n, sizeof *b->label);
    else
        b->y = mill_alloc(n, sizeof *b->y);
    return b->num && b->code && b->weight && b->row && (b->label || b->y) ? MILL_OK : MILL_ENOMEM;
}

static mill_err start(cls_loader *l, int workers)
{
    if (!workers) return MILL_OK;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->is_ready, NULL);
    pthread_cond_init(&l->is_free, NULL);
    l->has_lock = true;
    if (!(l->worker = mill_alloc((size_t)workers, sizeof *l->worker))) return MILL_ENOMEM;
    for (int i = 0; i < workers; i++) {
        if (pthread_create(&l->worker[i], NULL, work, l))
            return mill_fail(MILL_ENOMEM, "cannot start thread %d that prepares batches", i);
        l->n_workers++;
    }
    return MILL_OK;
}

mill_err cls_loader_open(cls_loader **out, const cls_deal *d, const cls_rows *rows,
                         const cls_encoder *e, cls_share share, int workers)
{
    cls_loader *l = mill_alloc(1, sizeof *l);

    if (!l) return MILL_ENOMEM;
    *l = (cls_loader){.deal = *d,
                      .rows = rows,
                      .y_mean = e->y_mean,
                      .y_scale = e->y_scale,
                      .share = share,
                      .depth = depth_of(workers)};
    l->slot = mill_alloc((size_t)l->depth, sizeof *l->slot);
    l->ready = mill_alloc((size_t)l->depth, sizeof *l->ready);
    mill_err err = l->slot && l->ready ? MILL_OK : MILL_ENOMEM;
    for (int i = 0; !err && i < l->depth; i++) err = make_slot(&l->slot[i], l);
    if (!err) err = start(l, workers);
    if (err)
        cls_loader_close(l);
    else
        *out = l;
    return err;
}

void cls_loader_close(cls_loader *l)
{
    if (!l) return;
    if (l->has_lock) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->is_free);
        pthread_mutex_unlock(&l->lock);
        for (int i = 0; i < l->n_workers; i++) pthread_join(l->worker[i], NULL);
        pthread_cond_destroy(&l->is_free);
        pthread_cond_destroy(&l->is_ready);
        pthread_mutex_destroy(&l->lock);
    }
    for (int i = 0; l->slot && i < l->depth; i++) {
        mill_free(l->slot[i].num);
        mill_free(l->slot[i].code);
        mill_free(l->slot[i].weight);
        mill_free(l->slot[i].row);
        mill_free(l->slot[i].label);
        mill_free(l->slot[i].y);
    }
    mill_free(l->slot);
    mill_free(l->ready);
    mill_free(l->worker);
    mill_free(l);
}

const cls_batch *cls_loader_take(cls_loader *l)
{
    const int64_t seq = l->next_take;
    const double start_s = mill_clock();

    if (!l->has_lock) {
        fill(l, seq);
    } else {
        pthread_mutex_lock(&l->lock);
        while (l->ready[seq % l->depth] != seq + 1) pthread_cond_wait(&l->is_ready, &l->lock);
        pthread_mutex_unlock(&l->lock);
    }
    l->waited += mill_clock() - start_s;
    return &l->slot[seq % l->depth];
}

void cls_loader_release(cls_loader *l)
{
    if (!l->has_lock) {
        l->next_take++;
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->next_take++;
    pthread_cond_broadcast(&l->is_free);
    pthread_mutex_unlock(&l->lock);
}

double cls_loader_waited(const cls_loader *l)
{
    return l->waited;
}
