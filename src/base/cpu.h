/*
 * cpu.h - what the processor can do, and what we may take of it.
 *
 * Levels: V3 = AVX2+FMA+BMI (x86-64-v3), V4 = AVX-512 F/BW/DQ/VL/CD (x86-64-v4).  BF16 products
 * (AVX512-BF16) are a property beside V4, not a level of its own.  Found by cpuid and xgetbv (XCR0
 * 0x6, 0xe6). TABMILL_ISA=v3|v4|v4-bf16 caps what is used; asking for more than there is, is an
 * error.
 */
#ifndef MILL_BASE_CPU_H
#define MILL_BASE_CPU_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum { MILL_V3, MILL_V4, MILL_N_LEVEL } mill_level;

mill_err mill_cpu_init(void);    /* idempotent; MILL_EDEVICE below v3 or for a bad TABMILL_ISA */
mill_level mill_cpu_level(void); /* after mill_cpu_init */
bool mill_cpu_has_bf16(void);
const char *mill_cpu_level_name(void); /* "v3", "v4", "v4-bf16" */
const char *mill_cpu_model(void);      /* "AMD EPYC", from cpuid */
int mill_cpu_count(void);              /* what affinity and cgroup quota allow, >= 1 */
int64_t mill_cpu_memory_bytes(void);   /* the least of physical memory and cgroup limit */
int64_t mill_cpu_rss_bytes(void);      /* VmRSS now */
int64_t mill_cpu_peak_rss_bytes(void); /* VmHWM */

double mill_clock(void); /* monotonic seconds */

#endif
