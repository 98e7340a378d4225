/*
 * crc32c.c - the Castagnoli checksum (RFC 3720, appendix B.4): polynomial 0x1EDC6F41, reflected
 * 0x82F63B78.
 *
 * By SSE4.2's instruction where there is one, else by a table; both give the same.  The running
 * value is what the caller sees, complemented inside: crc(0, "ab") == crc(crc(0, "a"), "b").
 */
#include "base/file.h"

#include <nmmintrin.h>
#include <pthread.h>
#include <string.h>

static struct {
    pthread_once_t once;
    bool has_instruction;
    uint32_t byte[256];
} table = {.once = PTHREAD_ONCE_INIT};

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82F63B78u : 0);
        table.byte[i] = c;
    }
    __builtin_cpu_init();
    table.has_instruction = __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc,
                                                                 const unsigned char *p, size_t n)
{
    uint64_t c = crc;

    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    for (; n; p++, n--) c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}

static uint32_t by_table(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n; p++, n--) crc = crc >> 8 ^ table.byte[(crc ^ *p) & 255];
    return crc;
}

uint32_t mill_crc32c(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&table.once, fill_table);
    return ~(table.has_instruction ? by_instruction : by_table)(~crc, p, n);
}

/*
 * Behind n zero bits a checksum is its register times x^n modulo the polynomial: squares of x^8 are
 * multiplied for the bits of the number of bytes.  Bit 31 is x^0, as the checksum is reflected.
 */
static uint32_t times(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b >> 1 ^ (b & 1 ? 0x82F63B78u : 0);
    }
    return product;
}

uint32_t mill_crc32c_join(uint32_t a, uint32_t b, int64_t n)
{
    uint32_t power = 1u << 23; /* x^8 */

    for (; n > 0; n >>= 1) {
        if (n & 1) a = times(power, a);
        power = times(power, power);
    }
    return a ^ b;
}
