/*
 * t_gemm.c - products against the plain loop: ours to the bit, oneDNN's within the rounding of a
 * sum of k terms.
 */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/gemm.h"
#include "base/philox.h"
#include "base/pool.h"

#include <dirent.h>

/* LEVELS BF16 */
/* QEMU */

enum { ROOM = 2 }; /* what each row has behind it: must be neither read into C nor written */

typedef struct {
    gemm_args g;
    float *a, *b, *c, *bias, *want;
    int64_t c_size;
} problem;

/* Values of three exponents, so that the order of a sum shows in its bits. */
static float value(mill_rng *r)
{
    static const float scale[3] = {1.0f, 0x1p-7f, 0x1p+9f};
    return (mill_rng_f32(r) - 0.5f) * scale[mill_rng_below(r, 3)];
}

static float *filled(int64_t n, mill_rng *r)
{
    float *p = malloc((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = value(r);
    return p;
}

static problem make(int64_t m, int64_t n, int64_t k, int kind, uint64_t seed)
{
    mill_rng r = mill_rng_init(seed, 0, 0);
    problem p = {
        .g = {.m = m, .n = n, .k = k, .ta = kind & 1, .tb = kind & 2, .ld_from = n + ROOM}};

    p.g.lda = (p.g.ta ? m : k) + ROOM;
    p.g.ldb = (p.g.tb ? k : n) + ROOM;
    p.g.ldc = n + ROOM;
    p.c_size = m * p.g.ldc + 1;
    p.g.a = p.a = filled((p.g.ta ? k : m) * p.g.lda + 1, &r);
    p.g.b = p.b = filled((p.g.tb ? n : k) * p.g.ldb + 1, &r);
    p.g.c = p.c = filled(p.c_size, &r);
    p.want = malloc((size_t)p.c_size * sizeof *p.want);
    memcpy(p.want, p.c, (size_t)p.c_size * sizeof *p.want);
    p.bias = filled(n, &r);
    if (kind & 4) p.g.from = p.c;
    if (kind & 8) p.g.from = p.bias, p.g.ld_from = 0;
    return p;
}

static void release(problem *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->want);
    free(p->bias);
}

static float a_at(const gemm_args *g, int64_t i, int64_t k)
{
    return g->ta ? g->a[k * g->lda + i] : g->a[i * g->lda + k];
}

static float b_at(const gemm_args *g, int64_t k, int64_t j)
{
    return g->tb ? g->b[j * g->ldb + k] : g->b[k * g->ldb + j];
}

static float same(float x)
{
    return x;
}

static float to_bf16(float x)
{
    return mill_float_of_bf16(mill_bf16_of(x));
}

/* The definition. */
static void plain(problem *p, float (*round)(float))
{
    const gemm_args *g = &p->g;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float sum = !g->from          ? 0.0f
                        : g->from == p->c ? p->want[i * g->ldc + j]
                                          : g->from[i * g->ld_from + j];
            for (int64_t k = 0; k < g->k; k++)
                sum = fmaf(round(a_at(g, i, k)), round(b_at(g, k, j)), sum);
            p->want[i * g->ldc + j] = sum;
        }
}

/* |difference| <= k eps sum |a b|, any order; with bf16 both sides have the same rounded factors.
 */
static void assert_close(const problem *p, float (*round)(float))
{
    const gemm_args *g = &p->g;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double size = 0;
            for (int64_t k = 0; k < g->k; k++)
                size += fabs((double)round(a_at(g, i, k)) * (double)round(b_at(g, k, j)));
            const double d = (double)p->c[i * g->ldc + j] - (double)p->want[i * g->ldc + j];
            if (!(fabs(d) <= ((double)g->k + 2) * 0x1p-23 * (size + 256)))
                fail_msg("(%d,%d): off by %g", (int)i, (int)j, d);
        }
    for (int64_t i = 0; i < p->c_size; i++) /* and what lies around C is as it was */
        if (i % g->ldc >= g->n || i == p->c_size - 1)
            assert_int_equal(mill_bits_of(p->c[i]), mill_bits_of(p->want[i]));
}

static const int64_t shapes[][3] = {{1, 1, 1},    {1, 33, 7},    {6, 16, 5},    {14, 32, 9},
                                    {15, 31, 17}, {50, 64, 161}, {64, 157, 33}, {29, 47, 330},
                                    {7, 13, 1},   {13, 3, 200},  {64, 17, 160}, {2, 100, 64},
                                    {3, 16, 321}, {71, 5, 40}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

void test_gemm__ours_is_one_chain_of_fma_to_the_bit(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int s = 0; s < N_SHAPES; s++)
        for (int kind = 0; kind < 12; kind++) {
            problem p = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            plain(&p, same);
            gemm_own(&p.g);
            for (int64_t i = 0; i < p.c_size; i++)
                if (mill_bits_of(p.c[i]) != mill_bits_of(p.want[i]))
                    fail_msg("shape %d kind %d at %d: %a, not %a", s, kind, (int)i, (double)p.c[i],
                             (double)p.want[i]);
            release(&p);
        }
}

void test_gemm__any_provider_is_close_and_stays_inside(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int s = 0; s < N_SHAPES; s++)
        for (int kind = 0; kind < 12; kind++) {
            problem p = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            plain(&p, same);
            if (s % 2 || !gemm_onednn(&p.g)) gemm_f32(&p.g);
            assert_close(&p, same);
            release(&p);
        }
}

/* What is said to be the same bytes on every machine is the chain; small products always are. */
void test_gemm__reproducible_products_are_the_chain(void **state)
{
    int n = 0;

    (void)state;
    assert_ok(mill_cpu_init());
    for (int s = 0; s < N_SHAPES; s++)
        for (int kind = 0; kind < 12; kind++) {
            problem p = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            const bool ours = gemm_is_reproducible(&p.g);
            if (p.g.m * p.g.n * p.g.k <= 64 * 64 * 64 && !getenv("TABMILL_GEMM")) assert_true(ours);
            if (!p.g.ta && !getenv("TABMILL_GEMM")) assert_true(ours);
            plain(&p, same);
            gemm_f32(&p.g);
            if (ours) assert_memory_equal(p.c, p.want, (size_t)p.c_size * sizeof *p.c);
            n += ours;
            release(&p);
        }
    assert_true(n > 3 * N_SHAPES || getenv("TABMILL_GEMM"));
}

static void one_product(void *ctx, int64_t chunk, int thread)
{
    problem *p = ctx;
    (void)thread;
    if (!gemm_onednn(&p[chunk].g)) gemm_own(&p[chunk].g);
}

static int threads_here(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = -2; /* . and .. */

    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* oneDNN was built for OpenMP; its products bring no threads beside those of the pool. */
void test_gemm__products_start_no_threads(void **state)
{
    mill_pool *pool;
    problem p[12];

    (void)state;
    assert_ok(mill_cpu_init());
    const int before = threads_here();
    assert_ok(mill_pool_new(&pool, 3));
    for (int i = 0; i < 12; i++) p[i] = make(64, 512, 256, 0, (uint64_t)i);
    mill_pool_run(pool, 12, one_product, p);
    one_product(p, 0, 0); /* outside of the pool too */
    assert_int_equal(threads_here(), before + 2);
    for (int i = 0; i < 12; i++) release(&p[i]);
    mill_pool_free(pool);
}

void test_gemm__bf16_rounds_both_factors_and_sums_in_f32(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int s = 0; s < N_SHAPES; s++)
        for (int kind = 0; kind < 12; kind++) {
            problem p = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            plain(&p, to_bf16);
            gemm_bf16(&p.g);
            assert_close(&p, to_bf16);
            release(&p);
        }
}

/* Without the tolerance of a sum: products of small integers are exact in any order and precision
 * here. */
void test_gemm__bf16_is_exact_for_small_integers(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < 12; kind++) {
        problem p = make(37, 41, 259, kind, 5);
        mill_rng r = mill_rng_init(9, 0, 0);
        for (int64_t i = 0; i < (p.g.ta ? 259 : 37) * p.g.lda; i++)
            p.a[i] = (float)mill_rng_below(&r, 17) - 8;
        for (int64_t i = 0; i < (p.g.tb ? 41 : 259) * p.g.ldb; i++)
            p.b[i] = (float)mill_rng_below(&r, 17) - 8;
        for (int64_t i = 0; i < p.c_size; i++) p.c[i] = p.want[i] = (float)(i % 100);
        for (int64_t i = 0; i < 41; i++) p.bias[i] = (float)(i % 7);
        plain(&p, same);
        gemm_bf16(&p.g);
        assert_memory_equal(p.c, p.want, (size_t)p.c_size * sizeof *p.c);
        release(&p);
    }
}

/* What is packed once, in parts, gives the bits of what every call packs for itself. */
void test_gemm__packed_operands_change_no_bit(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    if (!mill_cpu_has_bf16()) skip_because("no products of bfloat16 here");
    for (int s = 0; s < N_SHAPES; s++)
        for (int kind = 0; kind < 12; kind++) {
            problem p = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            problem q = make(shapes[s][0], shapes[s][1], shapes[s][2], kind, (uint64_t)s);
            const gemm_panels b = {q.g.b, q.g.k, q.g.n, q.g.ldb, q.g.tb};
            const int64_t pairs = (q.g.k + 1) / 2, rows = q.g.tb ? q.g.n : q.g.k;
            float *a_pairs = filled(q.g.m * pairs + 1, &(mill_rng){0}),
                  guard = a_pairs[q.g.m * pairs];
            float *panels = filled((q.g.n + 31) / 32 * 32 * pairs, &(mill_rng){0});

            gemm_bf16(&p.g);
            if (s % 2 || q.g.ta) {
                for (int64_t i = 0; i < rows; i += GEMM_PANEL)
                    gemm_pack_panels(panels, &b, i, i + GEMM_PANEL < rows ? i + GEMM_PANEL : rows);
                q.g.b_panels = panels;
                q.g.b = NULL;
            } else {
                gemm_pack_rows(a_pairs, q.g.a, q.g.lda, q.g.m, q.g.k);
                assert_int_equal(mill_bits_of(a_pairs[q.g.m * pairs]), mill_bits_of(guard));
                q.g.a_pairs = a_pairs;
                q.g.a = NULL;
            }
            gemm_bf16(&q.g);
            assert_memory_equal(p.c, q.c, (size_t)p.c_size * sizeof *p.c);
            free(a_pairs);
            free(panels);
            release(&p);
            release(&q);
        }
}

/* The bytes that every level and every build has to give. */
void test_gemm__ours_gives_the_golden_bytes(void **state)
{
    uint64_t h = 0xcbf29ce484222325u;

    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < 8; kind++) {
        problem p = make(67, 93, 350, kind, 11);
        gemm_own(&p.g);
        for (int64_t i = 0; i < p.c_size; i++) {
            h = (h ^ mill_bits_of(p.c[i])) * 0x100000001b3u;
            h ^= h >> 29;
        }
        release(&p);
    }
    if (h != 0x15bf2ab238569473u) fail_msg("digest %016llx", (unsigned long long)h);
}

/* Of ours only: oneDNN's AVX2 kernels sum the last rows of a call in another order. */
void test_gemm__tiles_give_the_bytes_of_the_whole(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < 4; kind++) {
        problem p = make(150, 90, 300, kind, 3), q = make(150, 90, 300, kind, 3);
        gemm_own(&p.g);
        for (int64_t i = 0; i < 150; i += 64) {
            gemm_args t = q.g;
            t.m = 150 - i < 64 ? 150 - i : 64;
            t.a += t.ta ? i : i * t.lda;
            t.c += i * t.ldc;
            gemm_own(&t);
        }
        assert_memory_equal(p.c, q.c, (size_t)p.c_size * sizeof *p.c);
        release(&p);
        release(&q);
    }
}

void test_gemm__a_product_repeats_to_the_bit(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < 4; kind++) {
        problem p = make(64, 157, 500, kind, 3), q = make(64, 157, 500, kind, 3);
        gemm_f32(&p.g);
        gemm_f32(&q.g);
        assert_memory_equal(p.c, q.c, (size_t)p.c_size * sizeof *p.c);
        gemm_bf16(&p.g);
        gemm_bf16(&q.g);
        assert_memory_equal(p.c, q.c, (size_t)p.c_size * sizeof *p.c);
        release(&p);
        release(&q);
    }
}

void test_gemm__no_terms_give_zero_or_leave_c(void **state)
{
    float c[6] = {1, 2, 3, 4, 5, 6};
    gemm_args g = {.c = c, .a = c, .b = c, .m = 2, .n = 2, .k = 0, .lda = 1, .ldb = 2, .ldc = 3};

    (void)state;
    assert_ok(mill_cpu_init());
    g.from = c;
    g.ld_from = 3;
    gemm_f32(&g);
    assert_true(c[0] == 1 && c[4] == 5);
    g.from = NULL;
    gemm_f32(&g);
    assert_true(c[0] == 0 && c[1] == 0 && c[2] == 3 && c[3] == 0 && c[4] == 0 && c[5] == 6);
    g.m = 0;
    g.k = 5;
    gemm_f32(&g);
    gemm_bf16(&g);
    assert_true(c[2] == 3);
}

void test_gemm__doubles_are_one_chain_of_fma(void **state)
{
    double a[35], b[35], c[49], want[49];
    mill_rng r = mill_rng_init(2, 0, 0);

    (void)state;
    assert_ok(mill_cpu_init());
    for (int i = 0; i < 35; i++) a[i] = mill_rng_f64(&r) - 0.5;
    for (int i = 0; i < 35; i++) b[i] = mill_rng_f64(&r) - 0.5;
    for (int kind = 0; kind < 8; kind++) {
        const bool ta = kind & 1, tb = kind & 2;
        for (int i = 0; i < 49; i++) c[i] = want[i] = i;
        for (int i = 0; i < 7; i++)
            for (int j = 0; j < 7; j++) {
                double s = kind & 4 ? want[i * 7 + j] : 0;
                for (int k = 0; k < 5; k++)
                    s = fma(a[ta ? k * 7 + i : i * 5 + k], b[tb ? j * 5 + k : k * 7 + j], s);
                want[i * 7 + j] = s;
            }
        gemm_f64(&(gemm_args_f64){.c = c,
                                  .a = a,
                                  .b = b,
                                  .m = 7,
                                  .n = 7,
                                  .k = 5,
                                  .lda = ta ? 7 : 5,
                                  .ldb = tb ? 5 : 7,
                                  .ldc = 7,
                                  .ta = ta,
                                  .tb = tb,
                                  .accumulate = kind & 4});
        assert_memory_equal(c, want, sizeof c);
    }
}
