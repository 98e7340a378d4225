/* cpu/v1_function.c - how the table of v1_function.h is made. */
#include "prior/cpu/v1_function.h"

#include "prior/cpu/v1_dense.h"

/* basis: (256, 64) cosines, then sines, of f_k (j + 1/2) / 512 turns */
VI void fill_basis(float *basis, const v1_function *f)
{
    for (int k = 0; k < V1_TERMS; k++)
        for (int j = 0; j < 64; j += 16) {
            const f16v at = vadd(vof_int(iadd(iiota(), iset((uint32_t)j))), vset(0.5f));
            const f16v t = turns(vset(f->f[k]), vmul(at, vset(1.0f / STEPS)));
            vstore(basis + 64 * k + j, sin_turn(wrapped(vadd(t, vset(0.25f)))));
            vstore(basis + 64 * (V1_TERMS + k) + j, sin_turn(wrapped(t)));
        }
}

/* at: (n_cells, 256) weighted sines at the centres, then weighted cosines */
VI void fill_centres(float *at, const v1_function *f)
{
    float *const cosines = at + V1_TERMS * f->n_cells;

    for (int c = 0; c < f->n_cells; c++) {
        const f16v x = vset(CELL * (float)(f->first + c) + CELL / 2);
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
    for (int c = 0; c < n_cells; c++)
        for (int j = 0; j < 64; j += 16) {
            const float *const e = even + 64 * c + j, *const o = odd + 64 * c + j;
            vstore(value + CELL_SIZE * c + 64 + j, vadd(vload(e), vload(o)));
            vstore(value + CELL_SIZE * c + 48 - j, vsub(reversed(e), reversed(o)));
        }
}

/* pair[2 i], pair[2 i + 1] = value and slope of 16 points */
VI void store_pairs(float *pair, f16v value, f16v slope)
{
    float v[16], s[16];

    vstore(v, value);
    vstore(s, slope);
    for (int i = 0; i < 16; i++) {
        pair[2 * i] = v[i];
        pair[2 * i + 1] = s[i];
    }
}

/* Slopes per step.  value has four numbers before and after, whatever they are. */
VI void add_slopes(float *pair, const float *value, int n)
{
    for (int i = 0; i < n; i += 16) {
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
    f16v squares = vset(0.0f), a[V1_TERMS / 16];

    for (int k = 0; k < V1_TERMS / 16; k++) {
        a[k] = vexp(vmul(vset(decay), vlog(vmul(vload(f->f + 16 * k), vset(V1_TERMS)))));
        squares = vfma(a[k], a[k], squares);
    }
    const f16v scale = vset(1.0f / sqrtf(vsum(squares)));
    for (int k = 0; k < V1_TERMS / 16; k++) {
        float *const f_k = f->f + 16 * k, *const w = f->w + 16 * k;
        vstore(w, vmul(vmul(a[k], scale), vload(w)));
        vstore(f_k, vmul(vload(f_k), vset(0x1.45f306p+5f))); /* 256 / 2 pi */
    }
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
    f->first = (int)floorf(f->low / CELL - margin);
    f->n_cells = (int)floorf(f->high / CELL + margin) - f->first + 1;
    fill_basis(basis, f);
    fill_centres(at, f);
    for (int half = 0; half < 2; half++)
        for (int c = 0; c < f->n_cells; c += DENSE_ROWS) {
            const int n = f->n_cells - c < DENSE_ROWS ? f->n_cells - c : DENSE_ROWS;
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
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        vstore_n(y + i, function_of(vload_n(x + i, left, f->low), f), left);
    }
}
