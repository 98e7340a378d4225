#!/bin/bash
# documented.sh - the commands that README.md, docs/cli.md, docs/train.md and docs/prior.md show are run as they stand there, one page
# after the other from top to bottom, each in a folder of its own; fewer data sets, epochs and seconds.  What needs two hosts is run by
# multi_gpu.sh, with those of the pages on ranks.
. tests/lib/cli.sh
mkdir bin && ln -s "$TABMILL" bin/tabmill
export PATH=$PWD/bin:$PATH

# A table with the columns that the pages name, arrays, and programs of the user's.
prepare() {
    mkdir -p build/release && ln -s "$TABMILL" build/release/tabmill && ln -s "$ROOT/examples" examples
    awk -F, 'NR == 1 { print $0 ",education,y"; next } { print $0 "," (NR % 3 ? "school" : "college") "," NR % 2 }' \
        "$PENGUINS" | tr -d '\r' >data.csv
    head -30 data.csv >new.csv
    tabmill generate -i data.csv --columns bill_length_mm,body_mass_g,y -m independent -n 200 -o arrays.npz -q
    printf 'import sys\n' >train.py
    printf '#!/bin/sh\n' >program
    chmod +x program
}

shorter() {
    sed 's/100000/20/; s/200000/40/; s/-e 100\b/-e 2/; s/--interval 5/--interval 1/; s/--duration 3600/--duration 1/
         s/^tabmill bench scaling/& --repeats 2/; /node0/d'
}

page() { # PAGE: its blocks, without those that begin with $
    awk '/^```/ { inside = !inside; next } inside' "$ROOT/$1" | grep -E '^(build/release/)?tabmill [a-z]' | grep -v COMMAND
}

run() { # PAGE LEAST: the lines of stdin, of which there are so many
    local n=0
    mkdir "${1//\//_}" && cd "${1//\//_}" || exit 1
    prepare
    while read -r line; do
        expect "$1: $line" 0 "*" bash -o pipefail -c "$line"
        n=$((n + 1))
    done < <(shorter)
    holds "$1 shows commands" test "$n" -ge "$2"
    cd .. || exit 1
}
page README.md | run README.md 3
grep -oE '`tabmill (generate|prior|train) [^`]*`' "$ROOT/README.md" | tr -d '`' | run README.md_text 3
for p in cli:20 train:2 prior:3; do page "docs/${p%:*}.md" | run "docs/${p%:*}.md" "${p#*:}"; done
