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

# What `make demo` and `make check` install before they build, the same command has to see: here a compiler and libraries that
# are not there until tools/deps.sh has run, in a checkout of one source file.
bare=$TEST_TMP/bare
mkdir -p "$bare/tools" "$bare/src/base"
cp Makefile "$bare"
cp tools/plugins.mk tools/check.sh "$bare/tools"
echo 'int mill_one(void); int mill_one(void) { return 1; }' >"$bare/src/base/one.c"
# shellcheck disable=SC2016
wrap() { printf '#!/bin/sh\n[ -e "%s/installed" ] || exit 1\nPATH=${PATH#*:} exec %s "$@"\n' "$bare" "$1" >"$bare/$1"; }
for tool in gcc pkg-config; do wrap $tool; done
printf '#!/bin/sh\n[ "${1-}" = --list ] || touch installed\n' >"$bare/tools/deps.sh"
printf '#!/bin/sh\n' >"$bare/tools/arrow.sh"
printf '#!/bin/sh\nls build/*/libtabmill.so\n' >"$bare/tools/demo.sh"
chmod +x "$bare"/gcc "$bare"/pkg-config "$bare"/tools/*.sh
got=$(cd "$bare" && env -u MAKEFLAGS -u MAKELEVEL -u ONEDNN PATH="$bare:$PATH" make -s demo MPICC= 2>&1)
case $got in
*build/release/libtabmill.so) echo "ok a bare machine is built on by one command" ;;
*) echo "FAIL a bare machine: $got" ;;
esac
