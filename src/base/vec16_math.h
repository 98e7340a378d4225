/*
 * vec16_math.h - functions of sixteen lanes, and Philox; include base/vec16.h.
 *
 * Each has the operations of its scalar form in base/vmath.h in the same order, hence the same
 * bytes (tests/unit/t_vec16.c compares them); the formulas and errors are there.  Random arrays are
 * filled in the order of base/philox.h: vrand_bits gives elements 64 b .. 64 b + 63 in one call.
 */
#ifndef MILL_BASE_VEC16_MATH_H
#define MILL_BASE_VEC16_MATH_H

/* y 2^k: k holds an integer, shifted is k + 1.5 2^23. */
VI f16v vscale(f16v y, f16v k, f16v shifted)
{
#if VL == 16
    (void)shifted;
    return (f16v){{(v_f)_mm512_scalef_ps((__m512)y.r[0], (__m512)k.r[0])}};
#else
    (void)k;
    const i16v n = isub(ibits(shifted), iset(0x4b400000u)), half = isar(n, 1), bias = iset(127u);
    const f16v first = vof(ishl(iadd(half, bias), 23));
    return vmul(vmul(y, first), vof(ishl(iadd(isub(n, half), bias), 23)));
#endif
}

/* p of exp(x) = (1 + p) 2^k. */
VI f16v vexp_reduced(f16v x, f16v *k, f16v *shifted)
{
    *shifted = vfma(x, vset(0x1.715476p+0f), vset(0x1.8p+23f));
    *k = vsub(*shifted, vset(0x1.8p+23f));
    f16v r = vfma(*k, vset(-0x1.62e4p-1f), x);
    r = vfma(*k, vset(-0x1.7f7d1cp-20f), r);

    f16v q = vset(0x1.6a2354p-10f);
    q = vfma(q, r, vset(0x1.123a6cp-7f));
    q = vfma(q, r, vset(0x1.5558f4p-5f));
    q = vfma(q, r, vset(0x1.55549p-3f));
    q = vfma(q, r, vset(0x1.fffffcp-2f));
    return vfma(q, vmul(r, r), r);
}

VI f16v vexp(f16v x)
{
    f16v k, shifted;
    x = vmin(vset(89.0f), vmax(vset(-104.0f), x));
    const f16v p = vexp_reduced(x, &k, &shifted);
    return vscale(vadd(vset(1.0f), p), k, shifted);
}

VI f16v vexp_pair(f16v x, f16v *low)
{
    const f16v one = vset(1.0f);
    f16v k, shifted;
    const f16v p = vexp_reduced(vmax(vset(-104.0f), x), &k, &shifted), y = vadd(one, p);
    *low = vscale(vsub(p, vsub(y, one)), k, shifted);
    return vscale(y, k, shifted);
}

VI f16v vlog_core(f16v x, f16v tail)
{
    const i16v tiny = vlt(x, vset(0x1p-126f)), bias = iset(127u);
    const i16v u = ibits(vsel(tiny, vmul(x, vset(0x1p+23f)), x));
    const i16v e = isub(ishr(iadd(u, iset(0x004afb0du)), 23), bias);
    const f16v k = vsub(vof_int(e), vof(iand(tiny, ibits(vset(23.0f)))));
    const f16v f = vsub(vof(isub(u, ishl(e, 23))), vset(1.0f)), z = vmul(f, f);

    f16v p = vset(0x1.1457a4p-4f);
    p = vfma(p, f, vset(-0x1.de3c1p-4f));
    p = vfma(p, f, vset(0x1.e6f06ap-4f));
    p = vfma(p, f, vset(-0x1.fc2208p-4f));
    p = vfma(p, f, vset(0x1.233768p-3f));
    p = vfma(p, f, vset(-0x1.555c4ep-3f));
    p = vfma(p, f, vset(0x1.99a4b6p-3f));
    p = vfma(p, f, vset(-0x1.000006p-2f));
    p = vfma(p, f, vset(0x1.555548p-2f));
    p = vadd(vfma(vset(-0.5f), z, vmul(vmul(f, z), p)), tail);
    p = vfma(k, vset(0x1.7f7d1cp-20f), p);
    return vfma(k, vset(0x1.62e4p-1f), vadd(f, p));
}

VI f16v vlog(f16v x)
{
    const f16v zero = vset(0.0f);
    f16v y = vlog_core(x, zero);
    y = vsel(vlt(x, vset(INFINITY)), y, x);
    y = vsel(vlt(x, zero), vset(NAN), y);
    return vsel(veq(x, zero), vset(-INFINITY), y);
}

VI f16v vlog1p(f16v x)
{
    const f16v one = vset(1.0f), u = vadd(one, x);
    const f16v c = vsel(vlt(vabs(x), one), vsub(x, vsub(u, one)), vsub(one, vsub(u, x)));
    f16v y = vlog_core(u, vdiv(c, u));
    y = vsel(vlt(x, vset(INFINITY)), y, x);
    y = vsel(vlt(x, vset(-1.0f)), vset(NAN), y);
    y = vsel(veq(x, vset(-1.0f)), vset(-INFINITY), y);
    return vsel(veq(x, vset(0.0f)), x, y);
}

VI f16v vtanh(f16v x)
{
    const f16v one = vset(1.0f), half = vset(0.5f), a = vabs(x), z = vmul(a, a);
    f16v s = vset(-0x1.825858p-8f);
    s = vfma(s, z, vset(0x1.54b8ap-6f));
    s = vfma(s, z, vset(-0x1.b898dep-5f));
    s = vfma(s, z, vset(0x1.1109aep-3f));
    s = vfma(s, z, vset(-0x1.55553ep-2f));
    s = vfma(vmul(s, z), a, a);

    f16v tl;
    const f16v t = vexp_pair(vmul(vset(-2.0f), a), &tl);
    const f16v num = vsub(one, t), den = vadd(one, t);
    const f16v num_low = vsub(vsub(vsub(one, num), t), tl);
    const f16v den_low = vadd(vsub(t, vsub(den, one)), tl);
    f16v y = vdiv(num, den);
    const f16v left = vadd(vfnma(y, den, num), vfnma(y, den_low, num_low));
    y = vfma(left, vfma(half, y, half), y);
    return vcopysign(vsel(vlt(a, vset(0.6f)), s, y), x);
}

VI f16v vsigmoid(f16v x)
{
    const f16v one = vset(1.0f), zero = vset(0.0f);
    const i16v below = vlt(x, zero);
    f16v el;
    const f16v e = vexp_pair(vneg(vabs(x)), &el);
    const f16v num = vsel(below, e, one), num_low = vsel(below, el, zero);
    const f16v den = vadd(one, e), den_low = vadd(vsub(e, vsub(den, one)), el);
    const f16v y = vdiv(num, den);
    const f16v left = vadd(vfnma(y, den, num), vfnma(y, den_low, num_low));
    return vfma(left, vsel(below, vsub(one, y), y), y);
}

VI f16v vsoftplus(f16v x)
{
    return vadd(vmax(x, vset(0.0f)), vlog1p(vexp(vneg(vabs(x)))));
}

VI f16v verf(f16v x)
{
    const f16v one = vset(1.0f), a = vabs(x), z = vmul(a, a);
    f16v s = vset(0x1.4766cap-14f);
    s = vfma(s, z, vset(-0x1.a34e4ap-11f));
    s = vfma(s, z, vset(0x1.53f1dep-8f));
    s = vfma(s, z, vset(-0x1.b7f716p-6f));
    s = vfma(s, z, vset(0x1.ce2ce6p-4f));
    s = vfma(s, z, vset(-0x1.81273ep-2f));
    s = vfma(s, z, vset(0x1.06eba8p-3f));
    s = vfma(s, a, a);

    const f16v t = vmin(vset(4.0f), a);
    f16v p = vset(-0x1.6c359p-16f);
    p = vfma(p, t, vset(0x1.cf0e5ep-12f));
    p = vfma(p, t, vset(-0x1.13a438p-8f));
    p = vfma(p, t, vset(0x1.9d139ap-6f));
    p = vfma(p, t, vset(-0x1.bc1bf8p-4f));
    p = vfma(p, t, vset(-0x1.44349p-1f));
    p = vfma(p, t, vset(-0x1.212c46p+0f));
    p = vfma(p, t, vset(0x1.8beefp-13f));
    f16v tl;
    const f16v e = vexp_pair(p, &tl), y = vsub(one, e);
    const f16v tail = vadd(y, vsub(vsub(vsub(one, y), e), tl));
    return vcopysign(vsel(vlt(a, one), s, tail), x);
}

/* mid ? a : far ? b : c for constants; without_far leaves the middle one out. */
VI f16v vregion(i16v mid, i16v far, int without_far, float a, float b, float c)
{
    const f16v tail = without_far ? vset(c) : vsel(far, vset(b), vset(c));
    return vsel(mid, vset(a), tail);
}

VI f16v vquantile_of(f16v p, int without_far)
{
    const f16v zero = vset(0.0f), one = vset(1.0f), q = vsub(p, vset(0.5f));
    const i16v mid = vle(vabs(q), vset(0.425f));
    const f16v tail = vsel(vlt(q, zero), p, vsub(one, p));
    const f16v s = vsqrt(vneg(vlog_core(tail, zero)));
    const i16v far = vlt(vset(5.0f), s);
    const f16v shift = without_far ? vset(1.6f) : vsel(far, vset(5.0f), vset(1.6f));
    const f16v r = vsel(mid, vfnma(q, q, vset(0.180625f)), vsub(s, shift));

    const int w = without_far;
    f16v num = vregion(mid, far, w, 59.109374720f, 0.017337203997f, 0.17023821103f);
    num = vfma(num, r, vregion(mid, far, w, 159.29113202f, 0.42868294337f, 1.3067284816f));
    num = vfma(num, r, vregion(mid, far, w, 50.434271938f, 3.0812263860f, 2.7568153900f));
    num = vfma(num, r, vregion(mid, far, w, 3.3871327179f, 6.6579051150f, 1.4234372777f));
    f16v den = vsel(mid, vset(67.187563600f), zero);
    den = vfma(den, r, vregion(mid, far, w, 78.757757664f, 0.012258202635f, 0.12021132975f));
    den = vfma(den, r, vregion(mid, far, w, 17.895169469f, 0.24197894225f, 0.73700164250f));
    den = vfma(den, r, one);

    const f16v y = vdiv(num, den);
    const f16v x = vsel(mid, vmul(q, y), vcopysign(y, q));
    if (without_far) return x;
    const f16v limits = vsel(veq(tail, zero), vcopysign(vset(INFINITY), q), x);
    return vsel(iand(vle(zero, p), vle(p, one)), limits, vset(NAN));
}

VI f16v vquantile(f16v p)
{
    return vquantile_of(p, 0);
}

/* The keys of a seed's ten rounds.  Made before a loop they are operands in memory; the rounds have
 * no place among them for moves from general registers. */
typedef struct {
    uint64_t round[10][2]; /* below 2^32 */
} v_keys;

VI v_keys vkeys(uint64_t seed)
{
    v_keys k;

    for (uint32_t r = 0; r < 10; r++) {
        k.round[r][0] = (uint32_t)seed + r * 0x9E3779B9u;
        k.round[r][1] = (uint32_t)(seed >> 32) + r * 0xBB67AE85u;
    }
    return k;
}

/*
 * Four words of Philox4x32-10 for the counters index0 .. index0 + 15.  Lanes are kept in 64-bit
 * halves, even and odd ones apart, since the product of two words fills both: a shift per product,
 * no blends.
 */
#if VL == 4
VI void vphilox(i16v out[4], const v_keys *k, uint32_t step, uint32_t stream, uint64_t index0)
{
    const uint64_t seed = k->round[0][0] | k->round[0][1] << 32;
    uint32_t word[4][16];
    for (uint32_t l = 0; l < 16; l++) {
        uint32_t w[4];
        mill_philox(w, seed, step, stream, index0 + l);
        for (int i = 0; i < 4; i++) word[i][l] = w[i];
    }
    for (int w = 0; w < 4; w++) out[w] = iload(word[w]);
}
#else
#if VL == 16
#define WIDE(op)  _mm512_##op
typedef __m512i v_w;
VI v_w r_join(v_w even, v_w odd)
{
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}
VI v_w r_xor3(v_w a, v_w b, v_w c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}
VI v_w r_counters(uint64_t first)
{
    const v_w lane = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_add_epi64(_mm512_set1_epi64((int64_t)first), lane);
}
#define r_word(x) _mm512_set1_epi64((int64_t)(uint64_t)(x))
#else
#define WIDE(op)  _mm256_##op
typedef __m256i v_w;
VI v_w r_join(v_w even, v_w odd)
{
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
VI v_w r_xor3(v_w a, v_w b, v_w c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}
VI v_w r_counters(uint64_t first)
{
    const v_w lane = _mm256_set_epi64x(6, 4, 2, 0);
    return _mm256_add_epi64(_mm256_set1_epi64x((int64_t)first), lane);
}
#define r_word(x) _mm256_set1_epi64x((int64_t)(uint64_t)(x))
#endif

typedef struct {
    v_w c[4]; /* in the low halves; the high ones are anything */
} v_philox;

VI v_philox r_philox_start(uint64_t first, uint32_t step, uint32_t stream)
{
    const v_w at = r_counters(first);
    return (v_philox){{at, WIDE(srli_epi64)(at, 32), r_word(stream), r_word(step)}};
}

VI v_philox r_philox_round(v_philox s, const uint64_t key[2])
{
    const v_w p0 = WIDE(mul_epu32)(s.c[0], r_word(0xD2511F53u));
    const v_w p1 = WIDE(mul_epu32)(s.c[2], r_word(0xCD9E8D57u));
    const v_w n0 = r_xor3(WIDE(srli_epi64)(p1, 32), s.c[1], r_word(key[0]));
    const v_w n2 = r_xor3(WIDE(srli_epi64)(p0, 32), s.c[3], r_word(key[1]));
    return (v_philox){{n0, p1, n2, p0}};
}

VI void vphilox(i16v out[4], const v_keys *k, uint32_t step, uint32_t stream, uint64_t index0)
{
    for (int i = 0; i < VN; i++) {
        const uint64_t first = index0 + (uint64_t)(i * VL);
        v_philox even = r_philox_start(first, step, stream);
        v_philox odd = r_philox_start(first + 1, step, stream);
        for (int r = 0; r < 10; r++) {
            even = r_philox_round(even, k->round[r]);
            odd = r_philox_round(odd, k->round[r]);
        }
        for (int w = 0; w < 4; w++) out[w].r[i] = (v_u)r_join(even.c[w], odd.c[w]);
    }
}
#endif

/* Elements 64 block .. 64 block + 63 of the array (seed, step, stream), 16 in each of the four. */
VI void vrand_bits(i16v out[4], const v_keys *k, uint32_t step, uint32_t stream, uint64_t block)
{
    vphilox(out, k, step, stream, block * 16);
}

/* From such bits: uniform in (0, 1), standard normal, Gumbel; as mill_u01 and mill_rand_normal. */
VI f16v vu01(i16v bits)
{
    return vmul(vadd(vof_int(ishr(bits, 9)), vset(0.5f)), vset(0x1p-23f));
}

VI f16v vnormal(i16v bits)
{
    return vquantile_of(vu01(bits), 1); /* sqrt(-log 2^-24) < 5: never far out */
}

VI f16v vgumbel(i16v bits)
{
    return vneg(vlog(vneg(vlog(vu01(bits)))));
}

#endif
