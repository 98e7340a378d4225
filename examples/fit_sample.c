/* fit_sample.c - fit a synthesizer to a table and write 1,000 rows that are like it:
 *
 *     cc fit_sample.c $(pkg-config --cflags --libs tabmill) -o fit_sample
 *     ./fit_sample penguins.csv synthetic.csv 'species=Gentoo'
 *
 * The model stays beside them, as fit_sample.mill.
 */
#include <stdio.h>
#include <tabmill.h>

static int report(void *ctx, int64_t step, int64_t steps, double value)
{
    (void)ctx;
    if (step == steps) fprintf(stderr, "%lld steps, %.3f nats per row\n", (long long)step, value);
    return 0; /* go on */
}

int main(int argc, char **argv)
{
    const char *fit_options[] = {"method=mixture", "seed=1", NULL};
    const char *where[] = {argc > 3 ? argv[3] : NULL, NULL};
    mill_engine *engine = NULL;
    mill_table *table = NULL;
    mill_model *model = NULL;

    if (argc < 3) {
        fprintf(stderr, "usage: fit_sample TABLE.csv OUT.csv [CONDITION]\n");
        return 2;
    }
    int failed = mill_engine_open(&engine, 0) || mill_table_open(&table, engine, argv[1], NULL) ||
                 mill_model_fit("fit_sample.mill", engine, table, fit_options, report, NULL) ||
                 mill_model_open(&model, engine, "fit_sample.mill") ||
                 mill_model_sample_file(argv[2], model, 1000, 1, where, 1);
    if (failed) fprintf(stderr, "fit_sample: %s\n", mill_error());
    mill_model_close(model);
    mill_table_free(table);
    mill_engine_close(engine);
    return failed != 0;
}
