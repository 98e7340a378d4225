/*
 * cpu/v1_activate.c - the activation of a layer, in place: y = act(s ((x - mean) / std + b)).
 *
 * Column by column over its tiles: mean, then the differences' squares with the least and largest
 * value, then the function.  64 lanes, added as (0 + 1) + (2 + 3) and by vec16's tree; std has ddof
 * 1 and 1e-6 more.
 */
#include "prior/cpu/v1_function.h"

VI float *chunk_of(const v1_activation *a, int tile, int i)
{
    return a->x.p + ((int64_t)tile * a->x.width + a->unit[i]) * V1_TILE;
}

VI float sum_of(const f16v s[4])
{
    return vsum(vadd(vadd(s[0], s[1]), vadd(s[2], s[3])));
}

/* Lanes of vector v of a tile with `left` rows. */
VI i16v rows_mask(int64_t left, int64_t v)
{
    const int64_t n = left - 16 * v;
    return ifirst(n > 16 ? 16 : n < 0 ? 0 : (int)n);
}

VI float mean_of(const v1_activation *a, int i)
{
    f16v s[4] = {vset(0.0f), vset(0.0f), vset(0.0f), vset(0.0f)};
    const int whole = (int)(a->rows / V1_TILE);
    const int64_t left = a->rows % V1_TILE;

    for (int tile = 0; tile < whole; tile++) {
        const float *const x = chunk_of(a, tile, i);
        UNROLL for (int64_t v = 0; v < 4; v++) s[v] = vadd(s[v], vload(x + 16 * v));
    }
    if (left) {
        const float *const x = chunk_of(a, whole, i);
        for (int64_t v = 0; v < 4; v++)
            s[v] = vadd(s[v], vsel(rows_mask(left, v), vload(x + 16 * v), vset(0.0f)));
    }
    return sum_of(s) / (float)a->rows;
}

VI void spread_of(v1_stats *st, const v1_activation *a, int i)
{
    const f16v zero = vset(0.0f), mean = vset(st->mean);
    f16v s[4] = {zero, zero, zero, zero}, low = zero, high = zero;
    const int whole = (int)(a->rows / V1_TILE);
    const int64_t left = a->rows % V1_TILE;

    for (int tile = 0; tile < whole; tile++) {
        const float *const x = chunk_of(a, tile, i);
        UNROLL for (int64_t v = 0; v < 4; v++)
        {
            const f16v e = vsub(vload(x + 16 * v), mean);
            s[v] = vfma(e, e, s[v]);
            low = vmin(low, e);
            high = vmax(high, e);
        }
    }
    if (left) {
        const float *const x = chunk_of(a, whole, i);
        for (int64_t v = 0; v < 4; v++) {
            const f16v e = vsel(rows_mask(left, v), vsub(vload(x + 16 * v), mean), zero);
            s[v] = vfma(e, e, s[v]);
            low = vmin(low, e);
            high = vmax(high, e);
        }
    }
    st->std = sqrtf(sum_of(s) / (float)(a->rows - 1));
    st->scale = 1.0f / (st->std + 1e-6f);
    st->low = vhmin(low);
    st->high = vhmax(high);
}

VI f16v sine(f16v x)
{
    const f16v c = vset(0x1.45f306p-3f); /* 1 / 2 pi in two parts */
    const f16v p = vmul(x, c), low = vfma(x, vset(0x1.b9391p-28f), vfma(x, c, vneg(p)));
    return sin_turn(wrapped(vadd(wrapped(p), low)));
}

/* A NaN stays one: vmax and vmin give their second argument then. */
VI f16v act_of(f16v x, const v1_act act)
{
    const f16v zero = vset(0.0f), one = vset(1.0f);
    const i16v positive = vlt(zero, x);

    switch (act) {
    case ACT_TANH:
        return vtanh(x);
    case ACT_LEAKY_RELU:
        return vsel(positive, x, vmul(x, vset(0.01f)));
    case ACT_ELU:
        return vsel(positive, x, vsub(vexp(x), one));
    case ACT_SELU:
        return vmul(vset(1.05070098f),
                    vsel(positive, x, vmul(vset(1.67326324f), vsub(vexp(x), one))));
    case ACT_SILU:
        return vmul(x, vsigmoid(x));
    case ACT_RELU:
        return vmax(zero, x);
    case ACT_SOFTPLUS:
        return vsel(vlt(vset(20.0f), x), x, vlog1p(vexp(x)));
    case ACT_RELU6:
        return vmin(vset(6.0f), vmax(zero, x));
    case ACT_HARDTANH:
        return vmin(one, vmax(vset(-1.0f), x));
    case ACT_SIGN:
        return vsel(vle(zero, x), one, vset(-1.0f));
    case ACT_RBF:
        return vexp(vneg(vmul(x, x)));
    case ACT_EXP:
        return vexp(x);
    case ACT_SQRT_ABS:
        return vsqrt(vabs(x));
    case ACT_UNIT_INTERVAL:
        return vsel(vle(vabs(x), one), one, zero);
    case ACT_SINE:
        return sine(x);
    case ACT_SQUARE:
        return vmul(x, x);
    case ACT_ABS:
        return vabs(x);
    default:
        return x;
    }
}

VI void apply_columns(const v1_activation *a, const v1_act act)
{
    const f16v s = vset(a->s), b = vset(a->b);

    for (int i = 0; i < a->n_units; i++) {
        const f16v mean = vset(a->stats[i].mean), scale = vset(a->stats[i].scale);
        for (int tile = 0; tile < a->x.tiles; tile++) {
            float *const x = chunk_of(a, tile, i);
            UNROLL for (int64_t v = 0; v < 4; v++)
            {
                const f16v z = vmul(vsub(vload(x + 16 * v), mean), scale);
                vstore(x + 16 * v, act_of(vmul(s, vadd(z, b)), act));
            }
        }
    }
}

/* Unit i of up to 16 tiles. */
VI void function_of_tiles(const v1_activation *a, int i, int first, int tiles)
{
    const f16v mean = vset(a->stats[i].mean), scale = vset(a->stats[i].scale);
    const f16v inside = vset(a->f->low);
    function_block b;

    b.n_aside = 0;
    for (int k = 0; k < tiles; k++) {
        const float *const x = chunk_of(a, first + k, i);
        const int64_t left = a->rows - (int64_t)(first + k) * V1_TILE;
        for (int64_t v = 0; v < 4; v++) {
            f16v z = vmul(vsub(vload(x + 16 * v), mean), scale);
            if (left < V1_TILE) z = vsel(rows_mask(left, v), z, inside);
            locate(&b, V1_TILE * k + 16 * (int)v, z, a->f);
        }
    }
    for (int k = 0; k < tiles; k++) {
        float *const x = chunk_of(a, first + k, i);
        for (int64_t v = 0; v < 4; v++)
            vstore(x + 16 * v, interpolated(&b, V1_TILE * k + 16 * (int)v, a->f));
    }
    for (int k = 0; k < b.n_aside; k++)
        chunk_of(a, first + b.place[k] / V1_TILE, i)[b.place[k] % V1_TILE] =
            aside_value(&b, k, a->f);
}

/* Standardised once more, so that s and b count only where std is near 1e-6. */
VI void apply_function(const v1_activation *a)
{
    enum { TILES = BLOCK / V1_TILE };
    float low = INFINITY, high = -INFINITY;

    for (int i = 0; i < a->n_units; i++) {
        v1_stats *const st = &a->stats[i];
        st->scale *= a->s / (a->s * (st->std * st->scale) + 1e-6f);
        const float least = st->low * st->scale, most = st->high * st->scale;
        low = least < low ? least : low;
        high = most > high ? most : high;
    }
    LEVEL_FN(v1_function_table)(a->f, low, high);
    for (int i = 0; i < a->n_units; i++)
        for (int tile = 0; tile < a->x.tiles; tile += TILES)
            function_of_tiles(a, i, tile, a->x.tiles - tile < TILES ? a->x.tiles - tile : TILES);
}

#define CASE(act)              \
    case act:                  \
        apply_columns(a, act); \
        break

void LEVEL_FN(v1_activate)(const v1_activation *a)
{
    for (int i = 0; i < a->n_units; i++) {
        a->stats[i].mean = mean_of(a, i);
        spread_of(&a->stats[i], a, i);
    }
    switch (a->act) {
        CASE(ACT_TANH);
        CASE(ACT_LEAKY_RELU);
        CASE(ACT_ELU);
        CASE(ACT_IDENTITY);
        CASE(ACT_SELU);
        CASE(ACT_SILU);
        CASE(ACT_RELU);
        CASE(ACT_SOFTPLUS);
        CASE(ACT_RELU6);
        CASE(ACT_HARDTANH);
        CASE(ACT_SIGN);
        CASE(ACT_RBF);
        CASE(ACT_EXP);
        CASE(ACT_SQRT_ABS);
        CASE(ACT_UNIT_INTERVAL);
        CASE(ACT_SINE);
        CASE(ACT_SQUARE);
        CASE(ACT_ABS);
    case ACT_FUNCTION:
        apply_function(a);
        break;
    case V1_N_ACT:
        break;
    }
}
