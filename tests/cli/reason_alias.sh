#!/bin/bash
# reason_alias.sh - the programs of document 3, and every command of docs/reason-distributed.md, run as it stands there: with a server that
# answers by arithmetic in place of vLLM.
. tests/lib/cli.sh
export TABMILL
. "$ROOT/tests/lib/mock.sh"
export TABMILL_SERVE="$MOCK --port {port} --log $PWD/asked" TABMILL_MODEL=mock
: >out
mkdir bin && ln -s "$(command -v python3)" bin/python
export PATH=$PWD/bin:$PATH
cp "$ROOT"/python/*.py "$ROOT"/python/*.sh .
mkdir data
python - <<'PY'
import json
with open("data/numina_math.jsonl", "w") as f:
    for i in range(12):
        print(json.dumps({"problem": f"What is {i} + 4?", "solution": f"\\boxed{{{i + 4}}}"}), file=f)
PY

sed -n '/^```$/,/^```$/p' "$ROOT/docs/reason-distributed.md" | grep -v '^```' | grep . >commands
holds "the page has all commands" test "$(grep -c . commands)" = 12
lines() { # of the array, and of the table beside it
    python -c 'import csv, json; print(len(json.load(open("data/final_data.json"))), len(list(csv.DictReader(open("data/final_data.csv", newline="")))))'
}
while read -r line; do
    case $line in
    *--node-rank\ 0*) # the other machine
        rm -rf data/final_data.*
        bash -c "${line/<MASTER_IP>/127.0.0.1}" >/dev/null 2>node0 &
        node0=$!
        continue
        ;;
    *--node-rank\ 1*) line=${line/<MASTER_IP>/127.0.0.1} ;;
    *monitor_gpu*) # Ctrl-C when there is a sample; shells give background processes no SIGINT
        expect "$line" 0 "*" python -c 'import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[1:], start_new_session=True)
while p.poll() is None and not (os.path.exists("gpu_usage_multi.csv") and open("gpu_usage_multi.csv").read().count("\n") > 1):
    time.sleep(0.05)
os.killpg(p.pid, signal.SIGINT)
sys.exit(p.wait())' bash -c "exec $line"
        continue
        ;;
    *--list-datasets | *--dataset-info* | *chmod* | *executable*) ;;
    *) rm -rf data/final_data.* ;;
    esac
    expect "$line" 0 "*" bash -c "$line"
    case $line in
    *node-rank*)
        wait "$node0"
        verdict "machine 0 ends" $? "$(tail -3 node0)"
        ;;
    *--list-datasets | *--dataset-info*) says "names the data set" numina_math ;;
    *chmod* | *executable*) holds "scripts can be run" test -x run_distributed.sh ;;
    esac
    case $line in
    *run_distributed*)
        case $line in *--list* | *--dataset-info* | *executable*) ;; *) holds "one file of all" test "$(lines)" = "12 12" ;; esac
        ;;
    esac
done <commands
holds "a log of each server" test -s data/final_data.json.run/logs/server-0.log
holds "none is left" test -z "$(pgrep -f "$PWD/asked")"
head -1 gpu_usage_multi.csv >header
holds "ten columns of the monitor" grep -qx \
    Timestamp,Elapsed,GPU_Index,GPU_Name,Temperature,GPU_Utilization,Memory_Utilization,Memory_Used,Memory_Total,Power_Draw header
TABMILL_NVML=/nonexistent expect "no GPU" 0 "samples in" python monitor_gpu.py --interval 0.1 --duration 0.25 --output none.csv
holds "no GPU is said in the table" grep -qE '^[^,]+,[0-9.]+,N/A,No GPU found,,,,,,$' none.csv

# What the page says of options.
rm -rf data/final_data.*
expect "again goes on" 0 "*" python run_distributed.py --num-examples 3 --world-size 1
before=$(wc -l <asked)
expect "again goes on, and asks nothing twice" 0 "*" python run_distributed.py --num-examples 3 --world-size 1
holds "nothing but one token was asked" test "$(wc -l <asked)" -le $((before + 1))
expect "another run is refused" 1 "another" python run_distributed.py --num-examples 3 --world-size 1 --seed 7
cp data/numina_math.jsonl data/gsm8k-main-test.jsonl
sed -i 's/"problem"/"question"/; s/"solution"/"answer"/' data/gsm8k-main-test.jsonl
expect "config and split name a file" 0 "*" python run_distributed.py --dataset gsm8k --config main --split test -o g.json --num-examples 1
expect "a file of mine" 0 "*" python run_distributed.py --dataset-name data/numina_math.jsonl -o n.json --num-examples 1
expect "nothing is fetched" 1 "nothing is fetched by name" python run_distributed.py --dataset-name openai/gsm8k
expect "a missing data set" 1 "nothing is downloaded" python run_distributed.py --dataset math -o m.json
expect "a missing server" 1 "there is no such program" env -u TABMILL_SERVE PATH="$PWD/bin:/usr/bin:/bin" python run_distributed.py -o v.json
