#!/bin/sh
# venv.sh - the official Python packages, pinned, in build/venv; for `make parity` and `make bench-synth`.
# torch goes first and alone: the others would pull another build of it.  A package that cannot be had is named with pip's reason and is
# tried again next time; the others are there.  Ends non-zero if one is missing: of the packages named as arguments, or of all.
set -eu
cd "$(dirname "$0")/.."
venv=build/venv
packages="torch==2.13.0 numpy ctgan==0.12.1 sdmetrics==0.32.0 scikit-learn tensorboard playwright mostlyai-qa==1.10.11 tabicl==2.2.0 xgboost-cpu==3.2.0"
older=tabicl-0.1.4 # beside it, for tests/parity and bench/prior: its name is the same

[ "$(cat $venv/installed 2>/dev/null)" != "$packages" ] || exit 0
mkdir -p build
if [ "$(cat $venv/wanted 2>/dev/null)" != "$packages" ]; then
    if ! python3 -m venv --clear $venv >build/venv.log 2>&1; then
        echo "venv: python3 -m venv failed: $(tail -1 build/venv.log)" >&2
        exit 1
    fi
    echo "$packages" >$venv/wanted
fi
missing=
: >build/venv.log
for package in $packages; do
    echo "venv: installing $package" >&2
    $venv/bin/pip install -q --retries 2 "$package" >build/venv.last 2>&1 && continue
    cat build/venv.last >>build/venv.log
    echo "venv: $package cannot be had: $(grep -m1 '^ERROR' build/venv.last || tail -1 build/venv.last)" >&2
    missing="$missing $package"
done
if [ ! -d $venv/$older ] && ! $venv/bin/pip install -q --retries 2 --no-deps --target $venv/$older "${older%-*}==${older##*-}" >>build/venv.log 2>&1; then
    rm -rf "${venv:?}/$older"
    echo "venv: $older cannot be had: $(tail -1 build/venv.log)" >&2
    missing="$missing $older"
fi
[ -n "$missing" ] || echo "$packages" >$venv/installed
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $packages
for package in "$@"; do
    case "$missing " in *" $package"[\ =]*) exit 1 ;; esac
done
