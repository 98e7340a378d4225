#!/bin/bash
# reason_serve.sh - runs that start their servers: whatever happens to those, the final file is that of a quiet run, and none is left.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
export TABMILL_NVML=/nonexistent/libnvidia-ml.so.1
HERE=$PWD
: >out
none_left() { # of what has our folder in its command line; a moment for what SIGKILL is still ending
    wait_until sh -c "! pgrep -f '^$MOCK.*$HERE/asked' >/dev/null"
    verdict "$1" "$(pgrep -cf "$HERE/asked")" "$(pgrep -af "$HERE/asked")"
}
# A server whose first life has the options in $FIRST, and the later ones have not.
cat >first.sh <<'SH'
#!/bin/sh
# first.sh MARK PORT MOCK...: each mark is a server's
mark=$1 port=$2
shift 2
if ! (set -C; : >"$mark") 2>/dev/null; then exec "$@" --port "$port"; fi
exec "$@" --port "$port" ${FIRST:+--fault "$FIRST"}
SH
chmod +x first.sh
python3 - <<'PY'
import json
with open("d.jsonl", "w") as f:
    for i in range(40):
        print(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {3 * i}?", "answer": str(4 * i)}), file=f)
PY
run() { # OUT OPTIONS...
    local to=$1
    shift
    rm -rf "$to" "$to.run"
    "$T" reason --dataset d.jsonl -o "$to" --cleanup-delay 0.5 "$@"
}
quiet="$MOCK --port {port} --log $HERE/asked"
slow="$quiet --latency 0.05"

expect one_server 0 "40 in = " run one.jsonl --serve "$quiet" --num-gpus 1
none_left one_server_ended
expect three_servers 0 "40 in = " run three.jsonl --serve "$quiet" --world-size 3
same three_servers_bytes one.jsonl three.jsonl
holds logs_of_all test -s three.jsonl.run/logs/server-2.log
expect sockets 0 "40 in = " run socket.jsonl --serve "$MOCK --socket {socket} --log $HERE/asked" --num-gpus 2
same sockets_bytes one.jsonl socket.jsonl
holds sockets_are_gone test ! -e socket.jsonl.run/server-0.sock

# ---- a server crashes, resets, hangs ----
for fault in "nth=7 crash" "nth=9 reset-body" "path=/metrics once crash"; do
    rm -f mark-*
    # One of the two: a record that is there when both die is taken for their killer.  A few at a time, or the other one may have had all
    # of them before this one is ready.
    FIRST=$fault expect "first life: $fault" 0 "40 in = " run crash.jsonl --num-gpus 2 --batch-size 4 \
        --serve "$HERE/first.sh $HERE/mark-one {port} $slow"
    same "first life: $fault, bytes" one.jsonl crash.jsonl
    case $fault in *crash) holds "first life: $fault, started again" grep -q "ended with status 9; .*it is started again" err ;; esac
done
rm -f mark-*
FIRST="nth=5 hang" expect hangs 0 "40 in = " run hang.jsonl --num-gpus 2 --first-byte-timeout 1 \
    --serve "$HERE/first.sh $HERE/mark-{gpu} {port} $quiet"
same hangs_bytes one.jsonl hang.jsonl
none_left hangs_ended

# ---- how long that is, and how long the pause before the next life, as the flags say ----
rm -f err
serve hung --latency 0.2 --log "$HERE/asked"
(while ! grep -q "is ready" err 2>/dev/null; do sleep 0.02; done; kill -STOP "$mock") &
expect hang_timeout 1 "is down: it answers no more" timeout -s INT 20 "$T" reason --dataset d.jsonl -o hung.jsonl --server "$hung" \
    --batch-size 2 --hang-timeout 0.5 --start-timeout 1
kill -KILL "$mock"
rm -f mark-*
FIRST="nth=7 crash" expect restart_pause 0 "it is started again in 0.25 s (1 of 5)" run pause.jsonl --num-gpus 1 --restart-pause 0.25 \
    --serve "$HERE/first.sh $HERE/mark-{gpu} {port} $quiet"
same restart_pause_bytes one.jsonl pause.jsonl

# One of two is stopped in the middle; the other does its work, and the end does not wait for it.
run stop.jsonl --serve "$slow" --num-gpus 2 --batch-size 2 --first-byte-timeout 1 >out 2>err &
us=$!
two_serve() { [ "$(pgrep -cf "^$MOCK.*$HERE/asked")" -ge 2 ] && grep -q "server 1 is ready" err; }
wait_until two_serve
pkill -STOP -of "^$MOCK.*$HERE/asked"
wait $us
verdict stopped_server $? "$(tail -2 err)"
same stopped_server_bytes one.jsonl stop.jsonl
none_left stopped_server_ended

# ---- a record that kills every server that it comes to ----
expect poison 0 "1 failed" run poison.jsonl --num-gpus 2 --serve "$quiet --fault 'text=What%20is%2013%20 crash'"
holds poison_is_named grep -q "failed 1: killed 2 servers" err
holds poison_alone sh -c 'test "$(wc -l <poison.jsonl)" = 39 && grep -c "" poison.jsonl.run/failed.jsonl | grep -qx 1 && grep -q "\"r13\"" poison.jsonl.run/failed.jsonl'
same poison_spares_others <(grep -v '"id":"r13"' one.jsonl | sed 's/"record":[0-9]*//') <(sed 's/"record":[0-9]*//' poison.jsonl)

# ---- servers that cannot be ----
expect crash_loop 1 "it ended with status 3; its last words: no memory" run loop.jsonl --num-gpus 1 --max-restarts 1 \
    --serve "sh -c 'echo no memory; exit 3' {port}"
expect no_program 1 "there is no such program" run loop.jsonl --num-gpus 1 --serve "/nonexistent/vllm {port}"
expect never_ready 1 "it was not ready after 0.5 s" run loop.jsonl --num-gpus 1 --start-timeout 0.5 --serve "sleep 60{port}"
expect no_command 1 "neither a preset" run loop.jsonl --num-gpus 1 --serve "serve me"

# ---- we are killed, or asked to end ----
: >asked
run killed.jsonl --serve "$slow" --num-gpus 2 --batch-size 2 >out 2>err &
us=$!
is_going() { [ "$(wc -l <asked)" -gt 20 ] && [ -s killed.jsonl.run/results.sqlite ]; }
wait_until is_going
sleep 0.5
pkill -KILL -P $us # of this shell's own
wait $us
none_left killed_and_none_left
expect killed_goes_on 0 "40 in = " "$T" reason --dataset d.jsonl -o killed.jsonl --serve "$quiet" --num-gpus 2 --resume
same killed_bytes one.jsonl killed.jsonl
rm err # what the run before said
"$T" reason --dataset d.jsonl -o int.jsonl --serve "$quiet --latency 0.5" --num-gpus 2 --batch-size 1 >out 2>err </dev/null &
us=$!
wait_until grep -q "is ready" err
kill -INT $us
wait $us
verdict interrupted $(($? != 130)) "status $?"
none_left interrupted_and_none_left

# ---- a server for each GPU ----
if ${CC:-gcc} -shared -fPIC -o fake_nvml.so "$ROOT/tests/cli/fake_nvml.c" 2>err; then
    export TABMILL_NVML=$PWD/fake_nvml.so
    expect gpus 0 "40 in = " run gpu.jsonl --serve "sh -c 'echo \$1 \$CUDA_VISIBLE_DEVICES >>gpus; exec $quiet' sh {gpu}"
    same gpus_bytes one.jsonl gpu.jsonl
    holds gpus_by_uuid sh -c 'test "$(sort -u gpus | wc -l)" = 2 && ! grep -qv "^\(GPU-[^ ]*\) \1$" gpus'
    CUDA_VISIBLE_DEVICES=1 expect gpus_visible 0 "40 in = " run gpu1.jsonl --serve "$quiet"
    holds gpus_visible_one test ! -e gpu1.jsonl.run/logs/server-1.log
    expect gpus_too_few 1 "3 servers are to be started, one on each GPU, but 2 GPUs are visible" run gpu3.jsonl --serve "$quiet" --num-gpus 3
else
    echo "SKIP: no compiler for the library that pretends"
fi
