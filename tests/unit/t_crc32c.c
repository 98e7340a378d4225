/* t_crc32c.c - the table that serves where SSE4.2 is absent gives what the instruction gives. */
#include "lib/test.h"

#include "base/crc32c.c" /* NOLINT(bugprone-suspicious-include): its statics are tested */

void test_crc32c__table_agrees_with_its_rfc_and_with_the_instruction(void **state)
{
    unsigned char b[300];

    (void)state;
    for (int i = 0; i < 300; i++) b[i] = (unsigned char)(i * 167 + i / 3);
    mill_crc32c(0, b, 1); /* fills the table */
    assert_int_equal(~by_table(~0u, (const unsigned char *)"123456789", 9), 0xe3069283u);
    for (size_t n = 0; n < 290 && table.has_instruction; n++)
        assert_int_equal(by_table(~0u, b + n % 9, n), by_instruction(~0u, b + n % 9, n));
}

void test_crc32c__of_two_parts_joins(void **state)
{
    unsigned char b[300];

    (void)state;
    for (int i = 0; i < 300; i++) b[i] = (unsigned char)(i * 91 + i / 7);
    for (size_t n = 0; n <= 300; n += 13)
        assert_int_equal(mill_crc32c_join(mill_crc32c(0, b, n), mill_crc32c(0, b + n, 300 - n),
                                          (int64_t)(300 - n)),
                         mill_crc32c(0, b, 300));
}
