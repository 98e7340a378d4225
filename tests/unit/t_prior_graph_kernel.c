/* LEVELS QEMU
 * t_prior_graph_kernel.c - the loops of graph_scm against plain ones in doubles and libm. */
#include "lib/near.h"

#include "base/cpu.h"
#include "prior/graph_kernel.h"

enum { ROWS = 77, LD = 80 };

static const graph_kernels *kernels(void)
{
    assert_ok(mill_cpu_init());
    return graph_kernels_get();
}

static mat table(float *x, int d, uint64_t key)
{
    prior_draw draw = draw_init(key, 0);

    kernels();
    draw_normals(&draw, x, (int64_t)d * LD);
    return (mat){.x = x, .ld = LD, .n = ROWS, .fit = ROWS, .d = d};
}

static double lp_sum(const mat *x, int64_t row, const float *c, double p)
{
    double sum = 0;

    for (int k = 0; k < x->d; k++) sum += pow(fabs((double)(x->x[k * LD + row] - c[k])), p);
    return sum;
}

/* Every p of the process and some beyond, at three magnitudes. */
void test_graph_sums__are_those_of_powers(void **state)
{
    static const double ps[] = {0.5, 0.77, 1.0, 1.5, 2.0, 2.9, 4.0};
    static const float scales[] = {1e-12f, 1.0f, 3e9f};
    const graph_kernels *k = kernels();
    float x[7 * LD], centre[9 * 7], sum[9 * LD];

    (void)state;
    for (int i = 0; i < 7; i++)
        for (int s = 0; s < 3; s++) {
            mat m = table(x, 7, 1);
            prior_draw draw = draw_init(2, 0);
            draw_normals(&draw, centre, 63);
            for (int e = 0; e < 7 * LD; e++) x[e] *= scales[s];
            for (int e = 0; e < 63; e++) centre[e] *= scales[s];
            const lp_job j = {&m, centre, 9, ps[i]};
            lp_power w;
            k->graph_lp_power(&w, ps[i], 8.0f * scales[s]);
            k->graph_sums(sum, &j, &w);
            for (int64_t r = 0; r < ROWS; r++)
                for (int c = 0; c < 9; c++) {
                    const double right = lp_sum(&m, r, centre + c * 7, ps[i]);
                    const double mine = log((double)sum[c * LD + r]) + w.log_unit;
                    assert_near(mine, log(right), 4e-6); /* six coefficients in single */
                }
        }
}

void test_graph_nearest__finds_the_nearest(void **state)
{
    const graph_kernels *k = kernels();
    float x[5 * LD], centre[31 * 5];
    int32_t at[LD];

    (void)state;
    mat m = table(x, 5, 3);
    prior_draw draw = draw_init(4, 0);
    draw_normals(&draw, centre, 31 * 5);
    for (int i = 0; i <= 10; i++) {
        const double p = 0.5 + 0.35 * i;
        const lp_job j = {&m, centre, 31, p};
        lp_power w;
        k->graph_lp_power(&w, p, 9.0f);
        k->graph_nearest(at, &j, &w);
        for (int64_t r = 0; r < ROWS; r++) {
            const double mine = lp_sum(&m, r, centre + 5 * at[r], p);
            for (int c = 0; c < 31; c++) /* nearest but for the rounding of sums */
                assert_true(mine <= lp_sum(&m, r, centre + 5 * c, p) * (1 + 1e-5));
        }
    }
}

/* Equal rows, as categories make them: the row's own centre, and of equal ones the first. */
void test_graph_nearest__knows_a_row_that_is_a_centre(void **state)
{
    const graph_kernels *k = kernels();
    float x[2 * LD], centre[4 * 2];
    int32_t at[LD];
    mat m = {.x = x, .ld = LD, .n = ROWS, .fit = ROWS, .d = 2};

    (void)state;
    for (int i = 0; i < LD; i++) {
        x[i] = (float)(i % 3);
        x[LD + i] = 5.0f;
    }
    for (int c = 0; c < 4; c++) {
        centre[2 * c] = (float)(c % 3);
        centre[2 * c + 1] = 5.0f;
    }
    const lp_job j = {&m, centre, 4, 0.6};
    lp_power w;
    k->graph_lp_power(&w, 0.6, 2.0f);
    k->graph_nearest(at, &j, &w);
    for (int i = 0; i < ROWS; i++) assert_int_equal(at[i], i % 3);
}

void test_graph_em__is_a_softmax_of_distances(void **state)
{
    const graph_kernels *k = kernels();
    float y[6 * LD], shift[6], scale[6];
    double sum[6 * LD];

    (void)state;
    mat m = table(y, 6, 5);
    for (int i = 0; i < 6 * LD; i++) sum[i] = (double)(y[i] = fabsf(y[i]));
    for (int c = 0; c < 6; c++) {
        shift[c] = 0.3f * (float)c;
        scale[c] = 0.1f * (float)c - 0.2f;
    }
    k->graph_em(&m, shift, scale, 0.8f);
    for (int r = 0; r < ROWS; r++) {
        double e[6], all = 0;
        for (int c = 0; c < 6; c++)
            all += e[c] =
                exp((double)shift[c] - exp(0.8 * log(sum[c * LD + r]) + (double)scale[c]));
        for (int c = 0; c < 6; c++) assert_near((double)y[c * LD + r], e[c] / all, 2e-6);
    }
}

static double plain_act(double x, graph_act act, double q)
{
    switch (act) {
    case ACT_tanh:
        return tanh(x);
    case ACT_leaky_relu:
        return x > 0 ? x : 0.01 * x;
    case ACT_elu:
        return x > 0 ? x : expm1(x);
    case ACT_identity:
        return x;
    case ACT_selu:
        return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case ACT_silu:
        return x / (1 + exp(-x));
    case ACT_relu:
        return x > 0 ? x : 0;
    case ACT_softplus:
        return log1p(exp(x));
    case ACT_relu6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case ACT_hardtanh:
        return x < -1 ? -1 : x > 1 ? 1 : x;
    case ACT_sgn:
        return x >= 0 ? 1 : -1;
    case ACT_heaviside:
        return x >= 0;
    case ACT_rbf:
        return exp(-x * x);
    case ACT_exp:
        return exp(x);
    case ACT_unit_interval:
        return fabs(x) <= 1;
    case ACT_sin:
        return sin(x);
    case ACT_square:
        return x * x;
    case ACT_abs:
        return fabs(x);
    case ACT_log_abs:
        return log(fmax(fabs(x), 1e-6));
    case ACT_sigmoid:
        return 1 / (1 + exp(-x));
    case ACT_round:
        return nearbyint(x);
    case ACT_modulo:
        return x - floor(x);
    case ACT_logsigmoid:
        return -log1p(exp(-x));
    case ACT_relu_power:
        return x > 0 ? pow(x, q) : 0;
    case ACT_power:
        return (x >= 0 ? 1 : -1) * pow(fabs(x), q);
    case ACT_neg_power:
        return pow(fabs(x) + 1e-3, -q);
    case ACT_int_power:
        return pow(x, q);
    default:
        return x;
    }
}

void test_graph_act_each__is_what_its_name_says(void **state)
{
    const graph_kernels *k = kernels();
    const int zero = LD / 2;
    float x[LD], y[LD];

    (void)state;
    for (int i = 0; i < LD; i++) x[i] = (float)(i - zero) * 0.173f; /* 0 is among them */
    for (int act = 0; act < ACT_N; act++) {
        if (act >= ACT_rank && act <= ACT_argsort) continue;
        k->graph_act_each(y, x, LD, (graph_act)act, 3.0f);
        for (int i = 0; i < LD; i++) {
            const double right = plain_act((double)x[i], (graph_act)act, 3.0);
            if (!(fabs((double)y[i] - right) <= 3e-6 * fmax(1, fabs(right))))
                fail_msg("activation %d at %g: %g, not %g", act, (double)x[i], (double)y[i], right);
        }
    }
}

void test_graph_act_row__orders_and_shares(void **state)
{
    const graph_kernels *k = kernels();
    float x[9 * LD], y[9 * LD], spare[9 * 16];

    (void)state;
    for (int act = ACT_rank; act <= ACT_argsort; act++) {
        mat m = table(x, 9, 6);
        table(y, 9, 6);
        m.x = y;
        k->graph_act_row(&m, (graph_act)act, spare);
        for (int r = 0; r < ROWS; r++) {
            double sum = 0, top = -INFINITY;
            for (int i = 0; i < 9; i++) {
                sum += exp((double)x[i * LD + r]);
                top = fmax(top, (double)x[i * LD + r]);
            }
            for (int i = 0; i < 9; i++) {
                const double v = (double)x[i * LD + r];
                int smaller = 0;
                for (int j = 0; j < 9; j++) smaller += (double)x[j * LD + r] < v;
                if (act == ACT_rank) assert_int_equal((int)y[i * LD + r], smaller);
                if (act == ACT_argsort) assert_int_equal((int)y[smaller * LD + r], i);
                if (act == ACT_is_max) assert_int_equal((int)y[i * LD + r], v == top);
                if (act == ACT_softmax) assert_near((double)y[i * LD + r], exp(v) / sum, 1e-6);
            }
        }
    }
}

void test_graph_trees__average_their_leaves(void **state)
{
    enum { TREES = 5, DEPTH = 3, OUT = 19 };
    const graph_kernels *k = kernels();
    float x[4 * LD], y[OUT * LD], leaf[TREES * 8 * OUT + 16];
    tree_split split[TREES * DEPTH];

    (void)state;
    mat m = table(x, 4, 7), out = m;
    prior_draw draw = draw_init(8, 0);
    out.x = y;
    out.d = OUT;
    draw_normals(&draw, leaf, TREES * 8 * OUT + 16);
    for (int i = 0; i < TREES * DEPTH; i++) split[i] = (tree_split){i % 4, x[(i % 4) * LD + 3 * i]};
    const tree_job j = {split, leaf, TREES, DEPTH, OUT};
    k->graph_trees(&out, &m, &j);
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) {
            double sum = 0;
            for (int t = 0; t < TREES; t++) {
                int at = t;
                for (int s = 0; s < DEPTH; s++)
                    at = 2 * at + (x[split[t * DEPTH + s].dim * LD + r] > split[t * DEPTH + s].cut);
                sum += (double)leaf[at * OUT + o];
            }
            assert_near((double)y[o * LD + r], sum / TREES, 1e-6);
        }
}

void test_graph_cosines__turn(void **state)
{
    const graph_kernels *k = kernels();
    const float phase[2] = {0.25f, 0.9f};
    float x[2 * LD], y[2 * LD];

    (void)state;
    for (int i = 0; i < 2 * LD; i++) x[i] = y[i] = (float)(i - 60) * 0.37f;
    k->graph_cosines(y, LD, 2, LD, phase);
    for (int i = 0; i < 2 * LD; i++) /* the sum is a float of up to 40 turns: 2e-6 of a turn */
        assert_near((double)y[i], cos(6.283185307179586 * ((double)x[i] + (double)phase[i / LD])),
                    2e-5);
}

void test_graph_moments__survive_large_numbers(void **state)
{
    const graph_kernels *k = kernels();
    float x[LD];
    double m[2];

    (void)state;
    for (int s = 0; s < 3; s++) {
        const float scale = (float[]){1, 1e14f, 1e28f}[s];
        double mean = 0, var = 0;
        mat t = table(x, 1, 9);
        for (int i = 0; i < ROWS; i++) mean += (double)(x[i] *= scale) / ROWS;
        for (int i = 0; i < ROWS; i++) var += pow((double)x[i] - mean, 2) / ROWS;
        x[ROWS] = NAN; /* beyond the rows: not read */
        k->graph_moments(m, t.x, ROWS);
        assert_near(m[0] / (double)scale, mean / (double)scale, 1e-6);
        assert_near(m[1] / sqrt(var), 1, 1e-6);
    }
}

void test_graph_range__says_where_something_is_not_finite(void **state)
{
    const graph_kernels *k = kernels();
    float x[LD], range[2];

    (void)state;
    table(x, 1, 10);
    x[70] = -9;
    x[3] = 8;
    x[ROWS] = 100;
    k->graph_range(range, x, ROWS);
    assert_true(range[0] == -9 && range[1] == 8);
    x[76] = INFINITY;
    k->graph_range(range, x, ROWS);
    assert_true(isnan(range[0]) && isnan(range[1]));
}

void test_graph_kumaraswamy__is_its_distribution(void **state)
{
    const graph_kernels *k = kernels();
    const float low_scale[2] = {-2.0f, 0.25f}, a_b[2] = {0.3f, 4.0f};
    float x[LD], y[LD];

    (void)state;
    for (int i = 0; i < LD; i++) x[i] = (float)(i - 40) * 0.1f;
    k->graph_kumaraswamy(y, x, LD, low_scale, a_b);
    for (int i = 0; i < LD; i++) {
        const double u = fmin(1, fmax(0, ((double)x[i] + 2) / 4));
        assert_near((double)y[i], 1 - pow(1 - pow(u, (double)a_b[0]), 4), 2e-6);
    }
}

void test_graph_combine__joins_two_functions(void **state)
{
    const graph_kernels *k = kernels();
    float a[LD], b[LD], y[LD];

    (void)state;
    table(a, 1, 11);
    table(b, 1, 12);
    for (int op = 0; op < 4; op++) {
        memcpy(y, a, sizeof y);
        k->graph_combine(y, b, LD, op);
        for (int i = 0; i < LD; i++) {
            const double u = (double)a[i], v = (double)b[i];
            const double right[] = {u + v, u * v, fmax(u, v), log(exp(u) + exp(v))};
            assert_near((double)y[i], right[op], 1e-6);
        }
    }
}

/* Shares of 40,000 draws, each within five standard deviations. */
void test_graph_pick__follows_the_softmax(void **state)
{
    enum { N = 40000, C = 3 };
    static float x[C * N], u[N];
    static int32_t at[N];
    const graph_kernels *k = kernels();
    const float scale[C] = {1, 2, 1}, shift[C] = {0, 0.5f, -1};
    prior_draw draw = draw_init(13, 0);
    mat m = {.x = x, .ld = N, .n = N, .fit = N, .d = C};
    double p[C], all = 0;
    int count[C] = {0};

    (void)state;
    for (int c = 0; c < C; c++)
        for (int i = 0; i < N; i++) x[c * N + i] = c == 2 ? NAN : 0.3f;
    draw_uniforms(&draw, u, N);
    k->graph_pick(at, &m, scale, shift, u);
    for (int c = 0; c < C; c++) /* what is not finite counts as 0 */
        all += p[c] = c == 2 ? 1 : exp(0.3 * (double)scale[c] + (double)shift[c]);
    for (int i = 0; i < N; i++) count[at[i]]++;
    for (int c = 0; c < C; c++)
        assert_near(count[c] / (double)N, p[c] / all, 5 * sqrt(p[c] / all / N));
}

/* Mean a / (a + b), variance a b / (a + b)^2 / (a + b + 1), five standard errors. */
void test_graph_betas__have_their_moments(void **state)
{
    enum { N = 20000 };
    static const double ab[][2] = {{0.002, 0.01}, {0.4, 0.7}, {3, 2}, {0.5, 60}, {4000, 5000}};
    static double y[N];
    const graph_kernels *k = kernels();

    (void)state;
    for (int i = 0; i < 5; i++) {
        const double a = ab[i][0], b = ab[i][1], s = a + b, mean = a / s;
        const double var = a * b / (s * s * (s + 1));
        prior_draw draw = draw_init(14, (uint32_t)i);
        double sum = 0, squares = 0;
        k->graph_betas(y, N, a, b, &draw);
        for (int r = 0; r < N; r++) {
            assert_true(y[r] >= 0 && y[r] <= 1);
            sum += y[r] / N;
            squares += pow(y[r] - mean, 2) / N;
        }
        assert_near(sum, mean, 5 * sqrt(var / N));
        assert_near(squares / var, 1, 0.12); /* the fourth moment: at most 3 % a deviation */
    }
}

/* No spread: a permutation of i^-q, scaled to norm sqrt(n). */
void test_graph_weight_rows__decay_in_some_order(void **state)
{
    enum { N = 21, R = 2 };
    const graph_kernels *k = kernels();
    const double share = 0.6, u[2 * R] = {share, share, 0, 0};
    const double low = log(0.1 / log(N + 1.0)),
                 q = exp(low + (log(6.0) - low) * (1.2 * share - .1));
    float w[R * N] = {0}, room[N];
    prior_draw draw = draw_init(15, 0);
    double norm = 0;
    int n_other = 0;

    (void)state;
    for (int i = 1; i <= N; i++) norm += pow(i, -2 * q);
    k->graph_weight_rows(w, R, N, u, room, &draw);
    for (int i = 0; i < N; i++) n_other += w[i] != w[N + i];
    assert_true(n_other > 0);
    for (int r = 0; r < R; r++)
        for (int i = 1; i <= N; i++) {
            const double want = pow(i, -q) * sqrt(N / norm);
            int found = 0;
            for (int c = 0; c < N; c++) found += fabs((double)w[r * N + c] / want - 1) < 1e-5;
            assert_int_equal(found, 1);
        }
}

void test_graph_pairs_and_products__are_exact(void **state)
{
    const graph_kernels *k = kernels();
    float x[3 * LD], y[6 * LD], w[LD], two[2 * 3] = {3, 4, 0, 1e30f, 0, -1e30f};
    int at = 0;

    (void)state;
    table(x, 3, 16);
    k->graph_pairs(y, LD, x, LD, 3, LD);
    for (int i = 0; i < 3; i++)
        for (int j = i; j < 3; j++, at++)
            for (int r = 0; r < ROWS; r++)
                assert_true(y[at * LD + r] == x[i * LD + r] * x[j * LD + r]);
    memcpy(w, x, sizeof w);
    k->graph_scale_by(w, x + LD, 77);
    for (int r = 0; r < LD; r++) assert_true(w[r] == (r < 77 ? x[r] * x[LD + r] : x[r]));
    k->graph_normalise_rows(two, 2, 3);
    assert_near((double)two[1], 4 / (5 + 1e-6), 1e-6);
    assert_near((double)two[5], -sqrt(0.5), 1e-6);
}

/* Signs are those of what stood there. */
void test_graph_laplace__falls_with_distance(void **state)
{
    enum { N = 3, M = 18 };
    const graph_kernels *k = kernels();
    float p[3 * (N + M)], w[N * M], sign[N * M];
    prior_draw draw = draw_init(17, 0);

    (void)state;
    draw_normals(&draw, p, 3 * (N + M));
    draw_normals(&draw, w, N * M);
    memcpy(sign, w, sizeof w);
    k->graph_laplace(w, N, M, p, N + M, 0.7f);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            double d = 0;
            for (int a = 0; a < 3; a++)
                d += pow((double)(p[a * (N + M) + i] - p[a * (N + M) + N + j]), 2);
            assert_near((double)w[i * M + j],
                        copysign(exp(-0.7 * sqrt(d)), (double)sign[i * M + j]), 1e-6);
        }
}

void test_graph_ball__fills_it(void **state)
{
    const graph_kernels *k = kernels();
    float x[4 * LD], u[LD];
    prior_draw draw = draw_init(18, 0);

    (void)state;
    mat m = table(x, 4, 19);
    draw_uniforms(&draw, u, LD);
    k->graph_ball(&m, u);
    for (int r = 0; r < ROWS; r++) {
        double squares = 0;
        for (int c = 0; c < 4; c++) squares += pow((double)x[c * LD + r], 2);
        assert_near(sqrt(squares), pow((double)u[r], 0.25), 2e-6);
    }
}
