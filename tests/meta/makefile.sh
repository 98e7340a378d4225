#!/bin/sh
# The Makefile can be read whole (150 lines); the scripts are clean; `make config` answers; the library builds without oneDNN.
if [ "$(wc -l <Makefile)" -le 150 ]; then echo "ok Makefile has $(wc -l <Makefile) lines"; else echo "FAIL Makefile is too long"; fi
if make -s config | grep -q '^oneDNN [01]'; then echo "ok make config"; else echo "FAIL make config"; fi
if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2046
    if shellcheck $(git ls-files '*.sh') .ci/run tools/gen_tests; then echo "ok shellcheck"; else echo "FAIL shellcheck"; fi
else
    echo "SKIP: shellcheck is absent"
fi
if [ "$TEST_FULL" = 1 ]; then
    if ONEDNN=0 make -s all >/dev/null; then echo "ok ONEDNN=0 builds"; else echo "FAIL ONEDNN=0"; fi
    if ldd build/release-onednn0/libtabmill.so | grep dnnl; then echo "FAIL ONEDNN=0 links oneDNN"; fi
fi
