/*
 * op.h - what an operation is.  Passes, planner and executor know no more than this.
 *
 * Work is split into UNITS (by default the rows of the output: the product of all its dimensions
 * but the last) which are dealt in tiles of `grain` units.  A kernel is called with exactly one
 * tile [begin, end) at a time: begin is a multiple of the grain, end = min(begin + grain, units).
 * The split is a function of shapes alone, so that the bits do not depend on threads.
 *
 * `rowwise` says which sources unit i reads only at unit i (when they have as many units).  Chains
 * of nodes that hang together row by row become one visit: tile by tile, while the rows are warm
 * (fuse.c).  Any other source must be complete before the node starts.
 */
#ifndef MILL_GRAPH_OP_H
#define MILL_GRAPH_OP_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tests also build the engine with double, to check gradients. */
#ifndef MILL_ENGINE_REAL
#define MILL_ENGINE_REAL float
#endif
typedef MILL_ENGINE_REAL real;

enum { MILL_MAX_SRC = 6, MILL_MAX_DIM = 4, MILL_MAX_ATTR = 6 };

/* Where a kernel runs; one table of pointers a descriptor. ORDER DEVICE */
enum { MILL_CPU_V3, MILL_CPU_V4, MILL_CUDA, MILL_N_DEVICE };

/* BF16: packed operands of products alone (ops/pack.c). */
typedef enum { MILL_T_REAL, MILL_T_F64, MILL_T_I32, MILL_T_BF16, MILL_N_DTYPE } mill_dtype;

#define KEEP_Y       (1u << MILL_MAX_SRC)
#define KEEP_SRC(i)  (1u << (i))
#define ALIAS_SRC(i) (1u << (i))
#define ROW_SRC(i)   (1u << (i))
#define WRITE_SRC(i) (1u << (i))

typedef struct mill_graph mill_graph;
typedef struct mill_node mill_node;
typedef int32_t mill_ref; /* a node of a graph; 0 is the node that stands for "failed" */

/* Row-major: dim[0] varies slowest, as in C and NumPy.  rank 0 is a scalar. */
typedef struct {
    int rank;
    int64_t dim[MILL_MAX_DIM];
} mill_shape;

/* Small attributes of a node, by value; the meaning is the operation's. */
typedef struct {
    int64_t i[MILL_MAX_ATTR];
    double f[MILL_MAX_ATTR];
    const void *p; /* borrowed until the graph is freed; NULL for nearly all */
} mill_attr;

typedef struct {
    int64_t units, grain;
    bool by_rows; /* the units are the rows of the output.  False (blocks of columns, say): no link
                     to it is rowwise */
} mill_split;

/* One tile of one node.  Pointers are into the planned arena. */
typedef struct {
    void *out;
    const void *src[MILL_MAX_SRC]; /* a source in `writes` may be written through a cast */
    const mill_node *node;         /* shape, attr, dtype */
    const mill_shape *src_shape[MILL_MAX_SRC];
    void *scratch; /* this thread's; op->scratch() bytes, 64-byte aligned, contents undefined */
    int64_t begin, end; /* units */
    uint64_t seed;      /* of the run */
    uint32_t step; /* of the run: counter-based randomness and bias correction are keyed by it */
    void *stream;  /* cudaStream_t, or NULL */
} mill_call;

typedef void (*mill_kernel)(const mill_call *c); /* cannot fail on the CPU */

enum {
    MILL_OP_VIEW = 1,    /* no work: the output is the memory of source 0, from byte attr.i[0] on */
    MILL_OP_RANDOM = 2,  /* draws numbers: attr.i[MILL_MAX_ATTR-1] is its stream */
    MILL_OP_PRODUCT = 4, /* a matrix product of its last two sources: the cast pass may set its
                            node's bf16 flag */
    MILL_OP_INPLACE = 8, /* the output IS source 0's memory, always (adam, assign, lerp_state):
                            source 0 dies here */
    MILL_OP_STOP = 16, /* no gradient passes, silently (detach, codes, masks); otherwise vjp NULL on
                          a path is an error */
};

/* What a product becomes under mill_pass_cast: these attributes, and node `with` in the place of
 * source `source`; 0: it stays. */
typedef struct {
    mill_ref with;
    int source;
    mill_attr attr;
} mill_cast;

typedef struct {
    const char *name;
    int n_src;        /* at least; a node has exactly node->n_src */
    unsigned keep;    /* what vjp reads besides dy; KEEP_SRC, KEEP_Y: a test proves it and the docs
                         print it */
    unsigned alias;   /* sources whose memory the output may take over (same bytes, rowwise, dead
                         afterwards) */
    unsigned rowwise; /* sources read unit by unit */
    unsigned writes;  /* STATE sources that are updated in place */
    unsigned flags;
    mill_err (*shape)(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                      const mill_node *node);
    mill_split (*split)(const mill_graph *g, const mill_node *node); /* NULL: mill_split_rows() */
    size_t (*scratch)(const mill_graph *g, const mill_node *node); /* bytes a thread; NULL: none */
    /* Add the nodes of the gradient: dsrc[i] = d loss / d src[i], or 0 for "none".  NULL: no
     * gradient. */
    void (*vjp)(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc);
    mill_cast (*cast)(mill_graph *g, const mill_node *node); /* may add one node; NULL: none */
    mill_kernel run[MILL_N_DEVICE];
} mill_op;

/* run = KERNELS(softmax): the level bodies softmax_v3 and softmax_v4; the .cu sibling when there is
 * a CUDA build. */
#define KERNELS(name)           \
    {                           \
        name##_v3, name##_v4, 0 \
    }
#define DECLARE_KERNELS(name)           \
    void name##_v3(const mill_call *c); \
    void name##_v4(const mill_call *c)

typedef enum { MILL_INPUT, MILL_STATE, MILL_CONST, MILL_OPERATION } mill_kind;

struct mill_node {
    mill_kind kind;
    const mill_op *op; /* OPERATION; else NULL */
    int n_src;
    mill_ref src[MILL_MAX_SRC];
    mill_shape shape;
    mill_dtype dtype;
    mill_attr attr;
    bool bf16;        /* product: round the operands to bfloat16, add up in f32 */
    int32_t segment;  /* > 0: belongs to a recomputed segment (recompute.c) */
    mill_ref after;   /* > 0: runs behind this node, though nothing of it is read (recompute.c) */
    bool backward;    /* made by mill_grad */
    const char *name; /* INPUT, STATE, CONST, outputs; else NULL.  The graph's copy */
    const void *data; /* CONST: the graph's copy; STATE: optional first value */
};

int64_t mill_elems(const mill_shape *s);
int64_t mill_rows(const mill_shape *s); /* product of all dims but the last; 1 for a scalar */
int64_t mill_cols(const mill_shape *s); /* the last dim; 1 for a scalar */
bool mill_shape_equal(const mill_shape *a, const mill_shape *b);
size_t mill_dtype_size(mill_dtype t);
const char *mill_shape_text(char buf[64], const mill_shape *s); /* "(500, 256)" */

/* The grain of `rows` rows: the one rule by which row-wise nodes of equal height fit into one
 * visit. 64 from 128 rows on; below, a quarter, so that few rows still feed several threads. */
int64_t mill_grain(int64_t rows);
mill_split mill_split_rows(const mill_graph *g, const mill_node *node);

const mill_node *mill_get(const mill_graph *g, mill_ref r);
mill_ref mill_src(const mill_graph *g, mill_ref y, int i);
const mill_shape *mill_shape_of(const mill_graph *g, mill_ref r);

/* Add a node.  A failed source, a wrong shape or no memory poisons the graph: the first message is
 * kept, 0 is returned, every node built on 0 is 0, and mill_graph_error() returns it.
 */
mill_ref mill_apply(mill_graph *g, const mill_op *op, const mill_attr *attr, int n,
                    const mill_ref *src);
#define MILL_APPLY(g, op, attr, ...)                                                     \
    mill_apply(g, op, attr, (int)(sizeof((mill_ref[]){__VA_ARGS__}) / sizeof(mill_ref)), \
               (mill_ref[]){__VA_ARGS__})

/* Poison from a constructor: words for the first message. Returns 0. */
mill_ref mill_poison(mill_graph *g, mill_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The one constructor that a pass needs: a + b of equal shapes, where gradients of several readers
 * meet. Declared here, defined in ops/, so that graph/ names no descriptor. */
mill_ref mill_add(mill_graph *g, mill_ref a, mill_ref b);

/* Common shape rules: the output is like source 0. */
mill_err shape_like_src0(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                         const mill_node *node);

#endif
