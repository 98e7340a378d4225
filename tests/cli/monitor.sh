#!/bin/bash
# monitor.sh - `tabmill monitor` with no GPU, with a library that pretends to have two, around a command, for a while.
. tests/lib/cli.sh
M=("$TABMILL" monitor)
export TABMILL_NVML=/nonexistent/libnvidia-ml.so.1
facts() { # FILE EXPRESSION: of rows (list of dicts) and header
    python3 - "$1" "$2" >out 2>err <<'PY'
import csv, sys
text = open(sys.argv[1], newline="").read()
table = list(csv.reader(text.splitlines()))
header, rows = table[0], [dict(zip(table[0], r)) for r in table[1:]]
assert all(len(r) == len(header) for r in table), "ragged"
print(eval(sys.argv[2]))
PY
}
ten=Timestamp,Elapsed,GPU_Index,GPU_Name,Temperature,GPU_Utilization,Memory_Utilization,Memory_Used,Memory_Total,Power_Draw

six_samples() {
    expect "no GPU" 0 "sampling the processors alone" "${M[@]}" -i 0.1 -d 0.55 -o a.csv -f
    holds "a summary" grep -q "^6 samples in 0\.[56]" err
    facts a.csv '[r["GPU_Index"] + r["GPU_Name"] + r["Power_Draw"] for r in rows] == [""] * 6'
    says "cells of GPUs are empty" True
    facts a.csv 'all(abs(float(r["Elapsed"]) - 0.1 * i) < 0.09 for i, r in enumerate(rows))'
    says "the k-th sample is at k intervals" True
}
in_some_try six_samples
holds "the ten columns come first" grep -q "^$ten," a.csv
facts a.csv 'all(0 <= float(r["CPU_Utilization"]) <= 100 and 0 < int(r["Host_Memory_Used"]) < int(r["Host_Memory_Total"]) for r in rows[1:])'
says "processors and memory" True
expect "an output that exists" 1 "a.csv" "${M[@]}" -d 0.1 -o a.csv
expect "--force" 0 "*" "${M[@]}" -d 0.1 -o a.csv -f
expect "stdout" 0 "" "${M[@]}" -q -d 0.1 -i 0.1 -o - --utc
holds "in UTC" grep -qE '^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z,' out

cat >sampled.sh <<'SH'
#!/bin/sh
# sampled.sh FILE: until it has four lines more
n=$(wc -l <"$1")
until [ "$(wc -l <"$1")" -ge $((n + 4)) ]; do sleep 0.02; done
SH
chmod +x sampled.sh
expect "a command, its status" 3 "" "${M[@]}" -q -i 0.05 -o b.csv -- python3 -c 'import subprocess; x = bytearray(60000000); subprocess.run(["./sampled.sh", "b.csv"]); exit(3)'
facts b.csv 'max(float(r["Ranks_RSS"] or 0) for r in rows) > 57'
says "its memory" True
expect "ranks of a launch" 0 "" "${M[@]}" -q -i 0.05 -o c.csv -- "$TABMILL" launch -q -n 2 ./sampled.sh c.csv
facts c.csv 'max(int(r["Ranks"]) for r in rows) == 2' # neither the launcher and its guard, nor what the ranks start
says "two of them" True
expect "ranks of others" 0 "" "$TABMILL" launch -n 1 -- "${M[@]}" -q -i 0.1 -d 0.1 -o d.csv
of_ours() {
    rm -rf run
    expect "ranks of ours" 0 "" "${M[@]}" -q -i 0.03 -o p.csv -f -- "$TABMILL" train -i "$PENGUINS" -t species --epochs 500 --early-stopping-patience 0 --multi-gpu ddp --nproc 2 --threads 1 -q -o run
    facts p.csv 'max(int(r["Ranks"]) for r in rows) == 2'
    says "are two" True
    facts p.csv '"computing" in {p for r in rows for p in r["Phase"].split("+")} and all((r["Phase"] != "") >= (r["Step"] != "") for r in rows)'
    says "tell their phase" True
    facts p.csv '(lambda s: len(set(s)) > 1 and s == sorted(s))([int(r["Step"]) for r in rows if r["Step"]])'
    says "and their step" True
}
in_some_try of_ours
rm -rf run
"$TABMILL" train -i "$PENGUINS" -t species --epochs 1000000 --early-stopping-patience 0 --multi-gpu ddp --nproc 2 --threads 1 -q -o run & job=$!
wait_until test -s run/metrics.jsonl
expect "ranks that somebody else started" 0 "" "${M[@]}" -q -i 0.1 -d 0.2 -o s.csv
kill -TERM $job; wait $job
facts s.csv 'all(int(r["Ranks"]) >= 2 and float(r["Ranks_RSS"]) > 1 and r["Phase"] and r["Step"] for r in rows)'
says "are seen" True
facts d.csv 'int(rows[-1]["Ranks"]) >= 1'
says "known by their environment" True
expect "no such command" 127 "No such file" "${M[@]}" -q -o e.csv ./none
expect "lines that no disk takes" 1 "1 line lost" env TABMILL_FAULT=write:2:fail "${M[@]}" -i 0.1 -o f.csv -- sleep 1
"${M[@]}" -i 0.1 -o g.csv >out 2>err & pid=$!
while [ ! -s g.csv ]; do sleep 0.02; done
sleep 0.3
kill -INT $pid
wait $pid
verdict "Ctrl-C ends it well" $?
holds "with a summary" grep -q "samples in" err

if ! command -v gcc >/dev/null; then
    echo "SKIP: gcc is absent"
    exit 0
fi
gcc -shared -fPIC -o fake.so "$ROOT/tests/cli/fake_nvml.c"
export TABMILL_NVML=$PWD/fake.so
two_gpus() {
    expect "two GPUs" 0 "GPU 0: mean 70% util (p5 30, p95 80), idle 0.0 s, peak 20.0 GiB, 0.000111 kWh, throttled 0.5 s, 2 memory errors not corrected, last error XID 79" "${M[@]}" -i 0.1 -d 0.45 -o h.csv -f
    holds "lines of document 3" grep -qE '^\[[^]]*\] GPU 0: 30% util, 20480/81920 MB, 55°C, 123\.5W$' err
    holds "what is not known is not invented" grep -qE '^\[[^]]*\] GPU 1: \?% util, \?/\? MB, \?°C, \?W$' err
    facts h.csv '[r["XID"] for r in rows]'
    says "the last error, when it has come" "['0', '', '0', '', '79', '', '79', '', '79', '']"
}
in_some_try two_gpus
facts h.csv '[rows[2][k] for k in ("GPU_Index", "GPU_Name", "Temperature", "GPU_Utilization", "Memory_Utilization", "Memory_Used", "Memory_Total", "Power_Draw", "GPU_UUID", "CUDA_Index", "SM_Clock", "Memory_Clock", "Energy", "Throttle_Reasons", "GPU_Processes", "GPU_PIDs")]'
says "all that it tells" "['0', 'Fake \"GPU\", big', '55', '80', '11', '20480', '81920', '123.46', 'GPU-aaaa-1', '0', '1500', '2600', '100.0', '4', '3', '100;101;102']"
facts h.csv '[rows[3][k] for k in ("GPU_Index", "GPU_Name", "Temperature", "Memory_Used", "Power_Draw", "PCIe_TX")]'
says "and nothing that it does not" "['1', 'Old GPU', '', '', '', '']"
facts h.csv '[[r[k] for k in ("NVLink_TX", "NVLink_RX", "Fan_Speed", "Encoder_Utilization", "ECC_Errors", "PCIe_Replays")] for r in rows[2:4]]'
says "links since the first sample, and health" "[['1.0', '3.0', '42', '7', '2', '5'], ['', '', '', '', '', '']]"
for visible in "1,0:1,0" "GPU-bbbb:,0" "1:,0" "-1:," ":,"; do
    expect "visible $visible" 0 "" env CUDA_VISIBLE_DEVICES="${visible%%:*}" "${M[@]}" -q -d 0.05 -o i.csv -f
    facts i.csv '",".join(r["CUDA_Index"] for r in rows[:2])'
    holds "CUDA's numbers, visible $visible" grep -qxF -e "${visible#*:}" out
done

expect "a GPU that does not tell its energy" 0 "*" env FAKE_PLAIN=1 "${M[@]}" -i 0.1 -d 0.15 -o n.csv
holds "nor what throttles it" grep -qE '^GPU 0: mean [0-9]+% util \(p5 [0-9]+, p95 80\), idle 0.0 s, peak 20.0 GiB, 2 memory' err

export FAKE_MIG=1
expect "a GPU in parts" 0 "GPU 0 MIG 2: does not tell its utilization, peak 4.0 GiB" "${M[@]}" -i 0.1 -d 0.15 -o m.csv
holds "whose use is not known as a whole" grep -qE '^\[[^]]*\] GPU 0: \?% util, 20480/81920 MB, 55°C, 123\.5W$' err
holds "the parts have lines" grep -qE '^\[[^]]*\] GPU 0 MIG 2: \?% util, 4096/20480 MB, \?°C, \?W$' err
facts m.csv '[[r[k] for k in ("GPU_Index", "MIG_Instance", "GPU_Name", "GPU_UUID", "Memory_Used", "Memory_Total", "GPU_Processes", "XID")] for r in rows[:4]]'
says "a part is of its GPU, places may be empty" "[['0', '', 'Fake \"GPU\", big', 'GPU-aaaa-1', '20480', '81920', '3', '0'], ['0', '0', 'Fake MIG 1g.10gb', 'MIG-cccc-3', '2048', '10240', '0', ''], ['0', '2', 'Fake MIG 2g.20gb', 'MIG-dddd-4', '4096', '20480', '1', ''], ['1', '', 'Old GPU', 'GPU-bbbb-2', '', '', '0', '']]"
for visible in "MIG-dddd-4,MIG-cccc-3:,1,0," "GPU-bbbb-2,MIG-dd:,,1,0" "0,1:,,,1" "GPU-aaaa-1:,,,"; do
    expect "visible $visible" 0 "" env CUDA_VISIBLE_DEVICES="${visible%%:*}" "${M[@]}" -q -d 0.05 -o i.csv -f
    facts i.csv '",".join(r["CUDA_Index"] for r in rows[:4])'
    holds "CUDA's numbers of parts, visible $visible" grep -qxF -e "${visible#*:}" out
done
expect "no list, no number of a part" 0 "" env -u CUDA_VISIBLE_DEVICES "${M[@]}" -q -d 0.05 -o i.csv -f
facts i.csv '",".join(r["CUDA_Index"] for r in rows[:4])'
says "the driver does not tell" ",,,1"
