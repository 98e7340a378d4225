/*
 * level.h - names of functions that exist once per processor level (docs/processors.md).
 *
 * A level file (src/<room>/cpu/x.c) is compiled once with MILL_LEVEL=v3 and once with v4; *_bf16.c
 * with v4 alone.
 *
 *     void LEVEL_FN(softmax)(float *y, ...)                  in the level file: softmax_v3, _v4
 *     MILL_LEVEL_DECLARE(void, softmax, (float *y, ...));    in the room's header
 *     static const softmax_fn softmax[MILL_N_LEVEL] = MILL_LEVELS(softmax);
 *                                                            outside, by mill_cpu_level()
 *
 * In a level file all else is static (and always inlined): no symbol that a linker could take from
 * the wrong level.
 */
#ifndef MILL_BASE_LEVEL_H
#define MILL_BASE_LEVEL_H

#define MILL_PASTE_2(a, b) a##_##b
#define MILL_PASTE(a, b)   MILL_PASTE_2(a, b)
#define LEVEL_FN(name)     MILL_PASTE(name, MILL_LEVEL)
#define MILL_LEVELS(name)    \
    {                        \
        name##_v3, name##_v4 \
    } /* the order of mill_level */

#define MILL_LEVEL_DECLARE(type, name, args) \
    type name##_v3 args;                     \
    type name##_v4 args

#endif
