#!/bin/sh
# install.sh BUILD VERSION DESTDIR PREFIX - command, libraries, header, pkg-config file, completion.
set -eu
build=$1 version=$2 prefix=$4
to=$3$4
major=${version%%.*}

install -d "$to/bin" "$to/lib/pkgconfig" "$to/include" "$to/share/bash-completion/completions"
if [ -e "$build/tabmill" ]; then
    install "$build/tabmill" "$to/bin/tabmill"
    ln -sf tabmill "$to/bin/genesis"       # `genesis generate ...`
    ln -sf tabmill "$to/bin/generate_data" # `generate_data --n_datasets ...`
fi
install -m 644 "$build/libtabmill.a" "$to/lib/"
install "$build/libtabmill.so.$version" "$to/lib/"
if [ -e "$build/libtabmill_mpi.so" ]; then install "$build/libtabmill_mpi.so" "$to/lib/"; fi # opened at run time
if [ -e "$build/libtabmill_parquet.so" ]; then
    install "$build/libtabmill_parquet.so" "$to/lib/"
    install -d "$to/lib/tabmill" # Arrow's libraries, found from there
    for so in build/arrow/pyarrow/libarrow.so.* build/arrow/pyarrow/libparquet.so.*; do install -m 644 "$so" "$to/lib/tabmill/"; done
fi
ln -sf "libtabmill.so.$version" "$to/lib/libtabmill.so.$major"
ln -sf "libtabmill.so.$major" "$to/lib/libtabmill.so"
if [ -e include/tabmill.h ]; then install -m 644 include/tabmill.h "$to/include/"; fi
if [ -e tools/completion.bash ]; then
    install -m 644 tools/completion.bash "$to/share/bash-completion/completions/tabmill"
    ln -sf tabmill "$to/share/bash-completion/completions/genesis"
fi
private=$(sed -n 's/.*\(-ljansson.*\)/\1/p' "$build/flags")
cat >"$to/lib/pkgconfig/tabmill.pc" <<END
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: tabmill
Description: synthesizers for tables
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltabmill
Libs.private: $private
END
