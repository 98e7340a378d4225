/*
 * groups.c - sets of keys, classes of rows, CAP; see groups.h.
 *
 * A set is an open table of a power of two of places, at most half full; keys lie one after the
 * other in the order in which they came.
 */
#include "eval/groups.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

int64_t cell_of(const mill_column *c, int64_t i, bool as_double)
{
    double v;
    int64_t word;

    if (!column_is_valid(c, i)) return CELL_MISSING;
    if (column_has_codes(c)) return c->code[i];
    if (c->type != MILL_REAL && !as_double) return c->i64[i];
    v = column_f64(c, i);
    if (v == 0) v = 0; /* -0 is 0 */
    memcpy(&word, &v, sizeof word);
    return word;
}

/* ---- a set ---- */

struct groups {
    int k;
    int64_t n, room; /* keys: there, and there is room for */
    int64_t *key;    /* (room, k) */
    int64_t n_places;
    int64_t *place; /* (n_places) number of a key and 1; 0: free */
};

void groups_free(groups *g)
{
    if (!g) return;
    mill_free(g->key);
    mill_free(g->place);
    mill_free(g);
}

int64_t groups_count(const groups *g)
{
    return g->n;
}

mill_err groups_new(groups **out, int k)
{
    groups *const g = mill_alloc(1, sizeof *g);

    if (!g) return MILL_ENOMEM;
    g->k = k;
    g->n_places = 1024;
    if (!(g->place = mill_alloc((size_t)g->n_places, sizeof *g->place))) {
        groups_free(g);
        return MILL_ENOMEM;
    }
    *out = g;
    return MILL_OK;
}

/* Where the key is, or would be. */
static int64_t place_of(const groups *g, const int64_t *key)
{
    const size_t bytes = (size_t)g->k * sizeof *key;
    int64_t at = (int64_t)(XXH3_64bits(key, bytes) & (uint64_t)(g->n_places - 1));

    while (g->place[at] && memcmp(g->key + (g->place[at] - 1) * g->k, key, bytes) != 0)
        at = (at + 1) & (g->n_places - 1);
    return at;
}

int64_t groups_find(const groups *g, const int64_t *key)
{
    return g->place[place_of(g, key)] - 1;
}

static mill_err grow(groups *g)
{
    if (g->n == g->room) {
        const int64_t room = g->room ? 2 * g->room : 256;
        int64_t *const more = mill_realloc(g->key, (size_t)room, (size_t)g->k * sizeof *more);
        if (!more) return MILL_ENOMEM;
        g->key = more;
        g->room = room;
    }
    if (2 * (g->n + 1) <= g->n_places) return MILL_OK;

    int64_t *const old = g->place;
    int64_t *const more = mill_alloc((size_t)g->n_places, 2 * sizeof *more);
    if (!more) return MILL_ENOMEM;
    g->place = more;
    g->n_places *= 2;
    for (int64_t id = 0; id < g->n; id++) g->place[place_of(g, g->key + id * g->k)] = id + 1;
    mill_free(old);
    return MILL_OK;
}

mill_err groups_add(int64_t *id, groups *g, const int64_t *key)
{
    int64_t at = place_of(g, key);

    if (!g->place[at]) {
        TRY(grow(g));
        at = place_of(g, key);
        memcpy(g->key + g->n * g->k, key, (size_t)g->k * sizeof *key);
        g->place[at] = ++g->n;
    }
    *id = g->place[at] - 1;
    return MILL_OK;
}

mill_err copied_rows(int64_t *n, const mill_column *c, const mill_column *in)
{
    const bool as_double = c->type != in->type;
    groups *g = NULL;
    mill_err err = groups_new(&g, 1);

    *n = 0;
    for (int64_t i = 0; !err && i < in->rows; i++) {
        const int64_t key = cell_of(in, i, as_double);
        int64_t id;
        err = groups_add(&id, g, &key);
    }
    for (int64_t i = 0; !err && i < c->rows; i++) {
        const int64_t key = cell_of(c, i, as_double);
        *n += column_is_valid(c, i) && groups_find(g, &key) >= 0;
    }
    groups_free(g);
    return err;
}

/* ---- CAP ---- */

/* A column as the attacker sees it: codes, or ten bins of the real range with open ends, a bin
 * with its upper edge (pandas' cut). */
typedef struct {
    const col_view *c;
    double edge[N_BINS + 1];
} cap_col;

static cap_col cap_col_of(const col_view *c)
{
    cap_col k = {.c = c};
    const double low = c->side[SIDE_REAL].min, high = c->side[SIDE_REAL].max;

    for (int b = 0; !c->is_code && b <= N_BINS; b++)
        k.edge[b] = b == N_BINS ? high : low + b * ((high - low) / N_BINS);
    return k;
}

static int64_t cap_cell(const cap_col *k, int side, int64_t i)
{
    if (k->c->is_code) return k->c->side[side].code[i];

    const double x = k->c->side[side].x[i];
    int b = 1;
    if (isnan(x)) return MISSING_CODE;
    while (b < N_BINS && x > k->edge[b]) b++;
    return b;
}

static void key_of(int64_t *key, const cap_col *col, int n, int side, int64_t i)
{
    for (int k = 0; k < n; k++) key[k] = cap_cell(&col[k], side, i);
}

/* How many different sensitive tuples the real table's values could make. */
static double possible_tuples(const cap_col *sensitive, int n)
{
    double product = 1;

    for (int k = 0; k < n; k++) {
        const col_view *c = sensitive[k].c;
        const col_side *real = &c->side[SIDE_REAL];
        bool seen[N_BIN_CODES] = {false};
        int64_t n_values = c->is_code ? real->n_different + (real->n < real->rows) : 0;

        for (int64_t i = 0; !c->is_code && i < real->rows; i++)
            seen[cap_cell(&sensitive[k], SIDE_REAL, i)] = true;
        for (int b = 0; !c->is_code && b < N_BIN_CODES; b++) n_values += seen[b];
        product *= (double)n_values;
    }
    return product;
}

typedef struct {
    groups *known, *both; /* keys of known columns; (number of that, sensitive cells) */
    int64_t *n_known, *n_both;
    int64_t *key;
    cap_col *col; /* the known ones, then the sensitive ones */
} lookup;

static void lookup_deinit(lookup *l)
{
    groups_free(l->known);
    groups_free(l->both);
    mill_free(l->n_known);
    mill_free(l->n_both);
    mill_free(l->key);
    mill_free(l->col);
}

mill_err disclosure_compute(disclosure *d, const eval_view *v, const int64_t *const row[N_SIDES],
                            const int64_t rows[N_SIDES], const attacker *who)
{
    const size_t n_known = (size_t)who->n_known, n_sensitive = (size_t)who->n_sensitive;
    lookup l = {0};
    double sum = 0;
    mill_err err;

    *d = (disclosure){(double)NAN, (double)NAN, (double)NAN, 0};
    if (!(l.col = mill_alloc(n_known + n_sensitive, sizeof *l.col))) return MILL_ENOMEM;
    const cap_col *const sensitive_col = l.col + n_known;
    for (size_t k = 0; k < n_known; k++) l.col[k] = cap_col_of(&v->col[who->known[k]]);
    for (size_t k = 0; k < n_sensitive; k++)
        l.col[n_known + k] = cap_col_of(&v->col[who->sensitive[k]]);
    d->guess = 1 / possible_tuples(sensitive_col, who->n_sensitive);
    if ((err = groups_new(&l.known, who->n_known))) goto done;
    if ((err = groups_new(&l.both, who->n_sensitive + 1))) goto done;
    err = MILL_ENOMEM;
    l.n_known = mill_alloc((size_t)rows[SIDE_SYN], sizeof *l.n_known);
    l.n_both = mill_alloc((size_t)rows[SIDE_SYN], sizeof *l.n_both);
    l.key = mill_alloc(n_known + n_sensitive + 1, sizeof *l.key);
    if (!l.n_known || !l.n_both || !l.key) goto done;
    for (int64_t r = 0; r < rows[SIDE_SYN]; r++) {
        const int64_t i = row[SIDE_SYN] ? row[SIDE_SYN][r] : r;
        int64_t id;

        key_of(l.key, l.col, who->n_known, SIDE_SYN, i);
        if ((err = groups_add(&id, l.known, l.key))) goto done;
        l.n_known[id]++;
        l.key[0] = id;
        key_of(l.key + 1, sensitive_col, who->n_sensitive, SIDE_SYN, i);
        if ((err = groups_add(&id, l.both, l.key))) goto done;
        l.n_both[id]++;
    }
    for (int64_t r = 0; r < rows[SIDE_REAL]; r++) {
        const int64_t i = row[SIDE_REAL] ? row[SIDE_REAL][r] : r;

        key_of(l.key, l.col, who->n_known, SIDE_REAL, i);
        const int64_t of_known = groups_find(l.known, l.key);
        if (of_known < 0) continue;
        l.key[0] = of_known;
        key_of(l.key + 1, sensitive_col, who->n_sensitive, SIDE_REAL, i);
        const int64_t of_both = groups_find(l.both, l.key);
        if (of_both >= 0) sum += (double)l.n_both[of_both] / (double)l.n_known[of_known];
        d->found++;
    }
    err = MILL_OK;
    if (!d->found) goto done;
    d->mean = sum / (double)d->found;
    d->score = d->guess < 1 ? fmin((1 - d->mean) / (1 - d->guess), 1) : (double)NAN;
done:
    lookup_deinit(&l);
    return err;
}

/* ---- classes ---- */

/* Of the classes with n rows and, each, `values` different sensitive ones. */
static void sum_up(anonymity *a, int64_t rows, const int64_t *n, const int64_t *values, bool has_l)
{
    int64_t alone = 0, few = 0, one = 0;

    a->k = a->l = INT64_MAX;
    for (int64_t c = 0; c < a->classes; c++) {
        a->k = n[c] < a->k ? n[c] : a->k;
        a->l = values[c] < a->l ? values[c] : a->l;
        alone += n[c] == 1 ? 1 : 0;
        few += n[c] < 5 ? n[c] : 0;
        one += values[c] == 1 ? n[c] : 0;
    }
    a->alone = (double)alone / (double)rows;
    a->below_5 = (double)few / (double)rows;
    a->one_value = has_l ? (double)one / (double)rows : (double)NAN;
    if (!has_l) a->l = 0;
}

mill_err anonymity_compute(anonymity *a, const mill_table *t, const int *known, int n_known,
                           int sensitive)
{
    groups *classes = NULL, *pairs = NULL;
    int64_t *const n = mill_alloc((size_t)t->rows, 2 * sizeof *n), *const values = n + t->rows;
    int64_t *const key = mill_alloc((size_t)n_known + 2, sizeof *key);
    mill_err err = n && key ? MILL_OK : MILL_ENOMEM;

    *a = (anonymity){0};
    if (!err) err = groups_new(&classes, n_known);
    if (!err) err = groups_new(&pairs, 2);
    for (int64_t i = 0; !err && i < t->rows; i++) {
        int64_t id, pair;

        for (int k = 0; k < n_known; k++) key[k] = cell_of(&t->col[known[k]], i, false);
        if ((err = groups_add(&id, classes, key))) break;
        n[id]++;
        if (sensitive < 0) continue;
        key[0] = id;
        key[1] = cell_of(&t->col[sensitive], i, false);
        const int64_t before = groups_count(pairs);
        err = groups_add(&pair, pairs, key);
        if (!err) values[id] += groups_count(pairs) > before;
    }
    if (!err) {
        a->classes = groups_count(classes);
        sum_up(a, t->rows, n, values, sensitive >= 0);
    }
    groups_free(classes);
    groups_free(pairs);
    mill_free(n);
    mill_free(key);
    return err;
}
