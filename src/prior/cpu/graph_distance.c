/*
 * cpu/graph_distance.c - Lp distances of rows to centres, and soft assignment by them.
 *
 * p is a real number, one for each call.  A term costs a subtraction, the clearing of the sign, a
 * look-up of 2^(p e) in a register (v4: 32 entries; v3: 8 times 8), a polynomial of degree 5 and an
 * FMA.  The nearest centre needs no root.
 */
#include "prior/graph_kernel.h"

#include "base/vec16.h"

enum { SCALE_BITS = 60, WINDOW = 32 };

/* Interpolation of m^p at the Chebyshev points of [1, 2], by Newton's divided differences. */
static void fit_polynomial(float poly[6], double p)
{
    static const double node[6] = {/* 1.5 + 0.5 cos((2 k + 1) pi / 12) */
                                   0x1.fba3751d22fc5p+0, 0x1.da827999fcef3p+0,
                                   0x1.a120fb83260d2p+0, 0x1.5edf047cd9f2ep+0,
                                   0x1.257d86660310dp+0, 0x1.045c8ae2dd03bp+0};
    double c[6], a[6] = {0};

    for (int i = 0; i < 6; i++) c[i] = mill_pow_f64(node[i], p);
    for (int k = 1; k < 6; k++)
        for (int i = 5; i >= k; i--) c[i] = (c[i] - c[i - 1]) / (node[i] - node[i - k]);
    for (int k = 5; k >= 0; k--) { /* a = a (m - node[k]) + c[k] */
        for (int i = 5; i > 0; i--) a[i] = fma(-node[k], a[i], a[i - 1]);
        a[0] = fma(-node[k], a[0], c[k]);
    }
    for (int i = 0; i < 6; i++) poly[i] = (float)a[i];
}

/* widest: the largest difference that can come, finite. */
void LEVEL_FN(graph_lp_power)(lp_power *w, double p, float widest)
{
    const double ln2 = 0x1.62e42fefa39efp-1;
    int top = (int)(mill_bits_of(widest) >> 23) + 1; /* exponents below it */

    top = (top + 7) / 8 * 8;
    if (top < WINDOW + 8) top = WINDOW + 8;
    if (top > 256) top = 256;
    for (int k = 0; k < 4; k++) {
        const int e = top - WINDOW + 8 * k;
        w->coarse[e / 8 % 4] = (float)mill_exp_f64((p * (e - top) + SCALE_BITS) * ln2);
        w->coarse[e / 8 % 4 + 4] = w->coarse[e / 8 % 4];
    }
    for (int k = 0; k < 8; k++) w->fine[k] = (float)mill_exp_f64(p * k * ln2);
    for (int k = 0; k < 32; k++) w->both[k] = w->coarse[k / 8] * w->fine[k % 8];
    fit_polynomial(w->poly, p);
    w->least = mill_float_of((uint32_t)(top - WINDOW) << 23);
    w->log_unit = (p * (top - 127) - SCALE_BITS) * ln2;
}

/* ---- a term -------------------------------------------------------------------------------- */

typedef struct {
#if VL == 16
    __m512 low, high; /* 2^(p e) */
#elif VL == 8
    __m256 coarse, fine;
#else
    const lp_power *w;
#endif
} lp_table;

VI lp_table load_table(const lp_power *w)
{
    lp_table t;
#if VL == 16
    t.low = _mm512_loadu_ps(w->both);
    t.high = _mm512_loadu_ps(w->both + 16);
#elif VL == 8
    t.coarse = _mm256_loadu_ps(w->coarse);
    t.fine = _mm256_loadu_ps(w->fine);
#else
    t.w = w;
#endif
    return t;
}

/* 2^(p e), e the biased exponents. */
VI f16v power_of_two(const lp_table *t, i16v e)
{
    f16v y;
#if VL == 16
    y.r[0] = (v_f)_mm512_permutex2var_ps(t->low, (__m512i)e.r[0], t->high);
#elif VL == 8
    for (int i = 0; i < VN; i++) {
        const __m256i at = (__m256i)e.r[i];
        const __m256 a = _mm256_permutevar8x32_ps(t->coarse, _mm256_srli_epi32(at, 3));
        y.r[i] = (v_f)_mm256_mul_ps(a, _mm256_permutevar8x32_ps(t->fine, at));
    }
#else
    for (int i = 0; i < VN; i++)
        for (int k = 0; k < VL; k++) y.r[i][k] = t->w->both[e.r[i][k] % 32];
#endif
    return y;
}

VI f16v add_term(f16v sum, f16v x, float c, const lp_table *t, const lp_power *w)
{
    const f16v v = vmax(vabs(vsub(x, vset(c))), vset(w->least));
    const i16v bits = ibits(v);
    const f16v m = vof(ior(iand(bits, iset(0x007fffffu)), iset(0x3f800000u)));
    f16v y = vset(w->poly[5]);

    for (int k = 4; k >= 0; k--) y = vfma(y, m, vset(w->poly[k]));
    return vfma(y, power_of_two(t, ishr(bits, 23)), sum);
}

enum { SIDE = 4 }; /* centres at a time */

VI void sums_of(f16v sum[SIDE], const lp_job *j, int centre, int centres, int64_t row,
                const lp_table *t, const lp_power *w)
{
    const int d = j->x->d;
    const float *c = j->centres + (int64_t)centre * d;

    for (int s = 0; s < SIDE; s++) sum[s] = vset(0.0f);
    for (int k = 0; k < d; k++) {
        const f16v x = vload(j->x->x + k * j->x->ld + row);
        UNROLL for (int s = 0; s < centres; s++) sum[s] = add_term(sum[s], x, c[s * d + k], t, w);
    }
}

VI void take_nearer(f16v *best, i16v *at, f16v sum, int centre)
{
    const i16v nearer = vlt(sum, *best);
    *best = vsel(nearer, sum, *best);
    *at = isel(nearer, iset((uint32_t)centre), *at);
}

void LEVEL_FN(graph_nearest)(int32_t *at, const lp_job *j, const lp_power *w)
{
    const lp_table t = load_table(w);

    for (int64_t i = 0; i < j->x->n; i += 16) {
        f16v best = vset(INFINITY), sum[SIDE];
        i16v where = iset(0);
        int c = 0;

        for (; c + SIDE <= j->k; c += SIDE) {
            sums_of(sum, j, c, SIDE, i, &t, w);
            for (int s = 0; s < SIDE; s++) take_nearer(&best, &where, sum[s], c + s);
        }
        for (; c < j->k; c++) {
            sums_of(sum, j, c, 1, i, &t, w);
            take_nearer(&best, &where, sum[0], c);
        }
        istore(at + i, where);
    }
}

void LEVEL_FN(graph_sums)(float *out, const lp_job *j, const lp_power *w)
{
    const lp_table t = load_table(w);
    const int64_t ld = j->x->ld;

    for (int64_t i = 0; i < j->x->n; i += 16) {
        f16v sum[SIDE];
        int c = 0;

        for (; c + SIDE <= j->k; c += SIDE) {
            sums_of(sum, j, c, SIDE, i, &t, w);
            for (int s = 0; s < SIDE; s++) vstore(out + (c + s) * ld + i, sum[s]);
        }
        for (; c < j->k; c++) {
            sums_of(sum, j, c, 1, i, &t, w);
            vstore(out + c * ld + i, sum[0]);
        }
    }
}

void LEVEL_FN(graph_em)(const mat *y, const float *shift, const float *scale, float power)
{
    for (int64_t i = 0; i < y->n; i += 16) {
        float *x = y->x + i;
        f16v top = vset(-INFINITY), sum = vset(0.0f);

        for (int k = 0; k < y->d; k++) {
            const f16v e = vexp(vfma(vset(power), vlog(vload(x + k * y->ld)), vset(scale[k])));
            const f16v logit = vsub(vset(shift[k]), e);
            top = vmax(logit, top);
            vstore(x + k * y->ld, logit);
        }
        for (int k = 0; k < y->d; k++) {
            const f16v e = vexp(vsub(vload(x + k * y->ld), top));
            sum = vadd(sum, e);
            vstore(x + k * y->ld, e);
        }
        const f16v over = vdiv(vset(1.0f), sum);
        for (int k = 0; k < y->d; k++) vstore(x + k * y->ld, vmul(vload(x + k * y->ld), over));
    }
}
