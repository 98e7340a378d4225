/*
 * vrow.c - vec16's functions over arrays: whole vectors, then a partial one.
 *
 * Random arrays come in blocks of 64 elements (base/philox.h); a range that starts or ends inside
 * of a block makes the block aside and copies the part.
 */
#include "base/vrow.h"

#include "base/vec16.h"

#define MAP(f)                                                          \
    do {                                                                \
        int64_t i = 0;                                                  \
        for (; i + 16 <= n; i += 16) vstore(y + i, f(vload(x + i)));    \
        const int left = (int)(n - i);                                  \
        if (left) vstore_n(y + i, f(vload_n(x + i, left, 0.5f)), left); \
    } while (0)

void LEVEL_FN(vrow_map)(float *y, const float *x, int64_t n, mill_vrow f)
{
    switch (f) {
    case VROW_EXP:
        MAP(vexp);
        break;
    case VROW_LOG:
        MAP(vlog);
        break;
    case VROW_LOG1P:
        MAP(vlog1p);
        break;
    case VROW_TANH:
        MAP(vtanh);
        break;
    case VROW_SIGMOID:
        MAP(vsigmoid);
        break;
    case VROW_SOFTPLUS:
        MAP(vsoftplus);
        break;
    case VROW_ERF:
        MAP(verf);
        break;
    case VROW_QUANTILE:
        MAP(vquantile);
        break;
    case VROW_N:
        break;
    }
}

VI f16v shape_bits(i16v bits, mill_vrand kind)
{
    switch (kind) {
    case VRAND_U01:
        return vu01(bits);
    case VRAND_NORMAL:
        return vnormal(bits);
    case VRAND_GUMBEL:
        return vgumbel(bits);
    default:
        return vof(bits);
    }
}

VI void one_block(float *y, const mill_vrand_key *key, const v_keys *k, uint64_t block,
                  mill_vrand kind)
{
    i16v bits[4];
    vrand_bits(bits, k, key->step, key->stream, block);
    for (int64_t w = 0; w < 4; w++) vstore(y + 16 * w, shape_bits(bits[w], kind));
}

VI void fill(float *y, int64_t n, const mill_vrand_key *key, mill_vrand kind)
{
    const v_keys k = vkeys(key->seed);
    uint64_t at = key->first;
    while (n > 0) {
        const int64_t skip = (int64_t)(at % 64), here = n < 64 - skip ? n : 64 - skip;
        if (here == 64) {
            one_block(y, key, &k, at / 64, kind);
        } else {
            float t[64];
            one_block(t, key, &k, at / 64, kind);
            memcpy(y, t + skip, (size_t)here * sizeof *y);
        }
        y += here;
        at += (uint64_t)here;
        n -= here;
    }
}

void LEVEL_FN(vrow_random)(void *y, int64_t n, mill_vrand_key key, mill_vrand kind)
{
    switch (kind) { /* a copy of the loop for each: the kind is known inside */
    case VRAND_BITS:
        fill(y, n, &key, VRAND_BITS);
        break;
    case VRAND_U01:
        fill(y, n, &key, VRAND_U01);
        break;
    case VRAND_NORMAL:
        fill(y, n, &key, VRAND_NORMAL);
        break;
    case VRAND_GUMBEL:
        fill(y, n, &key, VRAND_GUMBEL);
        break;
    case VRAND_N:
        break;
    }
}
