#!/bin/bash
# reason_kill.sh - a run is killed at each call that changes a file of it: write, fsync, ftruncate, rename, unlink of the store (SQLite's file
# and WAL), of the folder's other files and of the final file; before the call, after half of its bytes, and after it.  --resume then ends in the
# same bytes, and asks for nothing that was stored.  `make check` takes a seeded sample, the full tests every call, three ways each.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
case $TEST_BUILD in *asan* | *tsan*) echo "SKIP: sanitizers want to be loaded before anything else"; exit 0 ;; esac
"${CC:-gcc}" -D_GNU_SOURCE -shared -fPIC -o kill.so "$ROOT/tests/cli/reason_kill.c" -ldl 2>err || { echo "SKIP: no compiler for the library that kills"; exit 0; }
# The run that is killed has a server of its own, so that requests are counted apart.
serve first --latency 0.02
serve second --latency 0.02 --log asked
: >out
: >err
python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(12):
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {3 * i}?", "answer": str(4 * i)}) + "\n")
END
run() { "$T" reason --dataset d.jsonl -o k.jsonl --batch-size 3 --max-iterations 1 -q "$@"; }
hooked() { KILL_UNDER=/k.jsonl LD_PRELOAD=./kill.so run --server "$first"; }
durable() { # responses in the store, counted in a copy: looking would mend it
    rm -rf seen
    [ -e k.jsonl.run/results.sqlite ] || { echo 0; return; }
    cp -r k.jsonl.run seen
    python3 - <<'END'
import sqlite3
db = sqlite3.connect("seen/results.sqlite")
is_there = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'result'").fetchone()[0]
print(db.execute("SELECT count(*) FROM result").fetchone()[0] if is_there else 0)
END
}
KILL_COUNT=count hooked 2>err
verdict undisturbed $? "$(tail -1 err)"
mv k.jsonl want.jsonl
calls=$(cat count)
once=$(durable)
holds calls_are_seen test "$calls" -ge 20
holds responses_are_seen test "$once" -ge 24

killed=0 late=0 bad=0
one() { # CALL HOW
    local before kept paid
    rm -rf k.jsonl k.jsonl.run
    before=$(wc -l <asked)
    KILL_AT=$1 KILL_HOW=$2 hooked >out 2>err
    case $? in
        137) killed=$((killed + 1)) ;;
        0) late=$((late + 1)) ;; # groups are made by the clock: this one had fewer calls
        *) verdict "call $1 $2" 1 "neither killed nor done"; bad=1; return ;;
    esac
    kept=$(durable)
    run --resume --server "$second" >out 2>err || { verdict "call $1 $2" 1 "cannot go on"; bad=1; return; }
    cmp -s k.jsonl want.jsonl || { verdict "call $1 $2" 1 "other bytes"; bad=1; return; }
    # What is in the store is not asked for again; the rest of one pass is.
    paid=$(($(wc -l <asked) - before))
    [ $((kept + paid)) = "$once" ] || { verdict "call $1 $2" 1 "$paid requests, $kept of $once were kept"; bad=1; }
}
if [ "${TEST_FULL:-0}" = 1 ]; then
    tries=$((3 * calls))
    for n in $(seq "$calls"); do for how in before half after; do one "$n" $how; done; done
else
    RANDOM=7 tries=12
    for n in $(seq $tries); do
        set -- before half after
        shift $((RANDOM % 3))
        one $((RANDOM % calls + 1)) "$1"
    done
fi
verdict "killed at any call it goes on to the same bytes" $bad
holds most_were_killed test "$killed" -ge $((tries / 2))
echo "# $killed kills in $tries runs of $calls calls, $late too late"
