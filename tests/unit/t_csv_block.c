/* t_csv_block.c - borders of blocks: a regular file stays on the fast way wherever they fall, an
 * irregular one is noticed. */
#include "lib/test.h"

#include "base/file.h"
#include "table/csv_block.h"

#include <unistd.h>

/* Rows of all blocks; *irregular if some block has met a quote that the fast way cannot take. */
static int64_t count_rows(bool *irregular, const char *text, int n_cols, int64_t block)
{
    char path[64];
    source src;
    csv_layout l = {.src = &src, .delimiter = ',', .quote = '"', .n_cols = n_cols};
    csv_block b = {0};
    csv_fault fault = {0};
    int64_t rows = 0;

    snprintf(path, sizeof path, "/tmp/t_csv_block-%d", (int)getpid());
    assert_ok(file_write_all(path, text, strlen(text)));
    assert_ok(source_open(&src, path, NULL));
    csv_block_bytes = block;
    assert_ok(csv_layout_count(&l, NULL));
    csv_block_bytes = CSV_BLOCK;
    *irregular = false;
    for (int64_t i = 0; i < l.n_blocks; i++) {
        csv_block_load(&b, &l, i, &fault);
        *irregular |= b.irregular;
        rows += b.rows;
    }
    if (!*irregular) assert_int_equal(fault.kind, FAULT_NONE);
    csv_block_free(&b);
    csv_layout_free(&l);
    source_close(&src);
    unlink(path);
    return rows;
}

void test_csv_block__regular_quotes_stay_on_the_fast_way(void **state)
{
    static const char text[] = "1,\"a\nb\nc\"\n\"x\"\"y\",2\r\n\"\",\"\"\r\n\"\n\n\n\",\",,\"\nq,"
                               "\"the end of a long field, "
                               "longer than 64 bytes, so that steps meet inside it\"\"\n\"\n";
    (void)state;
    for (int64_t block = 1; block < 150; block++) {
        bool irregular;
        assert_int_equal(count_rows(&irregular, text, 2, block), 5);
        assert_false(irregular);
    }
}

void test_csv_block__irregular_quotes_are_noticed(void **state)
{
    static const char *const texts[] = {"a,5\" b\"\n", "a,b\"\"\n", "\"a\"x,\"b\n\"\n",
                                        "a,\"b\" ,\"\"\n"};
    bool irregular;

    (void)state;
    for (int pad = 0; pad < 130; pad++)
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            char text[200];
            snprintf(text, sizeof text, "%.*s,x\n%s", pad,
                     "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
                     "pppppppppppppppppppppppp"
                     "pppppppppppppppppppppppppppppppppppp",
                     texts[k]);
            count_rows(&irregular, text, 2, CSV_BLOCK);
            assert_true(irregular);
        }
}
