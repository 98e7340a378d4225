/*
 * t_ops.c - every operation against its oracle, and against itself run in other ways.  See
 * harness.h.
 *
 * Tolerances.  A value or gradient is compared on the scale of the largest of its tensor.  Double:
 * a few hundred roundings, and central differences with h = 1e-4 (error h^2 f''' / 6, some 1e-8):
 * 1e-11 for values, 2e-6 for gradients.  Float: 24 bits through a few functions of 2 ulp: 3e-6;
 * sums of up to 1,000 terms in another order and statistics of numbers near 100: 3e-5 (ROUGH).
 */
#include "graph/inner.h"
#include "lib/test.h"
#include "rows.h"

/* One row, one column, around and beyond a tile of 64; 9 and 21 are K_ and V_ of rows.h, where
 * operands that are not read row by row happen to have as many rows as the result. */
static const int64_t sizes[][2] = {{1, 5},   {5, 1},   {9, 9},    {21, 4}, {63, 17},
                                   {64, 16}, {65, 33}, {130, 19}, {500, 7}};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MAX_SEEN = 512 };

static const mill_op *seen[MAX_SEEN];
static int n_seen;

static inline void note_op(const mill_op *op)
{
    for (int i = 0; i < n_seen; i++)
        if (seen[i] == op) return;
    assert_true(n_seen < MAX_SEEN);
    seen[n_seen++] = op;
}

static bool fits(const op_row *row, int64_t n)
{
    return !(row->flags & MIN_2_ROWS) || n >= 2;
}

/* ---- against the oracle ---- */

typedef struct {
    const op_row *row;
    row_data d;
    double *x[MAX_X];
    int32_t *index[2];
    int64_t elems[MAX_X];
} oracle;

static void oracle_init(oracle *o, const op_row *row, const row_graph *r)
{
    memset(o, 0, sizeof *o);
    o->row = row;
    o->d.n = r->b.n;
    o->d.c = r->b.c;
    o->d.n_y = mill_elems(mill_shape_of(r->b.g, r->out[0]));
    for (int i = 0; i < r->b.n_x; i++) {
        o->elems[i] = mill_elems(&r->b.shape[i]);
        o->d.x[i] = o->x[i] = mill_alloc((size_t)o->elems[i], sizeof(double));
        for (int64_t e = 0; e < o->elems[i]; e++) o->x[i][e] = value_of(&r->b, i, e);
    }
    for (int i = 0; i < r->b.n_int; i++) {
        const int64_t n = mill_elems(mill_shape_of(r->b.g, r->b.index[i]));
        o->d.index[i] = o->index[i] = mill_alloc((size_t)n, sizeof(int32_t));
        for (int64_t e = 0; e < n; e++) o->index[i][e] = index_of(&r->b, i, e);
    }
}

static void oracle_deinit(oracle *o)
{
    for (int i = 0; i < MAX_X; i++) mill_free(o->x[i]);
    for (int i = 0; i < 2; i++) mill_free(o->index[i]);
}

static double oracle_loss(const oracle *o, double *y)
{
    double sum = 0;
    o->row->oracle(y, &o->d);
    for (int64_t e = 0; e < o->d.n_y; e++) sum += projection(e, 0) * y[e];
    return sum;
}

static double largest(const double *x, int64_t n)
{
    double most = 1e-3;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

typedef struct {
    const char *what;
    int i; /* which input */
    int64_t e;
} element;

static void compare(const op_row *row, const row_graph *r, element at, double got, double want,
                    double tolerance)
{
    if (fabs(got - want) <= tolerance) return;
    print_error("%s (%lld, %lld): %s %d, element %lld: %.12g, not %.12g (tolerance %.2g)\n",
                row->name, (long long)r->b.n, (long long)r->b.c, at.what, at.i, (long long)at.e,
                got, want, tolerance);
    fail();
}

/* Up to twelve elements of each input, spread over it. */
static void check_gradients(const op_row *row, const row_graph *r, oracle *o, const row_values *v)
{
    const double h = 1e-4, relative = IS_F64 ? 2e-6 : row->flags & ROUGH ? 3e-5 : 5e-6;
    double *y = mill_alloc((size_t)o->d.n_y, sizeof *y);

    for (int i = 0; i < r->b.n_x; i++) {
        const int64_t step = o->elems[i] / 12 + 1;
        double scale = 0.1; /* dy is up to 1: zeros come out of differences of such numbers */
        for (int64_t e = 0; e < o->elems[i]; e++) scale = fmax(scale, fabs((double)v->v[1 + i][e]));
        for (int64_t e = 0; e < o->elems[i]; e += step) {
            const double at = o->x[i][e];
            o->x[i][e] = at + h;
            const double up = oracle_loss(o, y);
            o->x[i][e] = at - h;
            const double down = oracle_loss(o, y);
            o->x[i][e] = at;
            /* the oracle's own rounding, over 2 h */
            const double noise = 1e-15 * (double)o->d.n_y / h;
            compare(row, r, (element){"gradient by input", i, e}, (double)v->v[1 + i][e],
                    (up - down) / (2 * h), relative * scale + noise + 2e-7 * scale);
        }
    }
    mill_free(y);
}

static void check_row(const op_row *row, int64_t n, int64_t c)
{
    row_graph r;
    oracle o;
    row_values v;
    mill_pool *pool;

    build_row(&r, row, n, c);
    oracle_init(&o, row, &r);
    mill_exec *e = compile_row(row, &r, 1, 0, &pool);
    assert_int_equal(mill_exec_run(e, 3), MILL_OK);
    take_outputs(&v, &r, e);

    double *y = mill_alloc((size_t)o.d.n_y, sizeof *y);
    row->oracle(y, &o.d);
    const double relative = IS_F64 ? 1e-11 : row->flags & ROUGH ? 3e-5 : 3e-6;
    const double scale = largest(y, o.d.n_y);
    assert_int_equal(v.elems[0], o.d.n_y);
    for (int64_t k = 0; k < o.d.n_y; k++)
        compare(row, &r, (element){"value", 0, k}, (double)v.v[0][k], y[k], relative * scale);
    if (row->flags & HAS_GRAD) check_gradients(row, &r, &o, &v);

    mill_free(y);
    free_values(&v);
    oracle_deinit(&o);
    mill_exec_free(e);
    mill_graph_free(r.b.g);
}

void test_ops__agree_with_plain_loops_and_their_differences(void **state)
{
    (void)state;
    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++)
        for (int k = 0; k < N_SIZES; k++)
            if (fits(&op_rows[i], sizes[k][0])) check_row(&op_rows[i], sizes[k][0], sizes[k][1]);
}

/* ---- second derivatives: the graph's own gradient, differentiated by differences ---- */

static double gradient_loss(mill_exec *e, const row_graph *r)
{
    double sum = 0;
    assert_int_equal(mill_exec_run(e, 3), MILL_OK);
    for (int i = 0; i < r->b.n_x; i++) {
        exec_tensor t;
        assert_int_equal(mill_exec_output(&t, e, r->name[1 + r->b.n_x + i]), MILL_OK);
        for (int64_t k = 0; k < mill_elems(&t.shape); k++)
            sum += projection(k, 1 + i) * (double)((real *)t.data)[k];
    }
    return sum;
}

static void check_second(const op_row *row, int64_t n, int64_t c)
{
    const double h = 1e-6; /* small: a kink of relu or clip must not lie inside */
    row_graph r;
    row_values v;
    mill_pool *pool;

    build_row(&r, row, n, c);
    mill_exec *e = compile_row(row, &r, 1, 0, &pool);
    assert_int_equal(mill_exec_run(e, 3), MILL_OK);
    take_outputs(&v, &r, e);
    for (int i = 0; i < r.b.n_x; i++) {
        const real *got = v.v[1 + 2 * r.b.n_x + i];
        const int64_t elems = v.elems[1 + 2 * r.b.n_x + i], step = elems / 8 + 1;
        double scale = 1;
        for (int64_t k = 0; k < elems; k++) scale = fmax(scale, fabs((double)got[k]));
        for (int64_t k = 0; k < elems; k += step) {
            exec_tensor x;
            char name[16];
            snprintf(name, sizeof name, "x%d", i);
            assert_int_equal(mill_exec_input(&x, e, name), MILL_OK);
            real *at = (real *)x.data + k;
            const real was = *at;
            *at = was + (real)h;
            const double up = gradient_loss(e, &r);
            *at = was - (real)h;
            const double down = gradient_loss(e, &r);
            *at = was;
            compare(row, &r, (element){"second gradient by input", i, k}, (double)got[k],
                    (up - down) / (2 * h), 1e-5 * scale);
        }
    }
    free_values(&v);
    mill_exec_free(e);
    mill_graph_free(r.b.g);
}

void test_ops__second_derivatives_agree_with_differences(void **state)
{
    (void)state;
    if (!IS_F64) skip_because("differences of float gradients say nothing: CONFIG=f64 runs this");
    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++)
        if (op_rows[i].flags & HAS_SECOND)
            for (int k = 0; k < 6; k++) check_second(&op_rows[i], sizes[k][0], sizes[k][1]);
}

/* ---- the same bits, however it is run ---- */

void test_ops__give_the_same_bits_however_they_are_run(void **state)
{
    static const struct {
        const char *what;
        int threads;
        unsigned flags;
    } way[] = {{"2 threads", 2, 0},
               {"7 threads", 7, 0},
               {"a buffer per node", 1, EXEC_NO_REUSE},
               {"a node a stage", 2, EXEC_NO_FUSE},
               {"dead spans are NaN", 2, EXEC_NAN}};
    (void)state;
    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++)
        for (int k = 0; k < N_SIZES; k++) {
            const int64_t n = sizes[k][0], c = sizes[k][1];
            row_values one, other;
            if (!fits(&op_rows[i], n)) continue;
            run_row(&one, &op_rows[i], n, c, 1, 0);
            for (size_t w = 0; w < sizeof way / sizeof *way; w++) {
                run_row(&other, &op_rows[i], n, c, way[w].threads, way[w].flags);
                assert_same_bits(&op_rows[i], way[w].what, n, c, &one, &other);
                free_values(&other);
            }
            free_values(&one);
        }
}

/* ---- levels, and golden digests ---- */

static uint64_t digest_of(uint64_t h, const row_values *v) /* FNV-1a over bytes; every NaN alike */
{
    for (int i = 0; i < v->n; i++)
        for (int64_t e = 0; e < v->elems[i]; e++) {
            const real x = v->v[i][e] == v->v[i][e] ? v->v[i][e] : (real)NAN;
            unsigned char byte[sizeof x];
            memcpy(byte, &x, sizeof x);
            for (size_t b = 0; b < sizeof x; b++) h = (h ^ byte[b]) * 0x100000001b3u;
        }
    return h;
}

static uint64_t golden_of(const char *name)
{
    char line[128], word[64];
    unsigned long long value, found = 0;
    FILE *f = fopen("tests/ops/golden.txt", "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %llx", word, &value) == 2 && strcmp(word, name) == 0) found = value;
    fclose(f);
    return found;
}

/* OPS_GOLDEN=1 prints the file instead of comparing with it. */
void test_ops__give_the_same_bytes_on_every_level(void **state)
{
    const bool print = getenv("OPS_GOLDEN") != NULL;
    (void)state;
    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++) {
        uint64_t h = 0xcbf29ce484222325u;
        for (int k = 0; k < N_SIZES; k++) {
            const int64_t n = sizes[k][0], c = sizes[k][1];
            row_values planned, v3, v4;
            if (!fits(&op_rows[i], n)) continue;
            run_row(&planned, &op_rows[i], n, c, 1, 0);
            run_plain(&v3, &op_rows[i], n, c, MILL_CPU_V3);
            assert_same_bits(&op_rows[i], "level v3, plain", n, c, &planned, &v3);
            if (mill_cpu_level() == MILL_V4) {
                run_plain(&v4, &op_rows[i], n, c, MILL_CPU_V4);
                assert_same_bits(&op_rows[i], "level v4, plain", n, c, &v3, &v4);
                free_values(&v4);
            }
            h = digest_of(h, &v3);
            free_values(&planned);
            free_values(&v3);
        }
        if (IS_F64 || op_rows[i].flags & PRODUCT) continue;
        if (print)
            printf("GOLDEN %s %016llx\n", op_rows[i].name, (unsigned long long)h);
        else if (golden_of(op_rows[i].name) != h) {
            print_error("%s: digest %016llx is not the golden one\n", op_rows[i].name,
                        (unsigned long long)h);
            fail();
        }
    }
}

/* ---- what gradients read ---- */

/* What the nodes that y's vjp adds read of y and of its sources: bits of mill_op.keep. */
static unsigned read_by_vjp(mill_graph *g, mill_ref y)
{
    const mill_node node = *mill_get(g, y);
    const bool has_rows = node.shape.rank > 1; /* one for all, as sums by tile need it */
    const mill_shape row = has_rows ? SHAPE(mill_cols(&node.shape)) : node.shape;
    mill_ref dy = mill_const(g, node.dtype, row, NULL);
    if (has_rows) dy = mill_broadcast_to(g, dy, node.shape);
    const mill_ref first = g->n;
    mill_ref dsrc[MILL_MAX_SRC] = {0};
    unsigned reads = 0;

    node.op->vjp(g, y, dy, dsrc);
    for (mill_ref r = first; r < g->n; r++)
        for (int k = 0; k < mill_get(g, r)->n_src; k++) {
            const mill_ref from = mill_get(g, r)->src[k];
            if (from == y) reads |= KEEP_Y;
            for (int i = 0; i < node.n_src; i++)
                if (from == node.src[i]) reads |= KEEP_SRC(i);
        }
    return reads;
}

static int count_wrong_keeps(mill_graph *g)
{
    const mill_ref n = g->n; /* what is added is not looked at again */
    int wrong = 0;

    for (mill_ref y = 1; y < n; y++) {
        const mill_node *node = mill_get(g, y);
        if (!node->op || !node->op->vjp) continue;
        const unsigned reads = read_by_vjp(g, y);
        if (mill_graph_error(g)) print_error("%s: %s\n", node->op->name, mill_error());
        assert_int_equal(mill_graph_error(g), MILL_OK);
        if (!(reads & ~node->op->keep)) continue; /* less: not every source has a gradient here */
        print_error("%s: keeps %#x, and its vjp reads %#x\n", node->op->name, node->op->keep,
                    reads);
        wrong++;
    }
    return wrong;
}

void test_ops__keep_what_their_gradients_read(void **state)
{
    (void)state;
    int wrong = 0;

    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++) {
        row_graph r;
        build_row(&r, &op_rows[i], 65, 33);
        wrong += count_wrong_keeps(r.b.g);
        mill_graph_free(r.b.g);
    }
    assert_int_equal(wrong, 0);
}

/* ---- nothing is left out ---- */

static void see_all(void) /* the descriptors that the rows and their gradients reach */
{
    assert_int_equal(mill_cpu_init(), MILL_OK);
    for (int i = 0; i < N_ROWS; i++) {
        row_values v;
        run_plain(&v, &op_rows[i], 65, 33, MILL_CPU_V3);
        free_values(&v);
    }
    mill_graph *g; /* made by mill_pass_cast alone: tests/unit/t_cast.c */
    assert_int_equal(mill_graph_new(&g), MILL_OK);
    const mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(65, 33));
    note_op(mill_get(g, mill_pack_rows(g, x))->op);
    note_op(mill_get(g, mill_pack_panels(g, x, false))->op);
    mill_graph_free(g);
}

void test_ops__have_a_row_each(void **state)
{
    char command[256], symbol[128];
    int missing = 0, found = 0;
    (void)state;
    see_all();
    /* descriptors are objects called op_X (a dot: inside of a function); kernels are functions
     * called op_X_v3 */
    snprintf(command, sizeof command,
             "nm %s/libtabmill.a 2>/dev/null |"
             " awk '$2 ~ /^[dDrR]$/ && $3 ~ /^op_[a-z0-9_]*$/ {print substr($3, 4)}'",
             TEST_BUILD);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    while (fscanf(f, "%127s", symbol) == 1) {
        bool is_seen = false;
        for (int i = 0; i < n_seen; i++) is_seen |= strcmp(seen[i]->name, symbol) == 0;
        found++;
        if (!is_seen) {
            print_error("operation \"%s\" has no row in tests/ops/rows.h\n", symbol);
            missing++;
        }
    }
    pclose(f);
    assert_true(found > 100);
    assert_int_equal(missing, 0);
}

/* ---- docs/ops.md ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const mill_op *const *)a)->name, (*(const mill_op *const *)b)->name);
}

static void add_bits(char *to, size_t size, unsigned bits)
{
    size_t at = strlen(to);
    for (int i = 0; i < MILL_MAX_SRC; i++)
        if (bits >> i & 1 && at < size)
            at += (size_t)snprintf(to + at, size - at, at ? " %d" : "%d", i);
}

static void describe(char *line, size_t size, const mill_op *op)
{
    char keep[32] = "", alias[32] = "", row[32] = "";
    add_bits(keep, sizeof keep, op->keep);
    const size_t at = strlen(keep);
    if (op->keep & KEEP_Y) snprintf(keep + at, sizeof keep - at, "%s", at ? " y" : "y");
    add_bits(alias, sizeof alias, op->flags & MILL_OP_INPLACE ? 1 : op->alias);
    add_bits(row, sizeof row, op->rowwise);
    const char *kind = op->flags & MILL_OP_VIEW      ? "view"
                       : op->flags & MILL_OP_INPLACE ? "in place"
                       : op->flags & MILL_OP_PRODUCT ? "product"
                       : op->flags & MILL_OP_RANDOM  ? "random"
                                                     : "";
    const char *grad = op->flags & MILL_OP_STOP ? "stops" : op->vjp ? "yes" : "no";
    snprintf(line, size, "| `%s` | %d | %s | %s | %s | %s | %s |\n", op->name, op->n_src, kind,
             grad, keep, alias, row);
}

/* OPS_DOCS=FILE writes the file instead of comparing: tools/ops_docs.sh. */
void test_ops__are_listed_in_the_docs(void **state)
{
    const char *to = getenv("OPS_DOCS");
    char line[256], there[256];
    (void)state;
    see_all();
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that are sorted */
    qsort(seen, (size_t)n_seen, sizeof *seen, by_name);
    FILE *f = fopen(to ? to : "docs/ops.md", to ? "w" : "r");
    assert_non_null(f);
    if (to)
        fputs("# Operations\n\nGenerated by `tools/ops_docs.sh` from the descriptors; a test "
              "compares. "
              "Formulas, shapes and edges: the head\ncomments in `src/ops/`; constructors: "
              "`src/ops/ops.h`. Numbers are sources, from 0. *kept*: what the gradient "
              "reads\nbesides dy. "
              "*over*: sources whose memory the output may take. *by row*: sources that are read "
              "row by "
              "row, so\nthat the node shares a visit with what makes them.\n\n"
              "| operation | sources | kind | gradient | kept | over | by row |\n"
              "|---|---|---|---|---|---|---|\n",
              f);
    else
        while (fgets(there, sizeof there, f) && strncmp(there, "|---", 4) != 0) continue;
    for (int i = 0; i < n_seen; i++) {
        if (i && strcmp(seen[i]->name, seen[i - 1]->name) == 0) continue;
        describe(line, sizeof line, seen[i]);
        if (to)
            fputs(line, f);
        else if (!fgets(there, sizeof there, f) || strcmp(line, there) != 0)
            fail_msg("docs/ops.md wants: %s", line);
    }
    if (!to && fgets(there, sizeof there, f)) fail_msg("docs/ops.md has more: %s", there);
    fclose(f);
}
