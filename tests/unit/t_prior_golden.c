/* LEVELS
 * t_prior_golden.c - the bytes of priors: 200 data sets of each kind, the same in any order and at
 * every level. */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "prior/prior.h"

enum { SETS = 200 };

/* Made by this program (run it: a test that fails prints what it found).  They change when the
 * process or a formula does, and then the commit says why. */
typedef struct {
    const char *name;
    const char *option[12]; /* name, value, ..., NULL */
    uint64_t digest;
} golden;

static const golden kinds[] = {
    {"mlp_scm", {"prior", "mlp_scm", NULL}, 0x4c022a64db786ae5u},
    {"mlp_scm of 2.2.0, odd lengths",
     {"prior", "mlp_scm", "compat", "2.2.0", "min-seq", "40", "max-seq", "700", "seq-len-per-gp",
      "on", NULL},
     0xfe82965a5ad243fcu},
    {"tree_scm", {"prior", "tree_scm", "max-seq", "333", NULL}, 0xae5a385cbf9f931bu},
    {"mix_scm, regression", {"regression", "on", "max-seq", "200", NULL}, 0x70cf6666142949cbu},
    {"mix_scm, imbalanced",
     {"max-seq", "500", "min-imbalance-ratio", "2", "max-imbalance-ratio", "9", NULL},
     0x33a51fb955e8423du},
    {"dummy", {"prior", "dummy", "max-seq", "100", NULL}, 0x36cc0a4e9ad7c122u},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static uint64_t mix(uint64_t h, const void *p, size_t bytes)
{
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)p + i, sizeof word);
        h = (h ^ word) * 1099511628211u;
    }
    return h;
}

static uint64_t hash_set(const prior_set *s)
{
    const size_t rows = (size_t)s->rows, features = (size_t)s->features;
    const int64_t sizes[4] = {s->rows, s->train_rows, s->features, s->classes};
    uint64_t h = mix(1469598103934665603u, sizes, sizeof sizes);

    h = mix(h, s->x, rows * features * sizeof *s->x);
    h = mix(h, s->y, rows * sizeof *s->y);
    return mix(h, s->levels, features * sizeof *s->levels);
}

static prior_maker *maker_of(const golden *g)
{
    prior_config c = prior_config_default();
    prior_maker *m;

    c.seed = 42;
    for (int i = 0; g->option[i]; i += 2)
        assert_ok(prior_config_set(&c, g->option[i], g->option[i + 1]));
    assert_ok(prior_maker_new(&m, &c));
    return m;
}

void test_priors__have_the_same_bytes_everywhere(void **state)
{
    int bad = 0;

    (void)state;
    assert_ok(mill_cpu_init());
    for (int k = 0; k < N_KINDS; k += test_stride(4)) {
        prior_maker *const m = maker_of(&kinds[k]);
        uint64_t digest = 0;

        for (int i = 0; i < SETS; i++) {
            prior_set s;
            assert_ok(prior_make(&s, m, i, false));
            const uint64_t h = hash_set(&s);
            digest = mix(digest, &h, sizeof h);
        }
        prior_maker_free(m);
        if (digest == kinds[k].digest) continue;
        print_message("# %s: 0x%016llx\n", kinds[k].name, (unsigned long long)digest);
        bad++;
    }
    assert_int_equal(bad, 0);
}

/* Backwards, described, each by a maker of its own every tenth time: what was made before does not
 * show. */
void test_priors__do_not_depend_on_the_order(void **state)
{
    enum { FEW = 40 / test_stride(4) };
    uint64_t h[FEW];
    prior_set s;

    (void)state;
    assert_ok(mill_cpu_init());
    for (int k = 0; k < N_KINDS; k++) {
        prior_maker *m = maker_of(&kinds[k]);
        for (int i = 0; i < FEW; i++) {
            assert_ok(prior_make(&s, m, i, false));
            h[i] = hash_set(&s);
        }
        for (int i = FEW - 1; i >= 0; i--) {
            if (i % 10 == 5) {
                prior_maker_free(m);
                m = maker_of(&kinds[k]);
            }
            assert_ok(prior_make(&s, m, i, true));
            assert_true(h[i] == hash_set(&s));
            assert_non_null(strstr(s.structure, s.kind));
        }
        prior_maker_free(m);
    }
}

/* An allocation that fails leaves the maker as it was: the same data set comes out next time. */
void test_priors__survive_a_lack_of_memory(void **state)
{
    const golden *const g = &kinds[3];
    prior_maker *m = maker_of(g);
    prior_set s;
    uint64_t h;
    int failures = 0;

    (void)state;
    assert_ok(prior_make(&s, m, 3, false));
    h = hash_set(&s);
    prior_maker_free(m);
    m = maker_of(g);
    for (int n = 1; n < 50; n++) {
        mill_mem_fail_at(n);
        const mill_err err = prior_make(&s, m, 3, false);
        mill_mem_fail_at(0);
        if (err == MILL_OK) break;
        assert_int_equal(err, MILL_ENOMEM);
        assert_non_null(strstr(mill_error(), "data set 3: "));
        failures++;
    }
    assert_true(failures > 0);
    assert_ok(prior_make(&s, m, 3, false));
    assert_true(h == hash_set(&s));
    prior_maker_free(m);
}
