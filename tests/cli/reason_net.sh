#!/bin/bash
# reason_net.sh - two machines and one PostgreSQL, and the wire to one of them is cut: two network namespaces, each with a server of its own.
# The other machine takes its leases over and finishes; when the wire is mended what the lost one still has is dropped.  Needs root, ip, unshare.
if [ "${REASON_NET-}" != inside ]; then # what is cut must be a network of our own
    [ "$(id -u)" = 0 ] || { echo "SKIP: needs root"; exit 0; }
    command -v ip >/dev/null || { echo "SKIP: ip is absent (iproute2)"; exit 0; }
    unshare -n true 2>/dev/null || { echo "SKIP: no network namespaces here"; exit 0; }
    REASON_NET=inside exec unshare -n "$0"
fi
. tests/lib/cli.sh
T=$TABMILL
case $TEST_BUILD in /*) MOCK=$TEST_BUILD ;; *) MOCK=$ROOT/$TEST_BUILD ;; esac
MOCK=$MOCK/tests/mock/mock_server
[ -x "$MOCK" ] || { echo "FAIL mock_server: it is not built"; exit 1; }
bin=$(dirname "$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -1)")
[ -x "$bin/initdb" ] || { echo "SKIP: there is no PostgreSQL (Debian's package postgresql)"; exit 0; }
id postgres >/dev/null 2>&1 || { echo "SKIP: there is no user postgres"; exit 0; }
as=(setpriv --reuid=postgres --regid=postgres --clear-groups) # initdb and postgres refuse to be root
db=$(mktemp -d /tmp/t_net_XXXXXX)
chown postgres "$db"
ours=() base=
leave() {
    kill -KILL "${ours[@]}" 2>/dev/null
    [ -z "$base" ] || { kill -INT "$base" && wait "$base"; } 2>/dev/null
    rm -rf "$db"
}
trap leave EXIT
same() { if cmp -s "$2" "$3"; then verdict "$1" 0; else verdict "$1" 1 "$2 and $3 differ"; fi; }
: >out
: >err

# ---- a wire: 10.78.0.1 is here, 10.78.0.2 the other machine ----
unshare -n sleep 300 &
far=$!
ours+=("$far")
for _ in $(seq 100); do [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.02; done
[ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ] || { echo "SKIP: no network namespaces here"; exit 0; }
there() { nsenter -t $far -n "$@"; }
ip link add wire type veth peer name wire netns $far 2>err || { echo "SKIP: no veth here"; exit 0; }
ip addr add 10.78.0.1/24 dev wire
there ip addr add 10.78.0.2/24 dev wire
for where in "" there; do
    $where ip link set lo up
    $where ip link set wire up
done

(cd / && "${as[@]}" "$bin/initdb" -D "$db/data" -A trust -U tester -N -E UTF8 --locale=C) >init 2>&1 ||
    { echo "FAIL initdb: $(tail -1 init)"; exit 1; }
echo "host all all 10.78.0.0/24 trust" >>"$db/data/pg_hba.conf"
(cd / && exec "${as[@]}" "$bin/postgres" -D "$db/data" -k "$db" -h 10.78.0.1 -p 5432 -c fsync=off -c shared_buffers=16MB) >log 2>&1 &
base=$!
for _ in $(seq 2000); do "$bin/pg_isready" -q -h 10.78.0.1 && break; kill -0 $base 2>/dev/null || break; sleep 0.05; done

python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(150):
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {3 * i}?", "answer": str(4 * i)}) + "\n")
END
serve() { # FILE COMMAND...: of a server, in the background; its URL in FILE
    local to=$1
    shift
    "$@" >"$to" 2>/dev/null &
    ours+=($!)
    for _ in $(seq 5000); do [ -s "$to" ] && break; sleep 0.02; done
}
serve near.url "$MOCK" --port 0 --latency 0.05
serve far.url nsenter -t $far -n "$MOCK" --port 0 --latency 0.05 --log "$PWD/asked"
"$T" reason --dataset d.jsonl -o one.jsonl --server "$(cat near.url)" -q 2>err || cat err
mkdir a b
: >asked
run=("$T" reason --dataset ../d.jsonl -o f.jsonl --batch-size 8 --store postgresql://tester@10.78.0.1/postgres --lease-timeout 2)
(cd b && exec nsenter -t $far -n "${run[@]}" --server "$(cat ../far.url)" >out 2>err) &
lost=$!
for _ in $(seq 5000); do [ "$(wc -l <asked)" -gt 40 ] && break; sleep 0.02; done

# ---- cut: what it held is taken over, and the run ends without it ----
ip link set wire down
expect the_other_finishes 0 "150 in = " sh -c 'cd a && exec timeout -s INT 90 "$@"' sh "${run[@]}" --server "$(cat near.url)" --resume
same bytes one.jsonl a/f.jsonl
holds lost_works_on kill -0 $lost
for _ in $(seq 150); do grep -q "the database is away" b/err && break; sleep 0.1; done # TCP believes in it for 10 s
holds lost_says_so grep -q "the database is away" b/err
# ---- mended: it sees that all is done ----
ip link set wire up
for _ in $(seq 300); do kill -0 $lost 2>/dev/null || break; sleep 0.1; done
if kill -0 $lost 2>/dev/null; then verdict lost_ends 1 "it still runs: $(tail -2 b/err)"; else
    wait $lost
    verdict lost_ends $? "$(tail -2 b/err)"
fi
# The other's claim to the final file may have run out by now: then it is written here too.
if [ -e b/f.jsonl ]; then same lost_writes_the_same one.jsonl b/f.jsonl; else
    holds lost_leaves_the_file_to_the_other grep -q "another machine writes the final file" b/err
fi
expect export 0 "150 chains" sh -c 'cd a && exec "$@"' sh "$T" reason export f.jsonl -o export.jsonl
same late_rows_change_nothing one.jsonl a/export.jsonl
