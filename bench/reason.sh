#!/bin/sh
# reason.sh - `make bench-reason [ONLY=requests|latency|stream|wait|million] [STORE_DIR=folder]`: the bars of records through servers.
#
# Against the mock server on loopback: a request of 2 KB, an answer of 1.5 KB.
#   requests   for each second of this process's processors, 256 in flight, stored: 12,000 (aim 20,000), and 1.8 times aiohttp
#              doing the same in turn (aim 3); beside it the floor: the same bytes over sockets, nothing made of them
#   latency    at 1,000 requests/s, from a response's last byte to the next request's first, as the server sees it: p99 at most 1 ms
#   stream     events of a stream: 2 us of processor time each; as many to a packet as come, and one to a packet
#   wait       share of time that places of a server are empty while work remains: below 0.5 %
#   million    1,000,000 records, one generate and one evaluate each, final file and all: 3,000/s, below 200 MiB (only by ONLY=million;
#              RECORDS=N for fewer)
set -eu
ONLY=${ONLY:-}
RECORDS=${RECORDS:-1000000}
T=build/release/tabmill
B=build/release/bench/reason
M=build/release/tests/mock/mock_server
make -s $B $T $M
dir=$(mktemp -d ${STORE_DIR:+-p "$STORE_DIR"})
mock=
stop() {
    if [ -n "$mock" ]; then
        kill "$mock" 2>/dev/null || true
        wait "$mock" 2>/dev/null || true
    fi
    mock=
}
trap 'stop; rm -rf "$dir"' EXIT
start() { # mock's options
    stop
    rm -f "$dir/url"
    $M --port 0 "$@" >"$dir/url" &
    mock=$!
    while ! [ -s "$dir/url" ]; do sleep .05; done
    url=$(cat "$dir/url")
}
wants() { [ -z "$ONLY" ] || [ "$ONLY" = "$1" ]; }
counts() { python3 -c 'import json, sys, urllib.request as u; print(u.urlopen(sys.argv[1] + "/mock").read().decode().strip())' "$url"; }

venv=build/venv-reason
peer() {
    if [ ! -x $venv/bin/python ]; then
        python3 -m venv $venv >build/venv-reason.log 2>&1 || true
        $venv/bin/pip install -q --retries 2 aiohttp==3.14.5 >>build/venv-reason.log 2>&1 || true
    fi
    if $venv/bin/python -c 'import aiohttp' 2>/dev/null; then $venv/bin/python bench/reason_peer.py "$@"
    else echo "SKIP: no aiohttp to compare with ($(tail -1 build/venv-reason.log))"; fi
}

if wants requests; then
    start --reply-bytes 1250
    for round in 1 2 3; do
        echo "== requests, round $round"
        $B "$url" floor 4 256
        rm -f "$dir"/store*
        $B "$url" whole 5 256 "$dir/store"
        rm -f "$dir"/store*
        peer "$url" 5 256 "$dir/store"
    done
fi
if wants latency; then
    echo "== latency: 100 in flight, answers after 50 to 150 ms; gap_us_p99 is the figure"
    start --reply-bytes 1250 --gaps --latency uniform:.05:.15
    rm -f "$dir"/store*
    $B "$url" paced 10 100 "$dir/store"
    counts
fi
if wants stream; then
    echo "== events as many as come at once"
    start --reply-bytes 1250
    $B "$url" stream 5 256
    echo "== events one at a time, 20 ms apart, 256 streams"
    start --reply-bytes 1250 --token-gap .02
    $B "$url" stream 5 256
    echo "== their floor: the same packets, received and thrown away"
    $B "$url" packets 5 256
fi

records() { # how many
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "{\"problem\": \"Problem %d: what is %d + %d? %s\"}\n", i, i, 7 * i % 1000,
        "Write down every step, and at the end the answer in a box." }' >"$dir/records.jsonl"
}
reason() { # server's options, then --, then ours
    options=
    while [ "$1" != -- ]; do options="$options $1"; shift; done
    shift
    # shellcheck disable=SC2086
    start $options
    rm -rf "$dir"/out*
    python3 - "$T" "$dir" "$url" "$@" <<'END'
import os, resource, subprocess, sys, time
t, d, url, *more = sys.argv[1:]
began = time.perf_counter()
subprocess.run([t, "reason", "--dataset", f"{d}/records.jsonl", "-o", f"{d}/out.jsonl", "--server", url, "-q", "--no-stream", "--max-iterations", "0", *more], check=True)
seconds = time.perf_counter() - began
u = resource.getrusage(resource.RUSAGE_CHILDREN)
n = sum(1 for _ in open(f"{d}/out.jsonl"))
print(f'{{"records": {n}, "seconds": {seconds:.2f}, "records_per_second": {n / seconds:.0f}, "processor": {u.ru_utime + u.ru_stime:.2f}, '
      f'"peak_mib": {u.ru_maxrss / 1024:.0f}}}')
END
    counts
}
if wants wait; then
    echo "== a server of 64 places, 100 ms to 300 ms each, a window of 96; idle_share is the figure"
    records 4000
    reason --good .9 --reply-bytes 1250 --window 64 --latency uniform:.1:.3 -- --batch-size 96
    echo "== the same, the window found out"
    reason --good .9 --reply-bytes 1250 --window 64 --latency uniform:.1:.3 --
fi
if [ "$ONLY" = million ]; then
    echo "== $RECORDS records"
    records "$RECORDS"
    reason --good .9 --reply-bytes 1250 --
fi
