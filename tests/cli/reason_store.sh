#!/bin/bash
# reason_store.sh - several machines and one PostgreSQL: each has a folder of its own here, and runs the same command; they come and go.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
. "$ROOT/tests/lib/postgres.sh"
trap 'end_mocks; end_postgres' EXIT
: >out
: >err
for _ in 1 2 3 4 5; do # the port may be another's by then
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start_postgres 127.0.0.1 "$port" && break
done
store="postgresql://tester@127.0.0.1:$port/postgres"

python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(200):
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {3 * i}?", "answer": str(4 * i)}) + "\n")
END
serve A
serve slow --latency 0.15 --log "$PWD/asked"
serve slower --latency 0.5 --log "$PWD/asked"
"$T" reason --dataset d.jsonl -o one.jsonl --server "$A" -q 2>err || cat err
mkdir a b c
machine() { # FOLDER OPTIONS...: in the background
    (cd "$1" && shift && exec "$T" reason --dataset ../d.jsonl --batch-size 8 "$@" >out 2>err) &
}

# ---- three machines; the second has its store's host and port from elsewhere ----
machine a -o f.jsonl --server "$slow" --store "$store"
us=($!)
machine b -o f.jsonl --server "$slow" --store postgresql://tester@/postgres --master-addr 127.0.0.1 --master-port "$port"
us+=($!)
machine c -o f.jsonl --server "$slow" --store "$store" --num-nodes 3 --node-rank 2
us+=($!)
for i in 0 1 2; do
    wait "${us[$i]}"
    verdict "machine $i" $? "$(tail -n 1 [abc]/err)"
done
holds one_final_file test "$(find a b c -name f.jsonl | wc -l)" = 1
same three_machines_bytes one.jsonl "$(find a b c -name f.jsonl)"
holds two_leave_it_to_another test "$(grep -l "another machine writes the final file" a/err b/err c/err | wc -l)" = 2
stored=$(python3 -c 'import json; print(sum(s["responses"] for s in json.load(open("one.jsonl.run/manifest.json"))["stages"].values()))')
holds nothing_asked_twice test "$(wc -l <asked)" = "$stored"
holds all_worked python3 -c '
import json
done = [json.loads(open(m + "/f.jsonl.run/metrics.jsonl").readlines()[-1])["rows"] for m in "abc"]
assert sum(done) == int("'"$stored"'") and min(done) > 0, done'
expect status 0 "" "$T" reason status c/f.jsonl
says status_of_all "200 of 200 chains"
expect export 0 "200 chains" "$T" reason export a/f.jsonl -o export.jsonl
same export_bytes one.jsonl export.jsonl

# ---- one is asked to leave in the middle, one comes late ----
: >asked
machine a -o g.jsonl --server "$slower" --store "$store"
first=$!
answers() { [ "$(wc -l <asked)" -gt 20 ]; }
wait_until answers
machine b -o g.jsonl --server "$slow" --store "$store" --resume
second=$!
kill -INT $first
wait $first
verdict leaves $(($? != 130)) "$(tail -1 a/err)"
wait $second
verdict stays $? "$(tail -1 b/err)"
same coming_and_going_bytes one.jsonl b/g.jsonl
holds only_what_was_under_way_is_asked_twice test "$(wc -l <asked)" -le $((stored + 16))
expect another_run 1 "seed" sh -c "cd a && '$T' reason --dataset ../d.jsonl -o g.jsonl --server '$A' --store '$store' --resume --seed 9"

# ---- the database goes away, and then the run is told to end ----
: >asked
machine a -o h.jsonl --server "$slower" --store "$store" --lease-timeout 2
run=$!
wait_until answers
kill -INT "$pg" && wait "$pg"
before=$(wc -l <asked)
more_answers() { [ "$(wc -l <asked)" -ge $((before + 8)) ]; }
wait_until more_answers
kill -INT $run
timeout 60 tail --pid=$run -f /dev/null || kill -KILL $run
wait $run
verdict away_ends $(($? != 1)) "$(tail -1 a/err)"
holds away_says_what_is_lost grep -q "interrupted while the database is away: [0-9]* responses* not written" a/err
start_postgres 127.0.0.1 "$port"
machine b -o h.jsonl --server "$A" --store "$store"
wait $!
verdict away_goes_on $? "$(tail -1 b/err)"
same away_bytes one.jsonl b/h.jsonl

# ---- what cannot be ----
expect no_database 1 "127.0.0.1:1" "$T" reason --dataset d.jsonl -o x.jsonl --server "$A" --store postgresql://tester@127.0.0.1:1/postgres
expect no_such_database 1 "nothing_of_the_kind" "$T" reason --dataset d.jsonl -o x.jsonl --server "$A" \
    --store "postgresql://tester@127.0.0.1:$port/nothing_of_the_kind"
expect no_leases_without_it 2 "--lease-timeout does nothing without --store" "$T" reason --dataset d.jsonl -o x.jsonl --server "$A" --lease-timeout 9
expect no_store_of_that_kind 2 "postgresql://... is meant" "$T" reason --dataset d.jsonl -o x.jsonl --server "$A" --store mysql://x/y
