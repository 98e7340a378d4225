/*
 * lanes.h - sixteen reals at a time, for level files: base/vec16.h when real is float, plain loops
 * with the same meaning when it is double (the gradient tests).
 *
 * A structured kernel is written once in these.  row_* below are whole rows: sums in sixteen lanes
 * that meet in vsum's tree, tails by masked loads, so the order does not depend on the level.
 */
#ifndef MILL_OPS_CPU_LANES_H
#define MILL_OPS_CPU_LANES_H

#include "base/philox.h"
#include "ops/cpu/kernel.h"

#if defined(MILL_REAL_IS_DOUBLE) && MILL_REAL_IS_DOUBLE

typedef struct {
    double v[16];
} lanes;
#define EACH_LANE(name, e, ...)                    \
    INLINE lanes name(__VA_ARGS__)                 \
    {                                              \
        lanes y;                                   \
        for (int i = 0; i < 16; i++) y.v[i] = (e); \
        return y;                                  \
    }
EACH_LANE(l_set, s, double s)
EACH_LANE(l_load, p[i], const double *p)
EACH_LANE(l_load_n, i < n ? p[i] : fill, const double *p, int n, double fill)
EACH_LANE(l_add, a.v[i] + b.v[i], lanes a, lanes b)
EACH_LANE(l_sub, a.v[i] - b.v[i], lanes a, lanes b)
EACH_LANE(l_mul, a.v[i] * b.v[i], lanes a, lanes b)
EACH_LANE(l_div, a.v[i] / b.v[i], lanes a, lanes b)
EACH_LANE(l_fma, fma(a.v[i], b.v[i], d.v[i]), lanes a, lanes b, lanes d)
EACH_LANE(l_max, a.v[i] > b.v[i] ? a.v[i] : b.v[i], lanes a, lanes b)
EACH_LANE(l_sqrt, sqrt(a.v[i]), lanes a)
EACH_LANE(l_exp, mill_exp_f64(a.v[i]), lanes a)
EACH_LANE(l_tanh, mill_tanh_f64(a.v[i]), lanes a)
EACH_LANE(l_if_le, a.v[i] <= b.v[i] ? yes.v[i] : no.v[i], lanes a, lanes b, lanes yes, lanes no)
INLINE void l_store(double *p, lanes a)
{
    for (int i = 0; i < 16; i++) p[i] = a.v[i];
}
INLINE void l_store_n(double *p, lanes a, int n)
{
    for (int i = 0; i < n; i++) p[i] = a.v[i];
}
INLINE lanes l_add_at(lanes a, int64_t lane, double x) /* nothing if there is no such lane */
{
    if (lane >= 0 && lane < 16) a.v[lane] += x;
    return a;
}
INLINE void l_transpose(lanes r[16])
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const double t = r[i].v[j];
            r[i].v[j] = r[j].v[i];
            r[j].v[i] = t;
        }
}
#define LANE_TREE(name, e)                               \
    INLINE double name(lanes t)                          \
    {                                                    \
        for (int w = 8; w; w /= 2)                       \
            for (int i = 0; i < w; i++) {                \
                const double a = t.v[i], b = t.v[i + w]; \
                t.v[i] = (e);                            \
            }                                            \
        return t.v[0];                                   \
    }
LANE_TREE(l_sum, a + b)
LANE_TREE(l_hmax, a > b ? a : b)

/* Uniform, normal and Gumbel numbers of the elements 64 b .. 64 b + 63 of a stream. */
#define LANE_DRAW(name, e)                                                                    \
    INLINE void name(double y[64], uint64_t seed, uint32_t step, uint32_t stream, uint64_t b) \
    {                                                                                         \
        for (int i = 0; i < 64; i++) {                                                        \
            const double u = (double)mill_rand_u01(seed, step, stream, 64 * b + (uint64_t)i); \
            y[i] = (e);                                                                       \
        }                                                                                     \
    }
LANE_DRAW(l_uniforms, u)
LANE_DRAW(l_normals, mill_quantile_f64(u))
LANE_DRAW(l_gumbels, -mill_log_f64(-mill_log_f64(u)))

#else

#include "base/vec16_transpose.h"

typedef f16v lanes;
#define l_set(s)            vset(s)
#define l_load(p)           vload(p)
#define l_load_n(p, n, f)   vload_n(p, n, f)
#define l_add(a, b)         vadd(a, b)
#define l_sub(a, b)         vsub(a, b)
#define l_mul(a, b)         vmul(a, b)
#define l_div(a, b)         vdiv(a, b)
#define l_fma(a, b, c)      vfma(a, b, c)
#define l_max(a, b)         vmax(a, b)
#define l_sqrt(a)           vsqrt(a)
#define l_exp(a)            vexp(a)
#define l_tanh(a)           vtanh(a)
#define l_if_le(a, b, y, n) vsel(vle(a, b), y, n)
#define l_store(p, a)       vstore(p, a)
#define l_store_n(p, a, n)  vstore_n(p, a, n)
#define l_sum(a)            vsum(a)
#define l_hmax(a)           vhmax(a)
#define l_transpose(r)      vtranspose(r)

INLINE lanes l_add_at(lanes a, int64_t lane, float x) /* nothing if there is no such lane */
{
    const i16v at = ieq(iiota(), iset((uint32_t)lane));
    return vsel(at, vadd(a, vset(x)), a);
}

#define LANE_DRAW(name, of_bits)                                                             \
    INLINE void name(float y[64], uint64_t seed, uint32_t step, uint32_t stream, uint64_t b) \
    {                                                                                        \
        const v_keys k = vkeys(seed);                                                        \
        i16v bits[4];                                                                        \
        vrand_bits(bits, &k, step, stream, b);                                               \
        for (int w = 0; w < 4; w++) vstore(y + 16 * w, of_bits(bits[w]));                    \
    }
LANE_DRAW(l_uniforms, vu01)
LANE_DRAW(l_normals, vnormal)
LANE_DRAW(l_gumbels, vgumbel)

#endif

/* A row in blocks of sixteen and a tail: BLOCKS(j, w, n) { .. } runs with w lanes from j on. */
#define BLOCKS(j, w, n) for (int64_t j = 0, w = 0; (w = (n)-j < 16 ? (n)-j : 16) > 0; j += 16)

INLINE lanes l_take(const real *p, int64_t w, real fill)
{
    return w == 16 ? l_load(p) : l_load_n(p, (int)w, fill);
}
INLINE void l_put(real *p, lanes a, int64_t w)
{
    if (w == 16)
        l_store(p, a);
    else
        l_store_n(p, a, (int)w);
}

INLINE real row_sum(const real *x, int64_t n)
{
    lanes sum = l_set(0);
    BLOCKS(j, w, n) sum = l_add(sum, l_take(x + j, w, 0));
    return l_sum(sum);
}

INLINE real row_dot(const real *x, const real *y, int64_t n)
{
    lanes sum = l_set(0);
    BLOCKS(j, w, n) sum = l_fma(l_take(x + j, w, 0), l_take(y + j, w, 0), sum);
    return l_sum(sum);
}

INLINE real row_max(const real *x, int64_t n)
{
    lanes max = l_set(-K(INFINITY));
    BLOCKS(j, w, n) max = l_max(l_take(x + j, w, -K(INFINITY)), max);
    return l_hmax(max);
}

INLINE void row_fill(real *y, real value, int64_t n)
{
    const lanes v = l_set(value);
    BLOCKS(j, w, n) l_put(y + j, v, w);
}

INLINE void row_copy(real *y, const real *x, int64_t n)
{
    if (y == x) return;
    BLOCKS(j, w, n) l_put(y + j, l_take(x + j, w, 0), w);
}

INLINE void row_add(real *y, const real *x, int64_t n) /* y += x */
{
    BLOCKS(j, w, n) l_put(y + j, l_add(l_take(y + j, w, 0), l_take(x + j, w, 0)), w);
}

INLINE void row_add_scaled(real *y, const real *x, real a, int64_t n) /* y += a x */
{
    const lanes va = l_set(a);
    BLOCKS(j, w, n) l_put(y + j, l_fma(va, l_take(x + j, w, 0), l_take(y + j, w, 0)), w);
}

#endif
