/* cpu/draw.c - arrays of normal numbers, and columns of the causes; see draw.h and v1_causes.c. */
#include "prior/cpu/normal.h"
#include "prior/v1.h"

/* y = mean + std N(0, 1), elements 0 .. n - 1 of the array */
void LEVEL_FN(prior_normals)(float *y, int64_t n, mill_vrand_key key, float mean, float std)
{
    const f16v m = vset(mean), s = vset(std);

    const v_keys k = vkeys(key.seed);

    for (int64_t b = 0; 64 * b < n; b += 2) {
        const uint64_t block[2] = {(uint64_t)b, (uint64_t)b + 1};
        f16v z[8];

        vnormals128(z, &k, key.step, key.stream, block);
        for (int64_t w = 0; w < 8; w++) {
            const int64_t left = n - 64 * b - 16 * w;
            const f16v x = vfma(s, z[w], m);
            if (left >= 16)
                vstore(y + 64 * b + 16 * w, x);
            else if (left > 0)
                vstore_n(y + 64 * b + 16 * w, x, (int)left);
        }
    }
}

/* y[i] = how many of the first n_steps numbers of step are below u[i]; in place. */
void LEVEL_FN(v1_count_steps)(float *y, int64_t n, const float *step, int n_steps)
{
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        const f16v x = vload_n(y + i, left, 0.0f);
        i16v count = iset(0);
        for (int k = 0; k < n_steps; k++) count = isub(count, vlt(vset(step[k]), x));
        vstore_n(y + i, vof_int(count), left);
    }
}
