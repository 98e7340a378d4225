/*
 * mixture.h - the parts of the mixture: fitting, the model, sampling under conditions, likelihood.
 *
 * In the file, beside coders (coder_file.c):
 *     "mixture.weight"  F32 (K)
 *     "mixture.J.p"     F32 (codes of column J, K)   p_J(c | k); no tensor for identifiers
 */
#ifndef MILL_SYNTH_MIXTURE_H
#define MILL_SYNTH_MIXTURE_H

#include "synth/em.h"

/*
 * A number of components by held-out likelihood (choose_k.c): a function of codes and seed.
 */
mill_err mixture_choose_k(int *k, const synth_codes *codes, uint64_t seed, mill_pool *pool);
/* The largest that is ever chosen for a table of this shape. */
int mixture_most_k(int64_t rows, int32_t n_codes);

/* One draw from n outcomes in O(1): Walker 1977, Vose 1991. */
typedef struct {
    uint32_t keep; /* of 2^32: outcome i itself, else alias */
    int32_t alias;
} alias_entry;

/* The part of a code that meets the conditions: of a CODE_RANGE u in [from, to), of a CODE_POINTS
 * the marked ones. */
typedef struct {
    double share; /* of the code's distribution: 0 to 1 */
    double from, to;
    uint16_t points;
} code_part;

/* How to draw: built once for a set of conditions. */
typedef struct {
    int n_where;
    synth_where *where;
    alias_entry *component; /* k */
    alias_entry **leaf;     /* per column: (k, codes) */
    bool *own;              /* per column: leaf belongs to this plan */
    code_part **part;       /* per column with conditions: per code; else NULL */
    double *least, *most;   /* per column: what conditions leave of the range */
} mixture_plan;

typedef struct {
    const synth_schema *schema;
    synth_coder *coder;
    bool lent; /* the coders are a fit's */
    mill_pool *pool;
    int k;
    const float *weight;
    const float **p; /* per column (codes, k), in the mapped file or the fit */
    int *word; /* per column: its first random word; two if it has many codes, one more within a bin
                */
    int words; /* random words of a row, a multiple of 4 */
    mixture_plan *free_plan, *plan; /* without conditions; with the last ones */
} mixture_model;

enum {
    MIXTURE_MANY_CODES = 4096,
    MIXTURE_CHUNK_ROWS = 1024, /* drawn at a time; a multiple of 8: chunks share no byte of a bitmap
                                */
    MIXTURE_TILE_WORDS = 192   /* random words of a chunk's row, at most */
};

mill_err mixture_plan_new(mixture_plan **out, const mixture_model *m, const synth_where *w, int n);
void mixture_plan_free(mixture_plan *p, int n_cols);
/* synth_method's. */
unsigned mixture_native(const void *model, const synth_where *w, int n);
mill_err mixture_sample(void *model, mill_table *out, int64_t first, int64_t n, uint64_t seed,
                        const synth_where *w, int n_where);
mill_err mixture_score(void *model, double *out, const mill_table *t);
mill_err mixture_model_open(void **out, const store *f, const synth_schema *schema,
                            mill_pool *pool);
/* The model of a fit that goes on: borrows everything until it is closed.  p: (codes, k). */
mill_err mixture_model_of_fit(mixture_model **out, const synth_schema *schema,
                              const synth_codes *codes, int k, const float *weight, const float *p,
                              mill_pool *pool);
void mixture_model_close(void *model);
mill_err mixture_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                          const synth_config *c, int threads);
mill_err independent_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                              const synth_config *c, int threads);

#endif
