#!/bin/bash
# prior_workers.sh - how many workers there are and what is said of them; the line that tells how far they are.
. tests/lib/cli.sh
T=$TABMILL
: >out
dummy="--prior dummy --max-features 6 --max-seq 64 --max-classes 3"
blocks="$dummy --batch-size 5 --format pt" # 20 units of 100
some=$(($(nproc) < 20 ? $(nproc) : 20))
once() { test "$(grep -c -e "$1" err)" = 1; } # the last command has said so, once

# What a run is of where nothing is said.
expect defaults 0 "10 data sets of mix_scm, 1 worker, at most" "$T" prior -n 10 -o defaults --nproc 1
holds default_name test -e defaults/shard_000000.mill
"$T" prior stats defaults >out
python3 - <<'PY' >out 2>err
import json
import subprocess
import os
s = json.loads(subprocess.run([os.environ["TABMILL"], "prior", "stats", "defaults"], capture_output=True, text=True).stdout)
print(s["rows"]["least"], s["rows"]["most"], s["features"]["least"] >= 1, s["features"]["most"] <= 100, s["classes"]["most"] <= 10)
m = json.load(open("defaults/manifest.json"))["config"]
print(m["prior"], m["max-seq"], m["min-features"], m["max-features"], m["max-classes"], m["compat"], m["binary-half"])
PY
says default_sizes "1024.0 1024.0 True True True"
says default_options "mix_scm 1024 2 100 10 0.1.4 True"

# No GPU: a worker for each core, and a word about it; asked for none: no word.
export TABMILL_NVML=$PWD/absent.so
# shellcheck disable=SC2086
{
expect no_gpu 0 "one worker for each of $(nproc) core" "$T" prior -n 100 -o none $blocks
holds no_gpu_once once "no GPU here"
holds no_gpu_workers grep -q "$some workers\?, at most" err
expect zero_gpus 0 "$some worker" "$T" prior -n 100 -o zero $blocks --num-gpus 0
holds zero_gpus_is_silent test "$(grep -c GPU err)" = 0
holds no_gpu_bytes diff -r -x run none zero
expect no_such_gpu 2 "this machine has 0 that may be used" "$T" prior -n 1 -o x $dummy --num-gpus 1
expect eight_workers 0 "8 workers" "$T" prior -n 100 -o eight $blocks --nproc 8
holds eight_workers_bytes diff -r -x run none eight
expect no_workers 2 "auto, or 1 to 256" "$T" prior -n 1 -o x $dummy --nproc 0
}
if command -v gcc >/dev/null; then # two pretended ones
    gcc -shared -fPIC -o fake.so "$ROOT/tests/cli/fake_nvml.c"
    export TABMILL_NVML=$PWD/fake.so
    # shellcheck disable=SC2086
    {
    expect one_gpu 0 "1 worker, at most" "$T" prior -n 100 -o one $blocks --num-gpus 1
    holds one_gpu_once once "1 worker, one for each GPU asked for; they compute on processor cores, no GPU does"
    expect each_gpu 0 "2 workers, at most" "$T" prior -n 100 -o each $blocks --num-gpus -1
    holds each_gpu_once once "no GPU does"
    }
else
    echo "SKIP: gcc is absent: no GPUs to pretend"
fi

# The line on a terminal: counts that never fall and end at the number, a rate, an ETA; and that the disk is the limit where
# it is, but not where formatting CSV is.
cat >line.py <<'PY'
import os
import pty
import re
import sys
total, command = int(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if not pid:
    os.execv(command[0], command)
text = b""
while True:
    try:
        block = os.read(fd, 65536)
    except OSError:
        break
    if not block:
        break
    text += block
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
lines = [t.decode() for t in re.split(rb"[\r\n]+", text)]
counts = [int(m.group(1)) for t in lines if (m := re.match(r"\w+  (\d+)/%d data sets" % total, t))]
moving = [t for t in lines if re.search(r"/s  .*writing \d+%.*ETA \d+:\d\d", t)]
print("status", status, "rises", counts == sorted(counts) and len(set(counts)) > 3, "ends", counts[-1] == total if counts else None)
print("moving", len(moving) > 3, "limit", sum("the disk is the limit" in t for t in lines) > 3, "end", any("the disk was the limit: " in t for t in lines))
print(*lines[-8:], sep="\n", file=sys.stderr)
PY
if command -v gcc >/dev/null; then
    gcc -shared -fPIC -o slow.so "$ROOT/tests/cli/slow_write.c"
    # shellcheck disable=SC2086
    LD_PRELOAD=$PWD/slow.so python3 line.py 300 "$T" prior -n 300 -o slow $dummy --format npy --nproc 2 >out 2>err
    says line_counts "status 0 rises True ends True"
    says line_says_disk "moving True limit True end True"
    # shellcheck disable=SC2086
    "$T" prior -n 300 -o fast $dummy --format npy -q
    holds line_bytes diff -r -x run slow fast
else
    echo "SKIP: gcc is absent: no disk to slow down"
fi
python3 line.py 500 "$T" prior -n 500 -o csv --prior dummy --max-features 40 --format npy --save-csv --nproc 2 >out 2>err
says csv_counts "status 0 rises True ends True"
says csv_is_no_disk "moving True limit False end False"
