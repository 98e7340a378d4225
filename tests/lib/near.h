/* near.h - two doubles within a tolerance; cmocka compares floats only. */
#ifndef TESTS_LIB_NEAR_H
#define TESTS_LIB_NEAR_H

#include "lib/test.h"

#include <math.h>

#define assert_near(a, b, tolerance)                                                     \
    do {                                                                                 \
        const double a_ = (a), b_ = (b);                                                 \
        if (!(fabs(a_ - b_) <= (tolerance)))                                             \
            fail_msg("%s is %.17g, not %.17g (+- %g)", #a, a_, b_, (double)(tolerance)); \
    } while (0)

#endif
