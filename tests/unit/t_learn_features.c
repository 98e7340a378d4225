/* t_learn_features.c - features of two tables, one under the other. */
#include "lib/made.h"

void test_features__concat_keeps_values_and_the_larger_number_of_codes(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        mill_features *part[2], *both = NULL;
        for (int k = 0; k < 2; k++) { /* 2 rows with 3 codes, 3 rows with 5 */
            const int64_t rows = 2 + k;
            part[k] = made_features(rows, 2);
            double *x = made_number_feature(part[k], 0);
            int32_t *code = made_code_feature(part[k], 1, 3 + 2 * k);
            for (int64_t i = 0; i < rows; i++) x[i] = 10.0 * k + (double)i, code[i] = k + (int)i;
        }
        assert_ok(features_concat(&both, part[order], part[1 - order]));
        assert_int_equal(both->rows, 5);
        assert_int_equal(both->col[1].n_codes, 5);
        for (int64_t i = 0; i < 5; i++) {
            const bool first = i < part[order]->rows;
            const mill_features *from = part[first ? order : 1 - order];
            const int64_t at = first ? i : i - part[order]->rows;
            assert_true(feature_f64(&both->col[0], i) == feature_f64(&from->col[0], at));
            assert_true(feature_f64(&both->col[1], i) == feature_f64(&from->col[1], at));
        }
        features_free(both);
        both = NULL;
        part[0]->n_cols = 1;
        assert_fails(MILL_ESHAPE, "do not fit", features_concat(&both, part[0], part[1]));
        assert_null(both);
        part[0]->n_cols = 2;
        features_free(part[0]);
        features_free(part[1]);
    }
}
