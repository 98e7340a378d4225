#!/bin/bash
# reason_net.sh - two machines and one PostgreSQL, and the wire to one of them is cut: two network namespaces, each with a server of its own.
# The other machine takes its leases over and finishes; when the wire is mended what the lost one still has is dropped.  Needs root, ip, unshare.
# shellcheck disable=SC2154  # serve NAME sets $NAME
if [ "${REASON_NET-}" != inside ]; then # what is cut must be a network of our own
    [ "$(id -u)" = 0 ] || { echo "SKIP: needs root"; exit 0; }
    command -v ip >/dev/null || { echo "SKIP: ip is absent (iproute2)"; exit 0; }
    unshare -n true 2>/dev/null || { echo "SKIP: no network namespaces here"; exit 0; }
    REASON_NET=inside exec unshare -n "$0"
fi
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
. "$ROOT/tests/lib/postgres.sh"
far=
trap 'end_mocks; end_postgres; kill -KILL $far 2>/dev/null' EXIT
: >out
: >err

# ---- a wire: 10.78.0.1 is here, 10.78.0.2 the other machine ----
unshare -n sleep 300 &
far=$!
is_apart() { [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
wait_until is_apart
there() { nsenter -t $far -n "$@"; }
ip link add wire type veth peer name wire netns $far 2>err || { echo "SKIP: no veth here"; exit 0; }
ip addr add 10.78.0.1/24 dev wire
there ip addr add 10.78.0.2/24 dev wire
for where in "" there; do
    $where ip link set lo up
    $where ip link set wire up
done

echo "host all all 10.78.0.0/24 trust" >>"$pg_folder/data/pg_hba.conf"
start_postgres 10.78.0.1 5432 || { echo "FAIL postgres: $(tail -1 log)"; exit 1; }

python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(150):
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {3 * i}?", "answer": str(4 * i)}) + "\n")
END
serve near --latency 0.05
serve_by distant nsenter -t $far -n "$MOCK" --latency 0.05 --log "$PWD/asked"
"$T" reason --dataset d.jsonl -o one.jsonl --server "$near" -q 2>err || cat err
mkdir a b
: >asked
run=("$T" reason --dataset ../d.jsonl -o f.jsonl --batch-size 8 --store postgresql://tester@10.78.0.1/postgres --lease-timeout 2)
(cd b && exec nsenter -t $far -n "${run[@]}" --server "$distant" >out 2>err) &
lost=$!
asks() { [ "$(wc -l <asked)" -gt 40 ]; }
wait_until asks

# ---- cut: what it held is taken over, and the run ends without it ----
ip link set wire down
expect the_other_finishes 0 "150 in = " sh -c 'cd a && exec timeout -s INT 90 "$@"' sh "${run[@]}" --server "$near" --resume
same bytes one.jsonl a/f.jsonl
holds lost_works_on kill -0 $lost
holds lost_says_so wait_until grep -q "the database is away" b/err # TCP believes in it for 10 s
# ---- mended: it sees that all is done ----
ip link set wire up
is_gone() { ! kill -0 $lost; }
if ! wait_until is_gone; then verdict lost_ends 1 "it still runs: $(tail -2 b/err)"; else
    wait $lost
    verdict lost_ends $? "$(tail -2 b/err)"
fi
# The other's claim to the final file may have run out by now: then it is written here too.
if [ -e b/f.jsonl ]; then same lost_writes_the_same one.jsonl b/f.jsonl; else
    holds lost_leaves_the_file_to_the_other grep -q "another machine writes the final file" b/err
fi
expect export 0 "150 chains" sh -c 'cd a && exec "$@"' sh "$T" reason export f.jsonl -o export.jsonl
same late_rows_change_nothing one.jsonl a/export.jsonl
