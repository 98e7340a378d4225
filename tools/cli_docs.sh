#!/bin/sh
# cli_docs.sh TABMILL [PAGE] - print docs/cli.md with its option blocks as the command prints them: a block begins behind the line
# `$ tabmill X -h` and ends at the closing fence.  `tools/cli_docs.sh build/release/tabmill >new && mv new docs/cli.md` renews it.
set -eu
awk -v tabmill="$1" '
    /^```$/ { inside = 0 }
    !inside
    /^\$ tabmill ([a-z-]+ )*-h$/ { call = tabmill substr($0, length("$ tabmill "))
                                  while ((call | getline line) > 0) print line
                                  close(call); inside = 1 }' "${2-docs/cli.md}"
