#!/bin/sh
# deps.sh [--list | --parity] - install the Debian packages that are missing, or say which one command does it.
# `needed` builds the program; `tested` is for `make check`, and each absence there costs tests that say SKIP; so does that of `looked`,
# which `make parity` has for pages.
set -eu
needed="build-essential pkg-config libdnnl-dev libjansson-dev libzstd-dev zlib1g-dev libzip-dev libxxhash-dev \
    libcurl4-openssl-dev libsqlite3-dev libpq-dev libmicrohttpd-dev"
tested="libcmocka-dev python3 python3-venv python3-numpy clang-14 libclang-rt-14-dev clang-tidy-14 clang-format-14 \
    qemu-user shellcheck git libopenmpi-dev openmpi-bin iproute2 procps \
    postgresql"
looked="chromium fonts-dejavu-core"
if [ "${1-}" = --parity ]; then tested="$tested $looked"; fi

has() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }
missing() { for p in "$@"; do has "$p" || printf ' %s' "$p"; done; }

if ! command -v dpkg-query >/dev/null; then
    echo "deps: not a Debian system; needed: $needed; for tests: $tested" >&2
    exit 0
fi
# shellcheck disable=SC2086
need=$(missing $needed) want=$(missing $tested)
if [ "${1-}" = --list ]; then
    echo "packages missing:${need:- none}; for tests:${want:- none}"
    exit 0
fi
[ -n "$need$want" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "deps: run: sudo apt-get install -y$need$want" >&2
    [ -z "$need" ]
    exit
fi
export DEBIAN_FRONTEND=noninteractive
echo "deps: installing$need$want" >&2
apt-get -qq update >&2 || echo "deps: the package lists could not be refreshed" >&2
# shellcheck disable=SC2086
if [ -n "$need" ]; then apt-get -qq install -y --no-install-recommends $need >&2; fi
for p in $want; do
    apt-get -qq install -y --no-install-recommends "$p" >&2 || echo "deps: $p is not to be had; its tests skip" >&2
done
