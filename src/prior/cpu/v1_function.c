/* cpu/v1_function.c - how the table of v1_function.h is made. */
#include "prior/cpu/v1_function.h"

#include "prior/cpu/v1_dense.h"

/* basis: (256, 64) cosines, then sines, of f_k (j + 1/2) / 512 turns */
VI void fill_basis(float *basis, const v1_function *f)
{
    const float step = 1.0f / f->steps;
    const f16v at = vmul(vadd(vof_int(iiota()), vset(0.5f)), vset(step));
    float turn[2][V1_TERMS]; /* cosine and sine of 16 steps: the next sixteen points */

    for (int k = 0; k < V1_TERMS; k += 16) {
        const f16v t = turns(vload(f->f + k), vset(16.0f * step));
        vstore(turn[0] + k, sin_turn(wrapped(vadd(t, vset(0.25f)))));
        vstore(turn[1] + k, sin_turn(wrapped(t)));
    }
    for (int64_t k = 0; k < V1_TERMS; k++) {
        const f16v t = turns(vset(f->f[k]), at), c = vset(turn[0][k]), s = vset(turn[1][k]);
        f16v x = sin_turn(wrapped(vadd(t, vset(0.25f)))), y = sin_turn(wrapped(t));
        for (int j = 0; j < 64; j += 16) {
            vstore(basis + 64 * k + j, x);
            vstore(basis + 64 * (V1_TERMS + k) + j, y);
            const f16v next = vfnma(y, s, vmul(x, c));
            y = vfma(y, c, vmul(x, s));
            x = next;
        }
    }
}

/* at: (n_cells, 256) weighted sines at the centres, then weighted cosines */
VI void fill_centres(float *at, const v1_function *f)
{
    float *const cosines = at + (int64_t)V1_TERMS * f->n_cells;
    const float cell = CELL_SIZE / f->steps;

    for (int64_t c = 0; c < f->n_cells; c++) {
        const f16v x = vset(cell * ((float)(f->first + c) + 0.5f));
        for (int k = 0; k < V1_TERMS; k += 16) {
            const f16v t = vadd(turns(vload(f->f + k), x), vload(f->phase + k));
            const f16v w = vload(f->w + k);
            vstore(at + V1_TERMS * c + k, vmul(w, sin_turn(wrapped(t))));
            vstore(cosines + V1_TERMS * c + k, vmul(w, sin_turn(wrapped(vadd(t, vset(0.25f))))));
        }
    }
}

VI f16v reversed(const float *p)
{
    return vtable16(p, isub(iset(15), iiota()));
}

/* value: (n_cells, 128) from the even and odd halves, (n_cells, 64) each */
VI void join_halves(float *value, const float *even, const float *odd, int n_cells)
{
    for (int64_t c = 0; c < n_cells; c++)
        for (int j = 0; j < 64; j += 16) {
            const float *const e = even + 64 * c + j, *const o = odd + 64 * c + j;
            vstore(value + CELL_SIZE * c + 64 + j, vadd(vload(e), vload(o)));
            vstore(value + CELL_SIZE * c + 48 - j, vsub(reversed(e), reversed(o)));
        }
}

/* pair[2 i], pair[2 i + 1] = value and slope of 16 points */
VI void store_pairs(float *pair, f16v value, f16v slope)
{
#if VL == 16
    const __m512i first = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    const __m512 v = (__m512)value.r[0], s = (__m512)slope.r[0];
    _mm512_storeu_ps(pair, _mm512_permutex2var_ps(v, first, s));
    _mm512_storeu_ps(pair + 16, _mm512_permutex2var_ps(v, second, s));
#elif VL == 8
    for (int h = 0; h < 2; h++) {
        const __m256 v = (__m256)value.r[h], s = (__m256)slope.r[h];
        const __m256 a = _mm256_unpacklo_ps(v, s), b = _mm256_unpackhi_ps(v, s);
        _mm256_storeu_ps(pair + 16 * h, _mm256_permute2f128_ps(a, b, 0x20));
        _mm256_storeu_ps(pair + 16 * h + 8, _mm256_permute2f128_ps(a, b, 0x31));
    }
#else
    float v[16], s[16];
    vstore(v, value);
    vstore(s, slope);
    for (int i = 0; i < 16; i++) {
        pair[2 * i] = v[i];
        pair[2 * i + 1] = s[i];
    }
#endif
}

/* Slopes per step.  value has four numbers before and after, whatever they are. */
VI void add_slopes(float *pair, const float *value, int n)
{
    for (int64_t i = 0; i < n; i += 16) {
        const float *const v = value + i;
        f16v s = vmul(vsub(vload(v + 1), vload(v - 1)), vset(4.0f / 5));
        s = vfma(vsub(vload(v + 2), vload(v - 2)), vset(-1.0f / 5), s);
        s = vfma(vsub(vload(v + 3), vload(v - 3)), vset(4.0f / 105), s);
        s = vfma(vsub(vload(v + 4), vload(v - 4)), vset(-1.0f / 280), s);
        store_pairs(pair + 2 * i, vload(v), s);
    }
}

void LEVEL_FN(v1_function_weigh)(v1_function *f, float decay)
{
    f16v squares = vset(0.0f), rough = squares, a[V1_TERMS / 16];

    for (int64_t k = 0; k < V1_TERMS / 16; k++) {
        a[k] = vexp(vmul(vset(decay), vlog(vmul(vload(f->f + 16 * k), vset(V1_TERMS)))));
        squares = vfma(a[k], a[k], squares);
    }
    const f16v scale = vset(1.0f / sqrtf(vsum(squares)));
    for (int64_t k = 0; k < V1_TERMS / 16; k++) {
        float *const f_k = f->f + 16 * k, *const w = f->w + 16 * k;
        const f16v weight = vmul(vmul(a[k], scale), vload(w)), u = vload(f_k), u2 = vmul(u, u);
        const f16v bend = vmul(weight, vmul(u2, u2)); /* fourth derivative over 256^4 */
        rough = vfma(bend, bend, rough);
        vstore(w, weight);
        vstore(f_k, vmul(u, vset(0x1.45f306p+5f))); /* 256 / 2 pi */
    }
    f->steps = vsum(rough) < 2.7e-3f * 2.7e-3f ? 256.0f : 512.0f;
}

/* The cells that serve low .. high, of what lies within -8 .. 8. */
void LEVEL_FN(v1_function_table)(v1_function *f, float low, float high)
{
    const float margin = 0.05f; /* of a cell: six points, of which a slope takes four */
    float *const basis = f->scratch, *const at = basis + V1_BASIS;
    float *const even = at + V1_CENTRES, *const odd = even + V1_HALF;
    float *const value = odd + V1_HALF + V1_EDGE;

    f->low = low > 8.0f ? 8.0f : low > -8.0f ? low : -8.0f; /* NaN too */
    f->high = high > 8.0f ? 8.0f : high > f->low ? high : f->low;
    f->first = (int)floorf(f->low * f->steps / CELL_SIZE - margin);
    f->n_cells = (int)floorf(f->high * f->steps / CELL_SIZE + margin) - f->first + 1;
    fill_basis(basis, f);
    fill_centres(at, f);
    for (int64_t half = 0; half < 2; half++)
        for (int64_t c = 0; c < f->n_cells; c += DENSE_ROWS) {
            const int n = f->n_cells - c < DENSE_ROWS ? (int)(f->n_cells - c) : DENSE_ROWS;
            const dense_rows d = {.in = basis + half * V1_TERMS * 64,
                                  .w = at + V1_TERMS * (half * f->n_cells + c),
                                  .k = V1_TERMS};
            float *out[DENSE_ROWS];
            float zero[DENSE_ROWS] = {0};
            for (int i = 0; i < n; i++) out[i] = (half ? odd : even) + 64 * (c + i);
            dense_run(out, zero, &d, n);
        }
    join_halves(value, even, odd, f->n_cells);
    for (int i = 0; i < V1_EDGE; i++) {
        value[i - V1_EDGE] = 0.0f;
        value[CELL_SIZE * f->n_cells + i] = 0.0f;
    }
    add_slopes(f->pair, value, CELL_SIZE * f->n_cells);
}

void LEVEL_FN(v1_function_values)(float *y, const float *x, int64_t n, const v1_function *f)
{
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t left = n - first;
        const int rows = left < BLOCK ? (int)left : BLOCK;
        function_block b;

        b.n_aside = 0;
        for (int i = 0; i < rows; i += 16)
            locate(&b, i, vload_n(x + first + i, rows - i < 16 ? rows - i : 16, f->low), f);
        for (int i = 0; i < rows; i += 16)
            vstore_n(y + first + i, interpolated(&b, i, f), rows - i < 16 ? rows - i : 16);
        for (int k = 0; k < b.n_aside; k++) y[first + b.place[k]] = aside_value(&b, k, f);
    }
}
