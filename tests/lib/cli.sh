# cli.sh - sourced by the scripts of tests/cli: run the command, look at status and words.
# shellcheck shell=bash
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
set -u
ROOT=$(pwd)
PENGUINS=$ROOT/examples/penguins.csv
cd "$TEST_TMP" || exit 1
export TMPDIR=$TEST_TMP

verdict() { # name, 0 or not, [why]
    if [ "$2" = 0 ]; then echo "ok $1"; else
        echo "FAIL $1: ${3-}"
        sed 's/^/    out: /' out | head -5
        sed 's/^/    err: /' err | head -5
    fi
}

# expect NAME STATUS WORDS-ON-STDERR COMMAND...   ("" for words: stderr must be empty; "*": whatever)
expect() {
    local name=$1 status=$2 words=$3 got
    shift 3
    "$@" >out 2>err </dev/null
    got=$?
    if [ "$got" != "$status" ]; then verdict "$name" 1 "status $got, not $status"
    elif [ "$words" = "*" ]; then verdict "$name" 0
    elif [ -z "$words" ]; then verdict "$name" "$(wc -c <err)" "stderr is not empty"
    elif grep -qF -e "$words" err; then verdict "$name" 0
    else verdict "$name" 1 "stderr lacks: $words"; fi
}

# Further facts about what the last command left.
holds() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then verdict "$name" 0; else verdict "$name" 1 "$*"; fi
}

says() { # NAME WORDS: the last command's stdout
    if grep -qF -e "$2" out; then verdict "$1" 0; else verdict "$1" 1 "stdout lacks: $2"; fi
}

# Waits for a fact, at most two minutes: how soon it comes is the machine's affair.
wait_until() { # COMMAND...
    local end=$((SECONDS + 120))
    until "$@" 2>/dev/null; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# Facts of real time, which a busy machine may miss now and then and a fault always: the verdicts of the first of five tries without
# a FAIL, or of the last one.
in_some_try() { # FUNCTION
    for _ in 1 2 3 4 5; do
        "$1" >tried
        grep -q '^FAIL' tried || break
        sleep 1
    done
    cat tried
}
