/*
 * product.c - matrix products: y = op(a) op(b), and y = c + op(a) op(b).
 *
 * a: (.., n, k), b: (.., k, m), y: (.., n, m); op swaps the last two dimensions where a flag says
 * so. Leading dimensions are the same, or one operand has none and is shared.  c: like y, or a row
 * vector (m).
 *
 * Gradients are products again, so their gradients are too (A = op(a), B = op(b)):
 *
 *     da = dy B^T   or, stored the other way round,  B dy^T
 *     db = A^T dy   or                               dy^T A         dc = dy, summed to c's shape
 *
 * How the work is dealt, one descriptor each (and each with and without c), since it says what may
 * share a visit with the product:
 *
 *     rows   a as it is: tiles of rows; a's rows and c's are read with y's, so chains before and
 *            behind run while the tile is warm
 *     cols   a as it is, more than 64 columns, and fewer than 128 rows or a b that no cache near
 *            the core holds (each tile of rows would read and pack all of it): blocks of 64
 *            columns
 *     inner  a transposed (weight gradients): tiles of y's rows; all of a and b is read
 *
 * The bits are those of base/gemm.h: for one provider independent of tiles and threads.
 *
 * Under mill_pass_cast the operand that every tile reads in full comes packed (pack.c): b for rows
 * and inner, a for cols.  The bits are those without.  Such a product has no gradient any more.
 */
#include "base/cpu.h"
#include "base/gemm.h"
#include "ops/inner.h"
#include <string.h>

enum { I_TA, I_TB, I_HAS_C, I_PACKED, I_M }; /* attributes; m is kept where b does not say it */
enum { PACKED_A = 1, PACKED_B };
enum { WIDE = 64 }; /* columns of a block; rows below which blocks of columns are dealt: */
enum { FEW_ROWS = 128 };
enum { MANY_ROWS = 256 }; /* four tiles */
enum {
    LARGE = 1 << 20
}; /* bytes of b; of 512 x 1448 x 1448 rows took 48 ms and columns 22 to 25 */

/* ---- shapes ---- */

static int64_t leading(const mill_shape *s) /* product of all but the last two dimensions */
{
    int64_t n = 1;
    for (int i = 0; i + 2 < s->rank; i++) n *= s->dim[i];
    return n;
}

/* The shape that a source had before it was packed. */
static mill_shape unpacked(const mill_graph *g, const mill_node *node, int i)
{
    const int packed = (int)node->attr.i[I_PACKED], at = node->attr.i[I_HAS_C] ? 1 : 0;
    const int64_t m = node->attr.i[I_M];
    mill_shape s = *src_shape(g, node, i);

    if (packed == PACKED_A && i == at)
        s.dim[s.rank - 1] = src_shape(g, node, at + 1)->dim[node->attr.i[I_TB]];
    if (packed == PACKED_B && i == at + 1) {
        const mill_shape *a = src_shape(g, node, at);
        const int64_t k = a->dim[a->rank - (node->attr.i[I_TA] ? 2 : 1)];
        s = node->attr.i[I_TB] ? SHAPE(m, k) : SHAPE(k, m);
    }
    return s;
}

static mill_err check_packed(const mill_graph *g, const mill_node *node)
{
    const int packed = (int)node->attr.i[I_PACKED], at = node->attr.i[I_HAS_C] ? 1 : 0;

    for (int i = 0; i < node->n_src; i++) {
        const bool is_packed = packed && i == at + packed - 1;
        const mill_dtype want = is_packed ? MILL_T_BF16 : MILL_T_REAL;
        WANT(g, node, mill_get(g, node->src[i])->dtype == want, "real, or packed, operands");
    }
    return MILL_OK;
}

static mill_err shape_product(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    const int at = node->attr.i[I_HAS_C] ? 1 : 0;
    const bool ta = node->attr.i[I_TA], tb = node->attr.i[I_TB];

    TRY(check_packed(g, node));
    const mill_shape sa = unpacked(g, node, at), sb = unpacked(g, node, at + 1), *a = &sa, *b = &sb;
    WANT(g, node, a->rank >= 2 && b->rank >= 2, "operands are matrices");
    WANT(g, node, a->dim[a->rank - (ta ? 2 : 1)] == b->dim[b->rank - (tb ? 1 : 2)],
         "inner dimensions differ");
    *out = a->rank >= b->rank ? *a : *b;
    for (int i = 0; i + 2 < out->rank; i++)
        WANT(g, node,
             a->rank == 2 || b->rank == 2 || (a->rank == b->rank && a->dim[i] == b->dim[i]),
             "leading dimensions differ");
    out->dim[out->rank - 2] = a->dim[a->rank - (ta ? 1 : 2)];
    out->dim[out->rank - 1] = b->dim[b->rank - (tb ? 2 : 1)];
    *dtype = MILL_T_REAL;
    if (at) {
        const mill_shape *c = src_shape(g, node, 0);
        WANT(g, node, mill_shape_equal(c, out) || is_row_vector(c, mill_cols(out)),
             "what is added is like the product, or one row of it");
    }
    return MILL_OK;
}

static mill_split split_cols(const mill_graph *g, const mill_node *node)
{
    (void)g;
    return (mill_split){mill_cols(&node->shape), WIDE, false};
}

static bool is_large(const mill_shape *b)
{
    return (size_t)mill_elems(b) * sizeof(real) > LARGE;
}

static bool goes_by_columns(const mill_shape *a, const mill_shape *b, bool ta, bool tb)
{
    if (ta || b->rank != 2 || b->dim[tb ? 0 : 1] <= WIDE) return false;
    return mill_rows(a) < FEW_ROWS || is_large(b);
}

/* ---- kernels ---- */

/* y[row .., col ..] = op(a) op(b) + c there: mnk rows, columns and length of the sums */
static void multiply(const mill_call *call, int64_t row, int64_t col, const real *a, const real *b,
                     const int64_t mnk[3])
{
    const mill_attr *attr = &call->node->attr;
    const int at = attr->i[I_HAS_C] ? 1 : 0;
    const int64_t m = mill_cols(&call->node->shape);
    const bool full = at && mill_rows(call->src_shape[0]) == mill_rows(&call->node->shape);
    const real *from = at ? (const real *)call->src[0] + (full ? row * m : 0) + col : NULL;
#if defined(MILL_REAL_IS_DOUBLE) && MILL_REAL_IS_DOUBLE
    const gemm_args_f64 args = {
        .accumulate = at,
#else
    const gemm_args args = {
        .a_pairs = attr->i[I_PACKED] == PACKED_A ? a : NULL,
        .b_panels = attr->i[I_PACKED] == PACKED_B ? b : NULL,
        .from = from,
        .ld_from = full ? m : 0,
#endif
        .c = (real *)call->out + row * m + col,
        .a = a,
        .b = b,
        .m = mnk[0],
        .n = mnk[1],
        .k = mnk[2],
        .lda = mill_cols(call->src_shape[at]),
        .ldb = mill_cols(call->src_shape[at + 1]),
        .ldc = m,
        .ta = attr->i[I_TA],
        .tb = attr->i[I_TB],
    };
#if defined(MILL_REAL_IS_DOUBLE) && MILL_REAL_IS_DOUBLE
    for (int64_t i = 0; i < mnk[0] && from && from != args.c; i++)
        memcpy(args.c + i * m, from + (full ? i * m : 0), (size_t)mnk[1] * sizeof(real));
    gemm_f64(&args);
#else
    if (call->node->bf16)
        gemm_bf16(&args);
    else
        gemm_f32(&args);
#endif
}

/* Rows [begin, end) of y, over all leading dimensions: a product for each matrix they touch. */
static void product_rows(const mill_call *c)
{
    const bool ta = c->node->attr.i[I_TA], has_c = c->node->attr.i[I_HAS_C];
    const mill_shape *y = &c->node->shape;
    const mill_shape *a = c->src_shape[has_c], *b = c->src_shape[has_c + 1];
    const int64_t m = mill_cols(y), n = y->dim[y->rank - 2];
    const int64_t k = a->dim[a->rank - (ta ? 2 : 1)];
    const int64_t a_step = leading(a) > 1 ? n * k : 0, b_step = leading(b) > 1 ? k * m : 0;
    /* One matrix for all rows, when b is shared and a's rows follow one another. */
    const bool flat = b_step == 0 && !ta && (a_step || leading(y) == 1);

    for (int64_t at = c->begin; at < c->end;) {
        const int64_t matrix = flat ? 0 : at / n, row = flat ? at : at % n;
        const int64_t last = flat ? c->end : (matrix + 1) * n;
        const int64_t rows = (c->end < last ? c->end : last) - at;
        const real *pa = (const real *)c->src[has_c] + matrix * a_step + (ta ? row : row * k);
        const real *pb = (const real *)c->src[has_c + 1] + matrix * b_step;
        multiply(c, at, 0, pa, pb, (int64_t[]){rows, m, k});
        at += rows;
    }
}

/* Columns [begin, end) of all rows; a and b are matrices, or b is shared and a's rows follow. */
static void product_cols(const mill_call *c)
{
    const bool tb = c->node->attr.i[I_TB], has_c = c->node->attr.i[I_HAS_C];
    const int64_t rows = mill_rows(&c->node->shape), cols = c->end - c->begin;
    const int64_t k = c->src_shape[has_c + 1]->dim[tb];
    const real *b = (const real *)c->src[has_c + 1];

    multiply(c, 0, c->begin, c->src[has_c], b + (tb ? c->begin * k : c->begin),
             (int64_t[]){rows, cols, k});
}

/* ---- descriptors ---- */

static void product_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc);
static mill_cast cast_product(mill_graph *g, const mill_node *node);

#define PRODUCT(row, rows_of_a, splits, kernel)                 \
    static const mill_op op_matmul_##row = {                    \
        .name = "matmul_" #row,                                 \
        .n_src = 2, /* a, b */                                  \
        .keep = KEEP_SRC(0) | KEEP_SRC(1),                      \
        .rowwise = (rows_of_a) ? ROW_SRC(0) : 0,                \
        .flags = MILL_OP_PRODUCT,                               \
        .shape = shape_product,                                 \
        .split = (splits),                                      \
        .vjp = product_vjp,                                     \
        .cast = cast_product,                                   \
        .run = {kernel, kernel, 0},                             \
    };                                                          \
    static const mill_op op_addmm_##row = {                     \
        .name = "addmm_" #row,                                  \
        .n_src = 3, /* c, a, b */                               \
        .keep = KEEP_SRC(1) | KEEP_SRC(2),                      \
        .alias = ALIAS_SRC(0),                                  \
        .rowwise = ((rows_of_a) ? ROW_SRC(1) : 0) | ROW_SRC(0), \
        .flags = MILL_OP_PRODUCT,                               \
        .shape = shape_product,                                 \
        .split = (splits),                                      \
        .vjp = product_vjp,                                     \
        .cast = cast_product,                                   \
        .run = {kernel, kernel, 0},                             \
    };
PRODUCT(rows, 1, NULL, product_rows)
PRODUCT(cols, 0, split_cols, product_cols)
PRODUCT(inner, 0, NULL, product_rows)

/* Gradients by a and b of op(a) op(b). With leading dimensions on one side only, the shared
 * operand's gradient is a sum over them: a flat product where the rows follow one another, else
 * summed behind. */
static void product_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr attr = mill_get(g, y)->attr;
    const bool ta = attr.i[I_TA], tb = attr.i[I_TB];
    const int at = attr.i[I_HAS_C] ? 1 : 0;
    if (attr.i[I_PACKED]) {
        mill_poison(g, MILL_ESHAPE, "product: gradients come before the cast");
        return;
    }
    const mill_ref a = mill_src(g, y, at), b = mill_src(g, y, at + 1);
    const mill_shape sa = *mill_shape_of(g, a), sb = *mill_shape_of(g, b);

    if (at) dsrc[0] = mill_sum_to(g, dy, mill_shape_of(g, mill_src(g, y, 0)));
    /* A tile of rows packs a transposed operand anew; with many tiles it is turned once, as a node.
     */
    const bool turn = !ta && !tb && sb.rank == 2 && !is_large(&sb) &&
                      mill_rows(mill_shape_of(g, dy)) >= MANY_ROWS;
    const mill_ref bt = turn ? mill_transpose(g, b, 0, 1) : b;
    const mill_ref da =
        ta ? mill_matmul(g, b, dy, tb, true) : mill_matmul(g, dy, bt, false, !tb && !turn);
    dsrc[at] = mill_sum_to(g, da, &sa);

    if (sb.rank == 2 && sa.rank > 2 && !ta) {
        const mill_ref rows_a = mill_reshape(g, a, SHAPE(-1, mill_cols(&sa)));
        const mill_ref rows_dy = mill_reshape(g, dy, SHAPE(-1, mill_cols(mill_shape_of(g, dy))));
        dsrc[at + 1] = tb ? mill_matmul(g, rows_dy, rows_a, true, false)
                          : mill_matmul(g, rows_a, rows_dy, true, false);
        return;
    }
    const mill_ref db = tb ? mill_matmul(g, dy, a, true, ta) : mill_matmul(g, a, dy, !ta, false);
    dsrc[at + 1] = mill_sum_to(g, db, &sb);
}

/* The operand that every tile reads in full, packed; none if it is read once. */
static mill_cast cast_product(mill_graph *g, const mill_node *node)
{
    const int at = node->attr.i[I_HAS_C] ? 1 : 0;
    const mill_ref a = node->src[at], b = node->src[at + 1];
    const bool by_columns = node->op == &op_matmul_cols || node->op == &op_addmm_cols;
    const int64_t rows = mill_rows(&node->shape);
    mill_cast cast = {.attr = node->attr};

    if (sizeof(real) != sizeof(float) || mill_cpu_init() || !mill_cpu_has_bf16()) return cast;
    if (mill_shape_of(g, b)->rank != 2 || node->attr.i[I_PACKED]) return cast;
    if (by_columns ? rows < FEW_ROWS : rows <= mill_grain(rows)) return cast;
    cast.attr.i[I_PACKED] = by_columns ? PACKED_A : PACKED_B;
    cast.attr.i[I_M] = mill_cols(&node->shape);
    cast.source = by_columns ? at : at + 1;
    cast.with = by_columns ? mill_pack_rows(g, a) : mill_pack_panels(g, b, node->attr.i[I_TB]);
    return cast;
}

/* ---- constructors ---- */

mill_ref mill_addmm(mill_graph *g, mill_ref c, mill_ref a, mill_ref b, bool ta, bool tb)
{
    if (!c) return mill_graph_error(g) ? 0 : mill_matmul(g, a, b, ta, tb);
    const mill_attr attr = {{[I_TA] = ta, [I_TB] = tb, [I_HAS_C] = 1}, {0}, NULL};
    const mill_shape *sa = mill_shape_of(g, a), *sb = mill_shape_of(g, b);
    const bool by_columns = goes_by_columns(sa, sb, ta, tb);
    const mill_op *op = ta ? &op_addmm_inner : by_columns ? &op_addmm_cols : &op_addmm_rows;
    return MILL_APPLY(g, op, &attr, c, a, b);
}

mill_ref mill_matmul(mill_graph *g, mill_ref a, mill_ref b, bool ta, bool tb)
{
    const mill_attr attr = {{[I_TA] = ta, [I_TB] = tb}, {0}, NULL};
    const mill_shape *sa = mill_shape_of(g, a), *sb = mill_shape_of(g, b);
    const bool by_columns = goes_by_columns(sa, sb, ta, tb);
    const mill_op *op = ta ? &op_matmul_inner : by_columns ? &op_matmul_cols : &op_matmul_rows;
    return MILL_APPLY(g, op, &attr, a, b);
}

mill_ref mill_linear(mill_graph *g, mill_ref x, mill_ref w, mill_ref b)
{
    return mill_addmm(g, b, x, w, false, false);
}

/*
 * a + b, where b is a product that a gradient has just made: c + op(a) op(b) in one node, which may
 * be written over a.  A node that is not new may have, or get, another reader, for whom it would be
 * computed a second time.
 */
mill_ref ops_merge_product(mill_graph *g, mill_ref a, mill_ref b)
{
    enum { NEW = 4 }; /* a vjp makes at most so many nodes behind the one that it hands over */
    const mill_node *node = mill_get(g, b);

    if (!node->op || !node->backward || b + NEW < mill_graph_n(g)) return 0;
    if (node->op != &op_matmul_rows && node->op != &op_matmul_cols && node->op != &op_matmul_inner)
        return 0;
    if (!mill_shape_equal(mill_shape_of(g, a), &node->shape)) return 0;
    return mill_addmm(g, a, node->src[0], node->src[1], node->attr.i[I_TA], node->attr.i[I_TB]);
}
