/*
 * cpu/graph_rows.c - columns of a node: moments, standardising, activations, warps, sums of
 * functions.
 *
 * Sums over rows: two accumulators of 16 lanes, then the tree of vec16.h.  What overflows a float
 * is done again in doubles, in row order: activations such as x^10 and exp get there.
 */
#include "prior/graph_kernel.h"

#include "base/vec16.h"

/* ---- sums over rows ------------------------------------------------------------------------ */

VI float sum_rows(const float *x, int64_t n, float mean, int squares)
{
    const f16v m = vset(mean);
    f16v a = vset(0.0f), b = a;
    int64_t i = 0;

    for (; i + 32 <= n; i += 32) {
        const f16v u = vsub(vload(x + i), m), v = vsub(vload(x + i + 16), m);
        a = squares ? vfma(u, u, a) : vadd(a, u);
        b = squares ? vfma(v, v, b) : vadd(b, v);
    }
    for (; i < n; i += 16) {
        const int here = n - i < 16 ? (int)(n - i) : 16;
        const f16v u = vsub(vload_n(x + i, here, mean), m);
        a = squares ? vfma(u, u, a) : vadd(a, u);
    }
    return vsum(vadd(a, b));
}

static void wide_moments(double out[2], const float *x, int64_t n)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    out[0] = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i] - out[0];
        squares = fma(v, v, squares);
    }
    out[1] = sqrt(squares / (double)n);
}

void LEVEL_FN(graph_moments)(double out[2], const float *x, int64_t n)
{
    const float mean = sum_rows(x, n, 0.0f, 0) / (float)n;
    const float var = sum_rows(x, n, mean, 1) / (float)n;

    out[0] = (double)mean;
    out[1] = sqrt((double)var);
    if (!(var < INFINITY)) wide_moments(out, x, n);
}

void LEVEL_FN(graph_sum_squares)(double *out, const float *x, int64_t n)
{
    const float sum = sum_rows(x, n, 0.0f, 1);

    *out = (double)sum;
    if (sum < INFINITY) return;
    *out = 0;
    for (int64_t i = 0; i < n; i++) *out = fma((double)x[i], (double)x[i], *out);
}

/* Least and largest; both NaN if one of x is not finite. */
void LEVEL_FN(graph_range)(float out[2], const float *x, int64_t n)
{
    const f16v first = vset(x[0]);
    f16v least = first, most = first;
    i16v bad = iset(0);

    for (int64_t i = 0; i < n; i += 16) {
        const int here = n - i < 16 ? (int)(n - i) : 16;
        const f16v v = vload_n(x + i, here, x[0]);
        bad = ior(bad, inot(vlt(vabs(v), vset(INFINITY))));
        least = vmin(v, least);
        most = vmax(v, most);
    }
    const int is_bad = vhmax(vof(iand(bad, ibits(vset(1.0f))))) > 0.0f;
    out[0] = is_bad ? NAN : vhmin(least);
    out[1] = is_bad ? NAN : vhmax(most);
}

void LEVEL_FN(graph_affine)(float *y, const float *x, int64_t n, float shift, float scale)
{
    for (int64_t i = 0; i < n; i += 16)
        vstore(y + i, vmul(vsub(vload(x + i), vset(shift)), vset(scale)));
}

/* ---- activations of one element ------------------------------------------------------------ */

/* sin(2 pi t) for |t| <= 1/4; minimax, 7e-9 */
VI f16v sine_of_turn(f16v t)
{
    const f16v z = vmul(t, t);
    f16v s = vset(0x1.3e1420p+5f);

    s = vfma(s, z, vset(-0x1.32531ep+6f));
    s = vfma(s, z, vset(0x1.4668f0p+6f));
    s = vfma(s, z, vset(-0x1.4abbc4p+5f));
    s = vfma(s, z, vset(0x1.921fb6p+2f));
    return vmul(s, t);
}

/* cos(2 pi t) */
VI f16v cosine_of_turn(f16v t)
{
    return sine_of_turn(vsub(vset(0.25f), vabs(vsub(t, vrint(t)))));
}

VI f16v power_of(f16v x, float q) /* x >= 0 */
{
    return vexp(vmul(vset(q), vlog(x)));
}

VI f16v sign_of(f16v x)
{
    return vsel(vle(vset(0.0f), x), vset(1.0f), vset(-1.0f));
}

VI f16v expm1_below(f16v x) /* exp(x) - 1 for x < 0, else 0 */
{
    return vsub(vexp(vmin(x, vset(0.0f))), vset(1.0f));
}

VI f16v int_power(f16v x, int q)
{
    f16v y = x;
    for (int k = 1; k < q; k++) y = vmul(y, x);
    return y;
}

VI f16v clamp(f16v x, float low, float high)
{
    return vmin(vset(high), vmax(vset(low), x)); /* NaN stays */
}

VI f16v one_where(i16v mask)
{
    return vof(iand(mask, ibits(vset(1.0f))));
}

#define SELU_SCALE 1.0507009873554805f
#define SELU_ALPHA 1.6732632423543772f

VI f16v act_of(f16v x, graph_act act, float q)
{
    const f16v zero = vset(0.0f), one = vset(1.0f);
    const i16v above = vlt(zero, x);

    switch (act) {
    case ACT_tanh:
        return vtanh(x);
    case ACT_leaky_relu:
        return vsel(above, x, vmul(x, vset(0.01f)));
    case ACT_elu:
        return vsel(above, x, expm1_below(x));
    case ACT_selu:
        return vmul(vset(SELU_SCALE), vsel(above, x, vmul(vset(SELU_ALPHA), expm1_below(x))));
    case ACT_silu:
        return vmul(x, vsigmoid(x));
    case ACT_relu:
        return vmax(zero, x);
    case ACT_softplus:
        return vsoftplus(x);
    case ACT_relu6:
        return clamp(x, 0.0f, 6.0f);
    case ACT_hardtanh:
        return clamp(x, -1.0f, 1.0f);
    case ACT_sgn:
        return sign_of(x);
    case ACT_heaviside:
        return one_where(vle(zero, x));
    case ACT_rbf:
        return vexp(vneg(vmul(x, x)));
    case ACT_exp:
        return vexp(x);
    case ACT_unit_interval:
        return one_where(vle(vabs(x), one));
    case ACT_sin:
        return cosine_of_turn(vfma(x, vset(0x1.45f306p-3f), vset(-0.25f)));
    case ACT_square:
        return vmul(x, x);
    case ACT_abs:
        return vabs(x);
    case ACT_log_abs:
        return vlog(vmax(vset(1e-6f), vabs(x)));
    case ACT_sigmoid:
        return vsigmoid(x);
    case ACT_round:
        return vrint(x);
    case ACT_modulo:
        return vsub(x, vfloor(x));
    case ACT_logsigmoid:
        return vneg(vsoftplus(vneg(x)));
    case ACT_relu_power:
        return power_of(vmax(zero, x), q);
    case ACT_power:
        return vmul(sign_of(x), power_of(vabs(x), q));
    case ACT_neg_power:
        return power_of(vadd(vabs(x), vset(1e-3f)), -q);
    case ACT_int_power:
        return int_power(x, (int)q);
    default:
        return x;
    }
}

void LEVEL_FN(graph_act_each)(float *y, const float *x, int64_t n, graph_act act, float q)
{
#define ACT_CASE(name)                                                                          \
    case ACT_##name:                                                                            \
        for (int64_t i = 0; i < n; i += 16) vstore(y + i, act_of(vload(x + i), ACT_##name, q)); \
        break;

    switch (act) { /* a loop for each: the choice is made outside of it */
        ACTS(ACT_CASE)
    case ACT_N:
        break;
    }
#undef ACT_CASE
}

/* ---- activations of a row ------------------------------------------------------------------ */

VI void softmax_row(float *x, int64_t ld, int d)
{
    f16v top = vset(-INFINITY), sum = vset(0.0f);

    for (int k = 0; k < d; k++) top = vmax(vload(x + k * ld), top);
    for (int k = 0; k < d; k++) {
        const f16v e = vexp(vsub(vload(x + k * ld), top));
        sum = vadd(sum, e);
        vstore(x + k * ld, e);
    }
    const f16v over = vdiv(vset(1.0f), sum);
    for (int k = 0; k < d; k++) vstore(x + k * ld, vmul(vload(x + k * ld), over));
}

VI void is_max_row(float *x, int64_t ld, int d)
{
    f16v top = vset(-INFINITY);

    for (int k = 0; k < d; k++) top = vmax(vload(x + k * ld), top);
    for (int k = 0; k < d; k++) vstore(x + k * ld, one_where(veq(vload(x + k * ld), top)));
}

/* spare (d, 16): how many are smaller, or equal and before. */
VI void ranks_of_row(float *spare, const float *x, int64_t ld, int d)
{
    for (int64_t i = 0; i < d; i++) {
        const f16v v = vload(x + i * ld);
        f16v rank = vset(0.0f);
        for (int64_t k = 0; k < i; k++) rank = vadd(rank, one_where(vle(vload(x + k * ld), v)));
        for (int64_t k = i + 1; k < d; k++) rank = vadd(rank, one_where(vlt(vload(x + k * ld), v)));
        vstore(spare + i * 16, rank);
    }
}

VI void order_row(float *x, int64_t ld, int d, const float *rank)
{
    for (int i = 0; i < d; i++)
        for (int l = 0; l < 16; l++) {
            const int64_t at = (int64_t)rank[i * 16 + l];
            x[at * ld + l] = (float)i;
        }
}

void LEVEL_FN(graph_act_row)(const mat *x, graph_act act, float *spare)
{
    for (int64_t i = 0; i < x->n; i += 16) {
        float *const row = x->x + i;

        if (act == ACT_softmax) {
            softmax_row(row, x->ld, x->d);
        } else if (act == ACT_is_max) {
            is_max_row(row, x->ld, x->d);
        } else {
            ranks_of_row(spare, row, x->ld, x->d);
            if (act == ACT_argsort) {
                order_row(row, x->ld, x->d, spare);
                continue;
            }
            for (int64_t k = 0; k < x->d; k++) vstore(row + k * x->ld, vload(spare + k * 16));
        }
    }
}

/* ---- warps, and sums of functions ---------------------------------------------------------- */

void LEVEL_FN(graph_kumaraswamy)(float *y, const float *x, int64_t n, const float low_scale[2],
                                 const float a_b[2])
{
    const f16v one = vset(1.0f);

    for (int64_t i = 0; i < n; i += 16) {
        const f16v u = vmul(vsub(vload(x + i), vset(low_scale[0])), vset(low_scale[1]));
        const f16v v = vsub(one, power_of(clamp(u, 0.0f, 1.0f), a_b[0]));
        vstore(y + i, vsub(one, power_of(v, a_b[1])));
    }
}

VI f16v log_add(f16v a, f16v b)
{
    const f16v top = vmax(a, b), low = vmin(a, b);
    const f16v y = vadd(top, vlog1p(vexp(vsub(low, top))));
    return vsel(veq(a, b), vadd(a, vset(0x1.62e430p-1f)), y); /* infinities too */
}

void LEVEL_FN(graph_combine)(float *y, const float *x, int64_t n, int op)
{
    for (int64_t i = 0; i < n; i += 16) {
        const f16v a = vload(y + i), b = vload(x + i);
        vstore(y + i, op == 0   ? vadd(a, b)
                      : op == 1 ? vmul(a, b)
                      : op == 2 ? vmax(a, b)
                                : log_add(a, b));
    }
}

void LEVEL_FN(graph_cosines)(float *y, int64_t ld, int k, int64_t n, const float *phase)
{
    for (int c = 0; c < k; c++)
        for (int64_t i = 0; i < n; i += 16) {
            float *const at = y + c * ld + i;
            vstore(at, cosine_of_turn(vadd(vload(at), vset(phase[c]))));
        }
}

void LEVEL_FN(graph_pairs)(float *y, int64_t ldy, const float *x, int64_t ldx, int d, int64_t n)
{
    for (int i = 0; i < d; i++)
        for (int k = i; k < d; k++, y += ldy)
            for (int64_t r = 0; r < n; r += 16)
                vstore(y + r, vmul(vload(x + i * ldx + r), vload(x + k * ldx + r)));
}
